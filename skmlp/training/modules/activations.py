"""Activation functions by name, as torch modules, with handwritten derivatives.

The first four names are scikit-learn's, the others are torch's.
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

# Max pooling gives the same result before and after these activations. It is applied
# before them, so that fewer values are activated.
NON_DECREASING = frozenset(MODULES) - {"prelu", "gelu", "silu"}


def make_activation(name: str, **params: float) -> nn.Module:
    """Return the torch module of the activation called `name`."""
    return MODULES[name](**params)


def _logistic_backward(grad: Tensor, output: Tensor) -> Tensor:
    return _aten.sigmoid_backward.grad_input(grad, output, grad_input=grad)


def _tanh_backward(grad: Tensor, output: Tensor) -> Tensor:
    return _aten.tanh_backward.grad_input(grad, output, grad_input=grad)


def _relu_backward(grad: Tensor, output: Tensor) -> Tensor:
    return _aten.threshold_backward.grad_input(grad, output, 0, grad_input=grad)


def _identity_backward(grad: Tensor, output: Tensor) -> Tensor:
    return grad


# Pairs of a forward and a backward function. Both overwrite their first argument.
# The backward function takes the gradient of the output and the output. It returns the
# gradient of the input. A layer therefore has to store only its output.
IN_PLACE_ACTIVATIONS: dict[
    type[nn.Module],
    tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]],
] = {
    nn.Identity: (lambda z: z, _identity_backward),
    nn.Sigmoid: (torch.sigmoid_, _logistic_backward),
    nn.Tanh: (torch.tanh_, _tanh_backward),
    nn.ReLU: (torch.relu_, _relu_backward),
}

# Padding units of these activations, whose weights are all zero, output zero. Their
# weights stay zero in training. Narrower networks of a pack can therefore be padded.
ZERO_AT_ZERO = frozenset({nn.Identity, nn.Tanh, nn.ReLU})
