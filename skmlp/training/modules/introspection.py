"""Layers of a network with their names, shapes, costs and numbers of parameters.

Training, packs, the estimators and `skmlp.inspection` look at networks through these
functions, so that all of them count and name layers alike.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

WeightLayer = nn.Linear | nn.Conv1d | nn.Conv2d

# Suffixes of the modules that belong to a layer: ``conv1_norm`` belongs to ``conv1``.
SUFFIXES = ("pad", "norm", "activation", "pool", "dropout")

# Names of the modules that change the shape of a sample, but not its values.
RESHAPING_MODULES = ("image", "flatten")


class LayerOutput(NamedTuple):
    """A module that ran, its name in the network, and its output for a batch."""

    name: str
    layer: nn.Module
    output: Tensor


def named_weight_layers(network: nn.Module) -> Iterator[tuple[str, WeightLayer]]:
    """Yield names and layers with weights, in the order of ``coefs_``."""
    for name, layer in network.named_modules():
        if isinstance(layer, WeightLayer):
            yield name, layer


def weight_layers(network: nn.Module) -> Iterator[WeightLayer]:
    """Yield the layers with weights, in the order of ``coefs_``."""
    return (layer for _, layer in named_weight_layers(network))


def modules_of_layer(network: nn.Module, layer: str) -> dict[str, nn.Module]:
    """Return the modules that belong to a layer, by the suffixes of their names."""
    modules = dict(network.named_modules())
    names = {suffix: f"{layer}_{suffix}" for suffix in SUFFIXES}
    return {suffix: modules[name] for suffix, name in names.items() if name in modules}


def layer_of_module(name: str) -> str:
    """Return the name of the layer that a module belongs to.

    Examples
    --------
    >>> [layer_of_module(name) for name in ("conv1", "conv1_pool", "flatten")]
    ['conv1', 'conv1', 'flatten']
    """
    layer, _, suffix = name.rpartition("_")
    return layer if suffix in SUFFIXES else name


def has_convolutions(network: nn.Module) -> bool:
    """Return whether a network has any convolution."""
    return any(isinstance(layer, nn.Conv1d | nn.Conv2d) for layer in network.modules())


def count_parameters(module: nn.Module, *, trainable: bool = False) -> int:
    """Return the number of parameters, or of the trainable ones only."""
    return sum(
        parameter.numel()
        for parameter in module.parameters()
        if parameter.requires_grad or not trainable
    )


def module_outputs(network: nn.Module, x: Tensor) -> list[LayerOutput]:
    """Return the output of every module for a batch, in the order of forward calls.

    The network runs in evaluation mode and with hooks. A network that predicts in
    another thread at the same time has to be copied first.
    """
    outputs: dict[str, LayerOutput] = {}
    handles = []

    def watch(name: str, layer: nn.Module) -> None:
        def begin(*_: Any) -> None:
            # A placeholder, so that a module comes before the modules inside it.
            outputs[name] = LayerOutput(name, layer, x)

        def end(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            outputs[name] = LayerOutput(name, layer, output)

        handles.append(layer.register_forward_pre_hook(begin))
        handles.append(layer.register_forward_hook(end))

    for name, layer in network.named_modules():
        if type(layer) is not nn.Sequential:  # a Sequential only holds other modules
            watch(name, layer)
    try:
        with evaluation_mode(network), torch.no_grad():
            network(x)
    finally:
        for handle in handles:
            handle.remove()
    return list(outputs.values())


def channels_last(output: Tensor, network: nn.Module) -> Tensor:
    """View the output of a module of this network with its channels last.

    Images have four dimensions. Three dimensions are signals if the network has
    convolutions of signals.
    """
    has_signals = any(isinstance(layer, nn.Conv1d) for layer in network.modules())
    has_channels = output.dim() == 4 or (output.dim() == 3 and has_signals)
    return output.movedim(1, -1) if has_channels else output


def output_shapes(network: nn.Module, n_features: int) -> dict[nn.Module, torch.Size]:
    """Return the shape of every module's output for a batch of one sample."""
    outputs = module_outputs(network, _one_sample(network, n_features))
    return {layer: output.shape for _, layer, output in outputs}


def max_values_per_sample(network: nn.Sequential, n_features: int) -> int:
    """Return the maximum number of values of one sample, over input and all layers."""
    if not has_convolutions(network):
        sizes = [len(layer.weight) for layer in weight_layers(network)]
        return max([n_features, *sizes])
    x = _one_sample(network, n_features)
    widest = n_features
    # No hooks: other threads may predict with the network at the same time.
    with evaluation_mode(network), torch.no_grad():
        for layer in network:
            x = layer(x)
            widest = max(widest, x.numel())
    return widest


def multiply_adds(network: nn.Module, n_features: int) -> int:
    """Return the number of multiply-adds of one forward pass for one sample."""
    if not has_convolutions(network):
        return sum(layer.weight.numel() for layer in weight_layers(network))
    shapes = output_shapes(network, n_features)
    return sum(layer_multiply_adds(layer, shape) for layer, shape in shapes.items())


def layer_multiply_adds(layer: nn.Module, output_shape: torch.Size) -> int:
    """Return the number of multiply-adds in one layer, for a batch of one sample."""
    if not isinstance(layer, WeightLayer):
        return 0
    # Each value of the output is a sum over the weights of one output unit.
    return math.prod(output_shape) * layer.weight[0].numel()


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Switch every module to evaluation mode, where dropout draws nothing."""
    modes = [(layer, layer.training) for layer in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for layer, training in modes:
            layer.training = training


def _one_sample(network: nn.Module, n_features: int) -> Tensor:
    """Return a batch of one sample of zeros, in dtype and on device of the network."""
    first = next(network.parameters())
    return torch.zeros(1, n_features, dtype=first.dtype, device=first.device)
