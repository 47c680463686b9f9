"""Activation functions by name, as torch modules with their written-out derivatives.

Names are those of scikit-learn (``identity``, ``logistic``, ``tanh``, ``relu``), then
those of torch.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

_aten = torch.ops.aten

MODULES: dict[str, Callable[..., nn.Module]] = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
}

# Pooling by maximum commutes with these, so it may come first and save work.
NON_DECREASING = frozenset(MODULES) - {"prelu", "gelu", "silu"}


def make_activation(name: str, **params: float) -> nn.Module:
    """Return the torch module of the activation called `name`."""
    return MODULES[name](**params)


def _logistic_backward(delta: Tensor, output: Tensor) -> Tensor:
    return _aten.sigmoid_backward.grad_input(delta, output, grad_input=delta)


def _tanh_backward(delta: Tensor, output: Tensor) -> Tensor:
    return _aten.tanh_backward.grad_input(delta, output, grad_input=delta)


def _relu_backward(delta: Tensor, output: Tensor) -> Tensor:
    return _aten.threshold_backward.grad_input(delta, output, 0, grad_input=delta)


def _identity_backward(delta: Tensor, output: Tensor) -> Tensor:
    return delta


# Forward in place on the pre-activation, and backward in place on the derivative by the
# output, as a function of the output: what is left of each layer after its forward pass
# is its output alone.
HANDWRITTEN_GRADIENTS: dict[
    type[nn.Module],
    tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]],
] = {
    nn.Identity: (lambda z: z, _identity_backward),
    nn.Sigmoid: (torch.sigmoid_, _logistic_backward),
    nn.Tanh: (torch.tanh_, _tanh_backward),
    nn.ReLU: (torch.relu_, _relu_backward),
}

# A unit of these whose weights are all zero outputs zero, and keeps its weights.
ZERO_AT_ZERO = frozenset({nn.Identity, nn.Tanh, nn.ReLU})
