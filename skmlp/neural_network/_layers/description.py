"""What a network is made of: its layers, what they give, what they cost."""

import copy
import math
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn


class LayerOutput(NamedTuple):
    """A layer that ran, under its name in the network, and what it gave."""

    name: str
    layer: nn.Module
    output: Tensor


class LayerSummary(NamedTuple):
    """Name and type of a layer, and for one row its output's shape and its costs."""

    name: str
    type: str
    output_shape: tuple[int, ...]
    n_parameters: int
    n_multiply_adds: int


def layer_outputs(network: nn.Module, x: Tensor) -> list[LayerOutput]:
    """Return what every layer makes of a batch, in the order in which they start.

    The hooks are on a copy, so that the network may predict in another thread.
    """
    network = copy.deepcopy(network).eval()
    outputs: dict[str, LayerOutput] = {}

    def watch(name: str, layer: nn.Module) -> None:
        def begin(*_: Any) -> None:
            outputs[name] = LayerOutput(name, layer, x)  # holds the place

        def end(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            outputs[name] = LayerOutput(name, layer, output)

        layer.register_forward_pre_hook(begin)
        layer.register_forward_hook(end)

    for name, layer in network.named_modules():
        if type(layer) is not nn.Sequential:  # which only holds others
            watch(name, layer)
    with torch.inference_mode():
        network(x)
    return list(outputs.values())


def describe_layers(network: nn.Module) -> list[LayerSummary]:
    """Return the input, and every layer in the order in which they start.

    Nothing is computed: the network may be on torch's meta device, and is copied there
    if it is not.
    """
    if next(network.parameters()).device.type != "meta":
        network = copy.deepcopy(network).to("meta")
    first = next(network.parameters())
    n_features = _n_inputs(network)
    x = torch.empty(1, n_features, dtype=first.dtype, device="meta")
    return [LayerSummary("input", "Input", (n_features,), 0, 0)] + [
        LayerSummary(
            name,
            type(layer).__name__,
            _output_shape(output),
            sum(p.numel() for p in layer.parameters(recurse=False)),
            _multiply_adds(layer, output),
        )
        for name, layer, output in layer_outputs(network, x)
    ]


def _n_inputs(network: nn.Module) -> int:
    """Return the number of values of a row that a network takes."""
    for layer in network.modules():
        if hasattr(layer, "image_shape"):
            return math.prod(cast(tuple[int, ...], layer.image_shape))
        if isinstance(layer, nn.Linear):
            return layer.in_features
    raise AssertionError("a network starts with an image or a dense layer")


def _output_shape(output: Tensor) -> tuple[int, ...]:
    """Shape of one row's output, channels last."""
    if output.ndim == 4:
        output = output.permute(0, 2, 3, 1)
    return tuple(output.shape[1:])


def _multiply_adds(layer: nn.Module, output: Tensor) -> int:
    """Products summed for one row."""
    if isinstance(layer, (nn.Linear, nn.Conv2d)):
        # Each value of the output is a sum over one output unit's weights.
        return output.numel() * layer.weight[0].numel()
    return 0
