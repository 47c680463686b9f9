"""All trainable parameters of a network as views of one vector.

An update, a norm or a snapshot is then one operation for any number of layers. The
parameters share the memory of the vector: to change one is to change the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from skmlp.training.compute.memory import ALIGNMENT
from skmlp.training.modules.copies import copy_modules
from skmlp.training.modules.introspection import (
    is_own_class,
    named_weights,
    reference_parameter,
    weight_layers,
)
from skmlp.training.modules.layers import per_layer


@dataclass(frozen=True, eq=False)
class ParameterLayout:
    """Where each trainable parameter is in the vector.

    A copy of a network has the same layout object. So two networks with one layout
    object have the same modules.

    Attributes
    ----------
    slices : list of slice
        The slice of each parameter.
    shapes : list of tuple of int
        The shape of each parameter in the vector. Kernels are channels last.
    are_kernels : list of bool
        Whether each parameter is the kernel of a convolution of skmlp. The module of a
        user may view its kernels, so their layout does not change.
    size : int
        Length of the vector.
    """

    slices: list[slice]
    shapes: list[tuple[int, ...]]
    are_kernels: list[bool]
    size: int

    @classmethod
    def of(
        cls, parameters: Sequence[Tensor], kernels: set[int], like: Tensor
    ) -> "ParameterLayout":
        """Return the layout of parameters; `kernels` are the ids of the kernels."""
        slices, size = aligned_slices([p.numel() for p in parameters], like)
        are_kernels = [id(p) in kernels for p in parameters]
        shapes = [
            _stored_shape(p, is_kernel)
            for p, is_kernel in zip(parameters, are_kernels, strict=True)
        ]
        return cls(slices, shapes, are_kernels, size)

    def views(self, vector: Tensor) -> list[Tensor]:
        """Return views of a vector in the shapes of the parameters."""
        return [self.view(vector, i) for i in range(len(self.slices))]

    def view(self, vector: Tensor, i: int) -> Tensor:
        """Return the view of a vector in the shape of the `i`-th parameter."""
        view = vector[self.slices[i]].view(self.shapes[i])
        return view.movedim(-1, 1) if self.are_kernels[i] else view


def _stored_shape(parameter: Tensor, is_kernel: bool) -> tuple[int, ...]:
    """Return the shape of a parameter in the vector."""
    shape = tuple(parameter.shape)
    if is_kernel:
        n, channels, *sides = shape
        return n, *sides, channels
    return shape


class FrozenParameter(NamedTuple):
    """Values and gradients of a frozen parameter as views, and its values."""

    values: Tensor
    gradients: Tensor
    frozen_values: Tensor


class ParameterVectors(Protocol):
    """Parameters and gradients of a network, each in one vector.

    `FlatParameters` explains the methods.
    """

    @property
    def values(self) -> Tensor:
        """The parameters."""

    @property
    def gradients(self) -> Tensor:
        """The gradients."""

    def alpha_per_layer(self, alpha: float | Sequence[float]) -> tuple[float, ...]:
        """Return the strength of a penalty for each weight."""

    def weight_slices_by_strength(
        self, alpha: float | Sequence[float]
    ) -> list[tuple[slice, float]]:
        """Return slices of weights with the strength of their penalty."""

    def frozen(self) -> list[FrozenParameter]:
        """Return the parameters that a callback has frozen."""


class FlatParameters:
    """Parameters and gradients of a network, each in one vector.

    Parameters
    ----------
    network : nn.Module
        ``parameter.data`` and ``parameter.grad`` of its trainable parameters become
        views of the two vectors. The order is: all weights (`named_weights`), the
        biases of dense layers and convolutions, all other parameters.

    Attributes
    ----------
    values, gradients : Tensor of shape (n,)
        The vectors. ``values.grad`` is ``gradients``. Padding zeros between the
        parameters align each of them in memory.
    parameters : list of nn.Parameter
        The trainable parameters in that order.
    layout : ParameterLayout
        Their places in the vectors. Copies by `copy_network` have the same object.
    """

    def __init__(self, network: nn.Module) -> None:
        weights = [weight for _, weight in named_weights(network)]
        layers = list(weight_layers(network))
        biases = [b for layer in layers if (b := layer.bias) is not None]
        # A dict keeps the position of the first of equal keys, so no parameter appears
        # twice.
        ordered: dict[int, Tensor] = {
            id(p): p for p in (*weights, *biases, *network.parameters())
        }
        parameters = [p for p in ordered.values() if p.requires_grad]
        first = reference_parameter(network)
        kernels = {
            id(layer.weight)
            for layer in layers
            if layer.weight.dim() > 2 and is_own_class(type(layer))
        }
        self.layout = ParameterLayout.of(parameters, kernels, first)
        self.values = torch.zeros(
            self.layout.size, dtype=first.dtype, device=first.device
        )
        for parameter, view in zip(
            parameters, self.layout.views(self.values), strict=True
        ):
            view.copy_(parameter.detach())
            parameter.data = view
        self._set_parameters(parameters, weights)
        self.values.grad = self.gradients

    def _set_parameters(
        self, parameters: Sequence[Tensor], weights: Sequence[Tensor]
    ) -> None:
        """Set the attributes that refer to the parameters of the network."""
        self.parameters = list(parameters)
        self._numbers = {id(p): i for i, p in enumerate(parameters)}
        self._weights = list(weights)

    def copy(self) -> "FlatParameters":
        """Return new parameters with the same values, for a copy of the network.

        All parameters of the network are trainable. The gradients of the copy are
        allocated when they are first read. A member of a pack never reads them.
        """
        copied = object.__new__(type(self))
        copied.layout = self.layout
        copied.values = self.values.clone()
        parameters = list(map(nn.Parameter, self.layout.views(copied.values)))
        # The weights come first.
        copied._set_parameters(parameters, parameters[: len(self._weights)])
        return copied

    def copy_modules(
        self, network: nn.Module, parameters: "FlatParameters"
    ) -> nn.Module:
        """Return a copy of the network with the parameters that `copy` has made."""
        pairs = zip(self.parameters, parameters.parameters, strict=True)
        return copy_modules(network, {id(p): copied for p, copied in pairs})

    @cached_property
    def gradients(self) -> Tensor:
        """The vector of the gradients."""
        gradients = torch.zeros_like(self.values)
        views = self.layout.views(gradients)
        for parameter, view in zip(self.parameters, views, strict=True):
            parameter.grad = view
        self.values.grad = gradients
        return gradients

    def slice_of(self, parameter: Tensor) -> slice:
        """Return the slice of the vector that holds a trainable parameter."""
        return self.layout.slices[self._numbers[id(parameter)]]

    def gradient_of(self, parameter: Tensor) -> Tensor | None:
        """Return the gradient of a parameter as a view; None if it is not trainable."""
        i = self._numbers.get(id(parameter))
        return None if i is None else self.layout.view(self.gradients, i)

    def expand(self, values: Sequence[float]) -> Tensor:
        """Return a vector that repeats one value for each element of a parameter."""
        vector = torch.ones_like(self.values)
        for parameter, value in zip(self.parameters, values, strict=True):
            vector[self.slice_of(parameter)] = value
        return vector

    def members_in_module_shape(self, tensor: Tensor, parameter: Tensor) -> Tensor:
        """View ``(members, ...)`` of the stored shape in the shape of a parameter."""
        is_kernel = self.layout.are_kernels[self._numbers[id(parameter)]]
        return tensor.movedim(-1, 2) if is_kernel else tensor

    def frozen(self) -> list[FrozenParameter]:
        """Return the parameters that a callback has frozen.

        A callback may set ``requires_grad`` to False after this object was created.
        """
        slices = [self.slice_of(p) for p in self.parameters if not p.requires_grad]
        return [
            FrozenParameter(
                self.values[at], self.gradients[at], self.values[at].clone()
            )
            for at in slices
        ]

    def alpha_per_layer(self, alpha: float | Sequence[float]) -> tuple[float, ...]:
        """Return the strength of a penalty for each weight; a scalar is repeated."""
        n_weights = len(self._weights)
        alphas = per_layer("alpha", alpha, n_weights, f"there are {n_weights} layers")
        if any(a < 0 for a in alphas):
            raise ValueError(f"alpha must be >= 0 for every layer, got {alpha!r}.")
        return tuple(map(float, alphas))

    def weight_slices_by_strength(
        self, alpha: float | Sequence[float]
    ) -> list[tuple[slice, float]]:
        """Return slices of weights with the strength of their penalty or weight decay.

        `alpha` is a scalar or has one entry for each layer. Neighboring layers of equal
        strength share a slice. Layers with strength 0 have none.
        """
        return join_slices(
            (self.slice_of(weight), layer_alpha)
            for weight, layer_alpha in zip(
                self._weights, self.alpha_per_layer(alpha), strict=True
            )
            if id(weight) in self._numbers
        )

    def hidden_matrices(self) -> list[Tensor]:
        """Return the trainable weights of all layers but the last as matrices.

        Each is a view ``(out, in)`` of the vector, with its gradient.
        """
        matrices = []
        for weight in self._weights[:-1]:
            if id(weight) in self._numbers:
                parameter_slice = self.slice_of(weight)
                matrix = self.values[parameter_slice].view(len(weight), -1)
                matrix.grad = self.gradients[parameter_slice].view_as(matrix)
                matrices.append(matrix)
        return matrices

    def after_hidden_matrices(self) -> Tensor:
        """Return the part of the vector after `hidden_matrices`, with its gradient."""
        hidden = {id(weight) for weight in self._weights[:-1]}
        starts = [
            self.slice_of(p).start for p in self.parameters if id(p) not in hidden
        ]
        start = min(starts, default=len(self.values))
        rest = self.values[start:]
        rest.grad = self.gradients[start:]
        return rest


def join_slices(
    slices: Iterable[tuple[slice, float]],
) -> list[tuple[slice, float]]:
    """Join neighboring slices of equal strength; leave those with strength 0 out."""
    joined: list[tuple[slice, float]] = []
    for current, strength in slices:
        if strength == 0:
            continue
        if joined and joined[-1][1] == strength:
            current = slice(joined.pop()[0].start, current.stop)
        joined.append((current, strength))
    return joined


def own_storages(network: nn.Module) -> nn.Module:
    """Give every parameter a storage of its own, which a pickle holds once.

    A pickle of a tensor holds the whole storage that the tensor is a view of.
    """
    for parameter in network.parameters():
        parameter.data = parameter.data.clone(memory_format=torch.preserve_format)
    return network


def aligned_slices(sizes: Sequence[int], like: Tensor) -> tuple[list[slice], int]:
    """Return aligned slices of these sizes in one vector, and the size of the vector.

    `like` has the dtype of the vector.
    """
    step = ALIGNMENT // like.element_size()
    slices, end = [], 0
    for size in sizes:
        slices.append(slice(end, end + size))
        end += -(-size // step) * step  # rounded up
    return slices, end
