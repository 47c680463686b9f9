"""The layers of a network with their output shapes and costs."""

import copy
import math
from typing import NamedTuple, cast

import torch
from torch import nn

from skmlp.training.modules.introspection import (
    channels_last,
    layer_multiply_adds,
    module_outputs,
)


class LayerSummary(NamedTuple):
    """One layer of a network, with its output and its costs for one sample.

    Attributes
    ----------
    name : str
        Name in ``net_.module_``, with dots where layers are nested.
    type : str
        Name of the torch class.
    output_shape : tuple of int
        Shape for one sample. Images are (height, width, channels).
    n_parameters : int
        Number of weights and biases of this layer alone, trainable or not.
    n_multiply_adds : int
        Number of multiply-adds of a dense layer or a convolution for one sample. The
        biases do not count. It is 0 for all other layers.
    """

    name: str
    type: str
    output_shape: tuple[int, ...]
    n_parameters: int
    n_multiply_adds: int


def describe_layers(network: nn.Module) -> list[LayerSummary]:
    """Return the input and every layer, in the order of their forward calls.

    The forward pass runs on torch's meta device, so no values are computed. The network
    itself is not changed.
    """
    network = copy.deepcopy(network).to("meta")
    first = next(network.parameters())
    n_features = _n_features(network)
    x = torch.empty(1, n_features, dtype=first.dtype, device="meta")
    return [LayerSummary("input", "Input", (n_features,), 0, 0)] + [
        LayerSummary(
            name,
            type(layer).__name__,
            tuple(channels_last(output, network).shape[1:]),
            sum(p.numel() for p in layer.parameters(recurse=False)),
            layer_multiply_adds(layer, output.shape),
        )
        for name, layer, output in module_outputs(network, x)
    ]


def _n_features(network: nn.Module) -> int:
    """Return the number of values of one sample that a network takes."""
    for layer in network.modules():
        if hasattr(layer, "image_shape"):
            return math.prod(cast(tuple[int, ...], layer.image_shape))
        if isinstance(layer, nn.Linear):
            return layer.in_features
    raise AssertionError("a network starts with an image or a dense layer")
