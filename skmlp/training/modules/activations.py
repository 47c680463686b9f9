"""Activation functions as torch modules, with handwritten derivatives for some.

An activation has a name, or is given by the user as a module or a function. The first
four names are scikit-learn's, the others are torch's.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmlp.training.compute.global_generators import seeded_global_generators
from skmlp.training.compute.memory import temporaries

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
    "mish": nn.Mish,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
}

_NON_DECREASING = frozenset(MODULES) - {"prelu", "gelu", "mish", "silu"}


# A name, a class of modules, a module, or a function of a tensor.
Activation = str | Callable[..., Any]


class FunctionActivation(nn.Module):
    """An activation that a function of the user computes."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations of `x`."""
        return self.function(x)

    def extra_repr(self) -> str:
        """Return the function's name for torch's repr."""
        return _name_of(self.function)


def make_activation(activation: Activation) -> nn.Module:
    """Return a new torch module for an activation.

    A module is copied. A class of modules, or a `functools.partial` of one, is called
    without arguments. Its random numbers do not depend on torch's global generator.
    """
    if isinstance(activation, str):
        return MODULES[activation]()
    if isinstance(activation, nn.Module):
        return copy.deepcopy(activation)
    made_by = activation.func if isinstance(activation, partial) else activation
    if isinstance(made_by, type) and issubclass(made_by, nn.Module):
        with seeded_global_generators(0):
            return activation()
    return FunctionActivation(activation)


def is_non_decreasing(activation: Activation) -> bool:
    """Return whether an activation is known to be monotonically non-decreasing.

    Max pooling then gives the same result before and after it. It is applied before, so
    that fewer values are activated.
    """
    return isinstance(activation, str) and activation in _NON_DECREASING


def check_activation(activation: Any, has_images: bool) -> None:
    """Raise an error for a module or function that cannot be an activation.

    It is tried with a small batch, and with small feature maps for images.

    Raises
    ------
    TypeError
        If it is a class of other objects than modules.
    ValueError
        If it fails, or returns another shape or dtype, or values without a gradient.
    """
    name = _name_of(activation)
    if isinstance(activation, type) and not issubclass(activation, nn.Module):
        raise TypeError(f"activation={name} is a class, but no subclass of nn.Module.")
    for shape in ((2, 6), (2, 4, 6, 6))[: 1 + has_images]:
        with torch.enable_grad():
            x = torch.linspace(-2.0, 2.0, 2 * 6).repeat(24).reshape(-1)
            x = x[: torch.Size(shape).numel()].reshape(shape).requires_grad_() * 1.0
            try:
                output = make_activation(activation)(x)
            except Exception as error:
                raise ValueError(
                    f"activation={name} failed for a tensor of shape {shape}: {error}"
                ) from error
        problem = None
        if not isinstance(output, Tensor):
            problem = f"returns {type(output).__name__}"
        elif tuple(output.shape) != shape:
            problem = f"changes the shape {shape} to {tuple(output.shape)}"
        elif output.dtype != torch.float32:
            problem = f"changes the dtype float32 to {output.dtype}"
        elif not output.isfinite().all():
            problem = "returns values that are not finite for inputs in [-2, 2]"
        elif not output.requires_grad:
            problem = "has no gradient"
        if problem is not None:
            raise ValueError(
                f"activation={name} {problem}; it has to return a differentiable "
                "tensor of the shape and dtype of its input."
            )


def _name_of(activation: Any) -> str:
    """Return the name of a class, function or module for texts."""
    if isinstance(activation, partial):
        return f"partial of {_name_of(activation.func)}"
    name = getattr(activation, "__qualname__", None)
    return repr(activation) if name is None else name


# torch's ``SELU`` is an ELU with these constants (Klambauer et al. 2017,
# arXiv:1706.02515).
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def _logistic_backward(grad: Tensor, output: Tensor) -> Tensor:
    return _aten.sigmoid_backward.grad_input(grad, output, grad_input=grad)


def _tanh_backward(grad: Tensor, output: Tensor) -> Tensor:
    return _aten.tanh_backward.grad_input(grad, output, grad_input=grad)


def _relu_backward(grad: Tensor, output: Tensor) -> Tensor:
    return _aten.threshold_backward.grad_input(grad, output, 0, grad_input=grad)


# The exponential of a smaller number is zero up to rounding, also in float64. Numbers
# near the smallest float32 would slow the processor.
_SMALLEST_EXPONENT = -80.0


def _selu(z: Tensor) -> Tensor:
    """Overwrite `z` by its SELU. On a CPU, torch's kernel takes 1.7 times as long."""
    if not z.is_cpu:
        return F.selu_(z)
    (negative,) = temporaries(z, 1)
    torch.clamp(z, _SMALLEST_EXPONENT, 0.0, out=negative).exp_().sub_(1.0)
    z.clamp_(min=0.0).mul_(_SELU_SCALE)
    return z.add_(negative, alpha=_SELU_SCALE * _SELU_ALPHA)


def _selu_backward(grad: Tensor, output: Tensor) -> Tensor:
    return _aten.elu_backward.grad_input(
        grad, _SELU_ALPHA, _SELU_SCALE, 1.0, True, output, grad_input=grad
    )


def _silu_backward(grad: Tensor, z: Tensor) -> Tensor:
    return _aten.silu_backward.grad_input(grad, z, grad_input=grad)


# For larger arguments, Mish is the identity up to rounding, also in float64.
_LARGEST_CURVED_MISH = 20.0


def _mish(z: Tensor) -> Tensor:
    """Return the Mish of `z`. On a CPU, torch's kernel takes four times as long.

    With ``w = exp(z)``, ``tanh(softplus(z))`` is ``(w**2 + 2 w) / (w**2 + 2 w + 2)``.
    """
    if not z.is_cpu:
        return F.mish(z)
    (w,) = temporaries(z, 1)
    torch.clamp(z, _SMALLEST_EXPONENT, _LARGEST_CURVED_MISH, out=w).exp_()
    numerator = (w + 2.0).mul_(w)
    torch.add(numerator, 2.0, out=w)
    return numerator.div_(w).mul_(z)


def _mish_backward(grad: Tensor, z: Tensor) -> Tensor:
    """Multiply `grad` by the derivative of Mish.

    With ``w = exp(z)`` and ``d = w**2 + 2 w + 2`` the derivative is
    ``1 + (4 z (w**2 + w) / d - 2) / d``.
    """
    if not z.is_cpu:
        return _aten.mish_backward(grad, z)
    curved, w, product = temporaries(z, 3)
    torch.clamp(z, _SMALLEST_EXPONENT, _LARGEST_CURVED_MISH, out=curved)
    torch.exp(curved, out=w)
    torch.add(w, 1.0, out=product).mul_(w)
    reciprocal = w.add_(product).add_(2.0).reciprocal_()
    product.mul_(curved).mul_(reciprocal).mul_(4.0).sub_(2.0)
    return grad.mul_(product.mul_(reciprocal).add_(1.0))


def _identity_backward(grad: Tensor, output: Tensor) -> Tensor:
    return grad


# Pairs of a forward and a backward function. The forward function either overwrites its
# argument by the output, or leaves it. The backward function takes the gradient of the
# output, which it may overwrite, and the argument of the forward function as that has
# left it. It returns the gradient of the input. A layer therefore stores one tensor.
HANDWRITTEN_ACTIVATIONS: dict[
    type[nn.Module],
    tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]],
] = {
    nn.Identity: (lambda z: z, _identity_backward),
    nn.Sigmoid: (torch.sigmoid_, _logistic_backward),
    nn.Tanh: (torch.tanh_, _tanh_backward),
    nn.ReLU: (torch.relu_, _relu_backward),
    nn.SELU: (_selu, _selu_backward),
    nn.SiLU: (F.silu, _silu_backward),
    nn.Mish: (_mish, _mish_backward),
}

# Padding units of these activations, whose weights are all zero, output zero. Their
# weights stay zero in training. Narrower networks of a pack can therefore be padded.
ZERO_AT_ZERO = frozenset({nn.Identity, nn.Tanh, nn.ReLU})
