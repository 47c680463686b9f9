"""All trainable parameters of a network as views of one vector.

An update, a norm, a penalty, a copy of the best weights are then one operation each,
whatever the number of layers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skmlp.training.compute.memory import ALIGNMENT
from skmlp.training.modules.introspection import weight_layers
from skmlp.training.modules.layers import per_layer


class FlatParameters:
    """Parameters and gradients of a network, each in one vector.

    Parameters
    ----------
    network : nn.Module
        Its trainable parameters and their ``grad`` become views of the two vectors:
        first every layer's weights, then the biases, then what else there is.

    Attributes
    ----------
    values, gradients : Tensor of shape (n,)
        The vectors. ``values.grad`` is ``gradients``.
    """

    def __init__(self, network: nn.Module) -> None:
        layers = list(weight_layers(network))
        weights = [layer.weight for layer in layers]
        biases = [layer.bias for layer in layers if layer.bias is not None]
        ordered: dict[int, Tensor] = {
            id(p): p for p in (*weights, *biases, *network.parameters())
        }
        self.parameters = [p for p in ordered.values() if p.requires_grad]
        first = next(network.parameters())
        places, size = aligned([p.numel() for p in self.parameters], first)
        self._slices = {
            id(p): place for p, place in zip(self.parameters, places, strict=True)
        }
        self._weights = weights
        self.values = torch.zeros(size, dtype=first.dtype, device=first.device)
        self.gradients = torch.zeros_like(self.values)
        for parameter in self.parameters:
            place = self._slices[id(parameter)]
            view = _view_like(self.values[place], parameter)
            view.copy_(parameter.detach())
            parameter.data = view
            parameter.grad = _view_like(self.gradients[place], parameter)
        self.values.grad = self.gradients

    def slice_of(self, parameter: Tensor) -> slice:
        """Return where in the vector a trained parameter lies."""
        return self._slices[id(parameter)]

    def gradient_of(self, parameter: Tensor) -> Tensor | None:
        """Return the view of the gradients that belongs to `parameter`, if trained."""
        place = self._slices.get(id(parameter))
        if place is None:
            return None
        return _view_like(self.gradients[place], parameter)

    def frozen(self) -> list[tuple[slice, Tensor]]:
        """Return the stretches, and copies of them, that were frozen since."""
        places = [self._slices[id(p)] for p in self.parameters if not p.requires_grad]
        return [(place, self.values[place].clone()) for place in places]

    def strengths(self, alpha: float | Sequence[float]) -> tuple[float, ...]:
        """Return the strength of an L2 penalty for each layer; one may serve all."""
        n_layers = len(self._weights)
        alphas = per_layer("alpha", alpha, n_layers, f"there are {n_layers} layers")
        if any(strength < 0 for strength in alphas):
            raise ValueError(f"alpha must be >= 0 for every layer, got {alpha!r}.")
        return tuple(map(float, alphas))

    def decays(self, alpha: float | Sequence[float]) -> list[tuple[slice, float]]:
        """Return the stretches of the vector that an L2 penalty shrinks.

        `alpha` is as `strengths` takes it. Adjacent layers of equal strength become one
        stretch.
        """
        stretches: list[tuple[slice, float]] = []
        for weight, strength in zip(self._weights, self.strengths(alpha), strict=True):
            place = self._slices.get(id(weight))
            if place is None or strength == 0:
                continue
            if stretches and stretches[-1][1] == strength:
                place = slice(stretches.pop()[0].start, place.stop)
            stretches.append((place, strength))
        return stretches


def aligned(sizes: Sequence[int], like: Tensor) -> tuple[list[slice], int]:
    """Return where stretches lie in one vector, each aligned, and the vector's size."""
    step = ALIGNMENT // like.element_size()
    places, end = [], 0
    for size in sizes:
        places.append(slice(end, end + size))
        end += -(-size // step) * step
    return places, end


def stored_shape(parameter: Tensor) -> tuple[int, ...]:
    """Return the shape that a parameter has in the vector, images channels last."""
    if parameter.dim() == 4:
        n, channels, height, width = parameter.shape
        return n, height, width, channels
    return tuple(parameter.shape)


def _view_like(vector: Tensor, parameter: Tensor) -> Tensor:
    """View `vector` in the shape of `parameter`."""
    view = vector.view(stored_shape(parameter))
    return view.permute(0, 3, 1, 2) if view.dim() == 4 else view
