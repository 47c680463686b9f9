"""Dense layers with one block of numbers each, for fewer kernels on a GPU.

The gradient of the biases is the sum of the outputs' gradients. That is a kernel of its
own for each layer, and kernels of a small network cost much more than their arithmetic.
Here, every layer has one more input, which is always 1. The gradient of its weights is
the gradient of the biases. So one product computes all gradients of a layer.

- The block of a layer has the shape ``(inputs + 1, units + 1)``: transposed weights,
  and zeros. A block of the last layer has no further unit.
- The features get a column of ones. In each hidden layer, the further unit is always 1.
- The weights of the further input are zeros, because the kernel of a layer adds the
  biases itself, and because the penalty does not include biases.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmlp.training.compute.dense_products import DenseProducts
from skmlp.training.losses import Loss
from skmlp.training.modules.activations import HANDWRITTEN_ACTIVATIONS
from skmlp.training.modules.introspection import known_modules
from skmlp.training.optimizers.flat_optimizers import FlatOptimizer, UpdatedTensors
from skmlp.training.optimizers.flat_parameters import (
    FlatParameters,
    FrozenParameter,
    aligned_slices,
    join_slices,
)
from skmlp.training.steps.handwritten_step import (
    DenseLayer,
    DenseModules,
    HandwrittenStep,
    group_dense_modules,
)

# Maximum number of parameters. In larger networks, the arithmetic takes longer than the
# launches, and it is slower, because the rows of a block are not aligned.
_MAX_PARAMETERS = 2**18

# Bias of a unit whose weights are zeros and whose output is 1, by activation.
_BIAS_FOR_ONE: dict[type[nn.Module], float] = {
    nn.Identity: 1.0,
    nn.ReLU: 1.0,
    nn.Sigmoid: math.inf,
    nn.Tanh: math.inf,
}


class _Place(NamedTuple):
    """The place of a layer in the vectors of `DenseBlocks`."""

    block: slice
    biases: slice
    shape: tuple[int, int]  # of the block

    def block_of(self, vector: Tensor) -> Tensor:
        """Return the block of the layer."""
        return vector[self.block].view(self.shape)

    def biases_of(self, vector: Tensor) -> Tensor:
        """Return the biases of the layer, with that of the further unit."""
        return vector[self.biases]


class DenseBlocks:
    """Parameters, gradients and moments of a multi-layer perceptron in blocks.

    `load` and `store` copy parameters and moments from the flat vectors and back.

    Parameters
    ----------
    layers : list of DenseModules
        What `find_block_layers` has returned.
    flat : FlatParameters
    optimizer : FlatOptimizer
        Optimizer of ``flat.values``.

    Attributes
    ----------
    values, gradients : Tensor of shape (n,)
        Vectors with the same layout. The gradients of the biases are in the blocks.
    tensors : UpdatedTensors
        What a step of the optimizer reads and changes.
    """

    def __init__(
        self,
        layers: list[DenseModules],
        flat: FlatParameters,
        optimizer: FlatOptimizer,
    ) -> None:
        self._layers, self._flat, self._optimizer = layers, flat, optimizer
        is_hidden = [True] * (len(layers) - 1) + [False]
        shapes = [
            (layer.linear.in_features + 1, layer.linear.out_features + hidden)
            for layer, hidden in zip(layers, is_hidden, strict=True)
        ]
        sizes = [math.prod(shape) for shape in shapes] + [width for _, width in shapes]
        slices, size = aligned_slices(sizes, flat.values)
        n_layers = len(layers)
        self._places = list(map(_Place, slices[:n_layers], slices[n_layers:], shapes))
        self.values = flat.values.new_zeros(size)
        self.gradients = torch.zeros_like(self.values)
        self._moments = {
            name: torch.zeros_like(self.values) for name in optimizer.moment_names
        }
        for layer, place in zip(layers[:-1], self._places, strict=False):
            place.biases_of(self.values)[-1].fill_(_BIAS_FOR_ONE[layer.activation])
        gradients = [place.block_of(self.gradients) for place in self._places]
        self.tensors = UpdatedTensors(
            self._parts(self.values),
            [part for block in gradients for part in (block[:-1], block[-1])],
            {name: self._parts(vector) for name, vector in self._moments.items()},
        )

    def _parts(self, vector: Tensor) -> list[Tensor]:
        """Return the weights and the biases of each layer, with the further units."""
        return [
            part
            for place in self._places
            for part in (place.block_of(vector)[:-1], place.biases_of(vector))
        ]

    def make_step(self, loss: Loss, alphas: Sequence[float]) -> HandwrittenStep:
        """Return a step for features with a column of ones.

        Parameters
        ----------
        loss : Loss
        alphas : sequence of float
            Strength of the L2 penalty for each layer.
        """
        layers = []
        for modules, place, alpha in zip(
            self._layers, self._places, alphas, strict=True
        ):
            products = DenseProducts(
                place.block_of(self.values).mT,
                place.biases_of(self.values),
                place.block_of(self.gradients).mT,
                alpha,
            )
            # The gradient of the biases is part of that of the weights.
            layer = DenseLayer(
                products, None, None, *HANDWRITTEN_ACTIVATIONS[modules.activation], None
            )
            if modules.activation is nn.ReLU:
                layer.forward_activated = products.forward_relu
            layers.append(layer)
        return HandwrittenStep(layers, loss)

    def load(self) -> None:
        """Copy parameters and moments from the flat vectors."""
        self._copy(from_flat=True)

    def store(self) -> None:
        """Copy parameters and moments into the flat vectors."""
        self._copy(from_flat=False)

    def _copy(self, from_flat: bool) -> None:
        """Copy all layers in one direction."""
        state = self._optimizer.state[self._flat.values]
        pairs = [(self._flat.values, self.values)]
        pairs += [(state[name], vector) for name, vector in self._moments.items()]
        flat_parts, parts = [], []
        for flat_vector, vector in pairs:
            for (linear, *_), place in zip(self._layers, self._places, strict=True):
                for parameter in (linear.weight, linear.bias):
                    at = self._flat.slice_of(parameter)
                    flat_parts.append(flat_vector[at].view(parameter.shape))
                n_out, n_in = linear.weight.shape
                parts.append(place.block_of(vector)[:n_in, :n_out].mT)
                parts.append(place.biases_of(vector)[:n_out])
        if from_flat:
            torch._foreach_copy_(parts, flat_parts)
        else:
            torch._foreach_copy_(flat_parts, parts)

    # What `Penalty` and `ParameterUpdater` need

    def alpha_per_layer(self, alpha: float | Sequence[float]) -> tuple[float, ...]:
        """Return what `FlatParameters.alpha_per_layer` returns."""
        return self._flat.alpha_per_layer(alpha)

    def weight_slices_by_strength(
        self, alpha: float | Sequence[float]
    ) -> list[tuple[slice, float]]:
        """Return slices of blocks with the strength of their penalty or decay."""
        blocks = [place.block for place in self._places]
        return join_slices(zip(blocks, self.alpha_per_layer(alpha), strict=True))

    def frozen(self) -> list[FrozenParameter]:
        """Return the parameters that a callback has frozen."""
        parameters = [p for linear, *_ in self._layers for p in linear.parameters()]
        values, gradients, _ = self.tensors
        return [
            FrozenParameter(value, gradient, value.clone())
            for parameter, value, gradient in zip(
                parameters, values, gradients, strict=True
            )
            if not parameter.requires_grad
        ]


def with_ones(X: Tensor) -> Tensor:
    """Return features with a column of ones."""
    return F.pad(X, (0, 1), value=1.0)


def find_block_layers(
    network: nn.Module, flat: FlatParameters, optimizer: FlatOptimizer
) -> list[DenseModules] | None:
    """Return the layers of a network that `DenseBlocks` can hold, and None for others.

    Dropout and batch normalization would change the further units.
    """
    modules = known_modules(network)
    layers = group_dense_modules(modules) if modules else None
    if (
        layers is None
        or len(flat.values) > _MAX_PARAMETERS
        or optimizer.rate_factors is not None
        or any(layer.norm is not None or layer.dropout is not None for layer in layers)
        or any(layer.activation not in _BIAS_FOR_ONE for layer in layers)
        or any(flat.gradient_of(p) is None for p in network.parameters())
    ):
        return None
    return layers
