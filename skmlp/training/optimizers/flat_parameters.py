"""All trainable parameters of a network as views of one vector.

An update, a norm or a snapshot is then one operation for any number of layers. The
parameters share the memory of the vector: to change one is to change the other.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skmlp.training.compute.memory import ALIGNMENT
from skmlp.training.modules.introspection import (
    is_own_class,
    named_weights,
    reference_parameter,
    weight_layers,
)
from skmlp.training.modules.layers import per_layer


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
    """

    def __init__(self, network: nn.Module) -> None:
        weights = [weight for _, weight in named_weights(network)]
        biases = [
            b for layer in weight_layers(network) if (b := layer.bias) is not None
        ]
        # A dict keeps the position of the first of equal keys, so no parameter appears
        # twice.
        ordered: dict[int, Tensor] = {
            id(p): p for p in (*weights, *biases, *network.parameters())
        }
        self.parameters = [p for p in ordered.values() if p.requires_grad]
        first = reference_parameter(network)
        slices, size = aligned_slices([p.numel() for p in self.parameters], first)
        self._slices = {
            id(p): parameter_slice
            for p, parameter_slice in zip(self.parameters, slices, strict=True)
        }
        self._weights = weights
        # The kernels of skmlp's own convolutions. A user's module may view its kernels.
        self._kernels = {
            id(layer.weight)
            for layer in weight_layers(network)
            if layer.weight.dim() > 2 and is_own_class(type(layer))
        }
        self.values = torch.zeros(size, dtype=first.dtype, device=first.device)
        self.gradients = torch.zeros_like(self.values)
        for parameter in self.parameters:
            parameter_slice = self._slices[id(parameter)]
            view = self._view_like(parameter, self.values[parameter_slice])
            view.copy_(parameter.detach())
            parameter.data = view
            parameter.grad = self._view_like(parameter, self.gradients[parameter_slice])
        self.values.grad = self.gradients

    def slice_of(self, parameter: Tensor) -> slice:
        """Return the slice of the vector that holds a trainable parameter."""
        return self._slices[id(parameter)]

    def gradient_of(self, parameter: Tensor) -> Tensor | None:
        """Return the gradient of a parameter as a view; None if it is not trainable."""
        parameter_slice = self._slices.get(id(parameter))
        return (
            None
            if parameter_slice is None
            else self._view_like(parameter, self.gradients[parameter_slice])
        )

    def expand(self, values: Sequence[float]) -> Tensor:
        """Return a vector that repeats one value for each element of a parameter."""
        vector = torch.ones_like(self.values)
        for parameter, value in zip(self.parameters, values, strict=True):
            vector[self.slice_of(parameter)] = value
        return vector

    def stored_shape(self, parameter: Tensor) -> tuple[int, ...]:
        """Return the shape of a parameter in the vector; kernels are channels last."""
        shape = tuple(parameter.shape)
        if id(parameter) in self._kernels:
            n, channels, *sides = shape
            return n, *sides, channels
        return shape

    def _view_like(self, parameter: Tensor, vector: Tensor) -> Tensor:
        """View `vector` in the shape of `parameter`."""
        view = vector.view(self.stored_shape(parameter))
        return view.movedim(-1, 1) if id(parameter) in self._kernels else view

    def members_in_module_shape(self, tensor: Tensor, parameter: Tensor) -> Tensor:
        """View ``(members, ...)`` of `stored_shape` in the shape of a parameter."""
        return tensor.movedim(-1, 2) if id(parameter) in self._kernels else tensor

    def frozen(self) -> list[tuple[slice, Tensor]]:
        """Return slices and copies of the parameters that a callback has frozen.

        A callback may set ``requires_grad`` to False after this object was created.
        """
        slices = [self._slices[id(p)] for p in self.parameters if not p.requires_grad]
        return [
            (parameter_slice, self.values[parameter_slice].clone())
            for parameter_slice in slices
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
        slices: list[tuple[slice, float]] = []
        alphas = self.alpha_per_layer(alpha)
        for weight, layer_alpha in zip(self._weights, alphas, strict=True):
            parameter_slice = self._slices.get(id(weight))
            if parameter_slice is None or layer_alpha == 0:
                continue
            if slices and slices[-1][1] == layer_alpha:
                parameter_slice = slice(slices.pop()[0].start, parameter_slice.stop)
            slices.append((parameter_slice, layer_alpha))
        return slices

    def hidden_matrices(self) -> list[Tensor]:
        """Return the trainable weights of all layers but the last as matrices.

        Each is a view ``(out, in)`` of the vector, with its gradient.
        """
        matrices = []
        for weight in self._weights[:-1]:
            parameter_slice = self._slices.get(id(weight))
            if parameter_slice is not None:
                matrix = self.values[parameter_slice].view(len(weight), -1)
                matrix.grad = self.gradients[parameter_slice].view_as(matrix)
                matrices.append(matrix)
        return matrices

    def after_hidden_matrices(self) -> Tensor:
        """Return the part of the vector after `hidden_matrices`, with its gradient."""
        hidden = {id(weight) for weight in self._weights[:-1]}
        starts = [s.start for key, s in self._slices.items() if key not in hidden]
        start = min(starts, default=len(self.values))
        rest = self.values[start:]
        rest.grad = self.gradients[start:]
        return rest


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
