"""The layers of a network with their output shapes and costs."""

import copy
from typing import NamedTuple

import torch
from torch import nn

from skmlp.training.modules.introspection import (
    LayerOutput,
    channels_last,
    layer_multiply_adds,
    module_outputs,
    reference_parameter,
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


def describe_layers(network: nn.Module, n_features: int) -> list[LayerSummary]:
    """Return the input and every layer, in the order of their forward calls.

    The forward pass runs on torch's meta device, so no values are computed. A user's
    module that needs values there runs on the CPU. The network itself is not changed.
    """
    try:
        outputs = _outputs_of_one_sample(network, n_features, "meta")
    except Exception:  # the code of a user may read values  # noqa: BLE001
        outputs = _outputs_of_one_sample(network, n_features, "cpu")
    return [LayerSummary("input", "Input", (n_features,), 0, 0)] + [
        LayerSummary(
            name,
            type(layer).__name__,
            tuple(channels_last(output, network).shape[1:]),
            sum(p.numel() for p in layer.parameters(recurse=False)),
            layer_multiply_adds(layer, output.shape),
        )
        for name, layer, output in outputs
        if name  # the network as a whole has no name
    ]


def _outputs_of_one_sample(
    network: nn.Module, n_features: int, device: str
) -> list[LayerOutput]:
    """Return the output of every module for a sample of zeros."""
    network = copy.deepcopy(network)
    if reference_parameter(network).device.type != device:
        # A network without values gets any.
        network = (
            network.to(device) if device == "meta" else network.to_empty(device=device)
        )
    x = torch.zeros(
        1, n_features, dtype=reference_parameter(network).dtype, device=device
    )
    return module_outputs(network, x)
