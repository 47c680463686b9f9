"""The layers of a network, and whether a pack can compute them."""

import math
from collections.abc import Hashable
from typing import NamedTuple
from weakref import WeakKeyDictionary

from torch import nn

from skmlp.training.data.slices import samples_per_chunk
from skmlp.training.modules.activations import HANDWRITTEN_ACTIVATIONS, ZERO_AT_ZERO
from skmlp.training.modules.embeddings import FeatureEmbedding
from skmlp.training.modules.image_layers import FlattenImage, GlobalAverage, ImageView
from skmlp.training.modules.introspection import (
    known_modules,
    max_values_per_sample,
    modules_in_sequence,
    output_shapes,
)
from skmlp.training.modules.layers import BatchNorm1d, Conv2d, Dropout
from skmlp.training.modules.signal_layers import (
    AvgPool1d,
    Conv1d,
    MaxPool1d,
    ZeroPad1d,
)
from skmlp.training.optimizers.flat_parameters import ParameterLayout
from skmlp.training.run import TrainingRun
from skmlp.training.steps.handwritten_step import DenseModules, group_dense_modules

_CONVOLUTION = ("in_channels", "out_channels", "kernel_size", "stride", "padding")
_POOL = ("kernel_size", "padding", "ceil_mode")

# The image layers that a pack can compute, with the attributes that have to be equal
# for all members.
_EQUAL_ATTRIBUTES: dict[type[nn.Module], tuple[str, ...]] = {
    ImageView: ("image_shape",),
    nn.ZeroPad2d: ("padding",),
    Conv2d: _CONVOLUTION,
    nn.MaxPool2d: _POOL,
    nn.AvgPool2d: _POOL,
    ZeroPad1d: ("padding",),
    Conv1d: _CONVOLUTION,
    MaxPool1d: _POOL,
    AvgPool1d: _POOL,
    Dropout: ("channels",),
    FlattenImage: (),
    GlobalAverage: (),
    **dict.fromkeys(HANDWRITTEN_ACTIVATIONS, ()),
}


class NetworkStructure(NamedTuple):
    """The image layers of a network, or its embedding, and its dense layers.

    A multi-layer perceptron has no image layers.
    """

    image_layers: list[nn.Module]
    dense_layers: list[DenseModules]
    embedding: FeatureEmbedding | None = None

    @property
    def key(self) -> Hashable:
        """A key that is equal for networks that fit into one pack.

        Widths of hidden layers may differ if the activation of 0 is 0 and there is no
        dropout. Then the outputs of padding units stay zero.
        """
        image_keys = tuple(
            (
                type(layer),
                *(getattr(layer, name) for name in _EQUAL_ATTRIBUTES[type(layer)]),
            )
            for layer in self.image_layers
        )
        has_fixed_widths = any(
            layer.dropout or layer.activation not in ZERO_AT_ZERO
            for layer in self.dense_layers
        )
        dense_keys = tuple(
            (
                layer.linear.out_features
                if has_fixed_widths or layer is self.dense_layers[-1]
                else None,
                layer.norm is None,
                layer.activation,
                layer.dropout is None,
            )
            for layer in self.dense_layers
        )
        n_inputs = self.dense_layers[0].linear.in_features
        # The repr of an embedding names its columns and the sizes of its parts.
        return image_keys, repr(self.embedding), n_inputs, dense_keys


def pack_structure(network: nn.Module) -> NetworkStructure | None:
    """Return the layers of a network, or None if a pack has no formulas for them."""
    layers = known_modules(network)
    if layers is None:
        return None
    embedding = None
    if isinstance(layers[0], FeatureEmbedding):
        embedding, layers = layers[0], layers[1:]
    ends_image_layers = [
        isinstance(layer, (FlattenImage, GlobalAverage)) for layer in layers
    ]
    # The image layers end with the first such layer.
    n_image_layers = ends_image_layers.index(True) + 1 if any(ends_image_layers) else 0
    image_layers = layers[:n_image_layers]
    dense_layers = group_dense_modules(layers[n_image_layers:])
    if not dense_layers:
        return None
    if any(type(layer) not in _EQUAL_ATTRIBUTES for layer in image_layers):
        return None
    return NetworkStructure(image_layers, dense_layers, embedding)


def unpackable_layer(network: nn.Module) -> nn.Module | None:
    """Return the first module in sequence that no pack can compute, or None."""
    computed = (*_EQUAL_ATTRIBUTES, nn.Linear, BatchNorm1d, FeatureEmbedding)
    for layer in modules_in_sequence(network) or ():
        if not isinstance(layer, computed):
            return layer
    return None


def max_patch_values(network: nn.Module, n_features: int) -> int:
    """Return the largest number of patch values of one sample in a convolution.

    The result is 0 if there is no convolution.
    """
    convolutions = [
        layer for layer in network.modules() if isinstance(layer, Conv1d | Conv2d)
    ]
    if not convolutions:
        return 0
    shapes = output_shapes(network, n_features)
    return max(
        layer.weight[0].numel() * math.prod(shapes[layer][2:]) for layer in convolutions
    )


class NetworkDescription(NamedTuple):
    """What decides which runs train in one pack, as far as it depends on the network.

    Attributes
    ----------
    layers_key : hashable or None
        Equal for networks with layers that fit together. None if a pack has no formulas
        for the layers.
    has_frozen : bool
        Whether some parameters are not trained.
    max_batch_size : float
        A single network computes a larger batch in chunks, and draws the dropout masks
        of its convolutions for each chunk. A pack would draw other masks.
    """

    layers_key: Hashable | None
    has_frozen: bool
    max_batch_size: float


# Copies of one network have one layout. So they are described only once.
_descriptions: WeakKeyDictionary[ParameterLayout, NetworkDescription] = (
    WeakKeyDictionary()
)


def describe_network(run: TrainingRun) -> NetworkDescription:
    """Return the description of the network of a run that has not been trained."""
    layout = run.flat.layout
    if layout not in _descriptions:
        n_features = run.train_loader.data.X.shape[1]
        _descriptions[layout] = _describe(run.net.module_, n_features)
    return _descriptions[layout]


def _describe(network: nn.Module, n_features: int) -> NetworkDescription:
    """Return the description of a network."""
    has_frozen = not all(p.requires_grad for p in network.parameters())
    structure = pack_structure(network)
    if structure is None:
        return NetworkDescription(None, has_frozen, math.inf)
    max_batch_size = math.inf
    if structure.image_layers:
        max_batch_size = samples_per_chunk(max_values_per_sample(network, n_features))
    return NetworkDescription(structure.key, has_frozen, max_batch_size)
