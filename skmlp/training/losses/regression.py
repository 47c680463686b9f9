"""Losses of regressors."""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from skmlp.training.losses.base import Loss


class SquaredError(Loss):
    """Half of the squared error, averaged over the outputs.

    Note: as in scikit-learn, the gradient is ``n_outputs`` times the derivative of the
    returned loss. It is the derivative of the sum over the outputs.
    """

    output_activation = "identity"

    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Targets have the shape of the logits."""
        residual = logits - y
        return 0.5 * residual.square().mean(-1), residual


class _Elementwise(Loss):
    """A regression loss that is the sum of a function of each output's residual."""

    output_activation = "identity"

    @abstractmethod
    def loss_of_residual(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each residual and its derivative."""

    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Targets have the shape of the logits."""
        terms, grad = self.loss_of_residual(logits - y)
        return terms.sum(-1), grad


class AbsoluteError(_Elementwise):
    """Absolute error; the derivative at zero is zero."""

    def loss_of_residual(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``|r|`` and its sign."""
        return residual.abs(), residual.sign()


class Huber(_Elementwise):
    """Half of the squared error up to a residual of `delta`, then linear (Huber 1964).

    The slope of the linear part is `delta`.
    """

    member_hyperparameters = ("delta",)

    def __init__(self, delta: float = 1.0) -> None:
        super().__init__()
        self.delta: float | Tensor = delta

    def loss_of_residual(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Return Huber's function and the clipped residual."""
        clipped = residual.clamp(-self.delta, self.delta)  # type: ignore[arg-type]
        return clipped * (residual - 0.5 * clipped), clipped


class Quantile(_Elementwise):
    """Pinball loss of quantiles (Koenker and Bassett 1978), summed over the outputs.

    It is ``q (y - z)`` for a target y above the output z, and ``(1 - q) (z - y)``
    below. The derivative at zero is zero. One level q belongs to all outputs, or each
    output has its own level and all have the same target.
    """

    member_hyperparameters = ("levels",)

    def __init__(self, levels: Sequence[float] = (0.5,)) -> None:
        super().__init__()
        self.levels: tuple[float, ...] | Tensor = tuple(map(float, levels))

    def loss_of_residual(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pinball loss of ``z - y`` and its derivative."""
        levels = self.levels
        if isinstance(levels, tuple):
            levels = _level_tensor(levels, residual.dtype, residual.device)
        grad = torch.where(residual > 0, 1.0 - levels, -levels) * (residual != 0)
        return grad * residual, grad


@cache  # a CUDA graph cannot record a copy from the host
def _level_tensor(
    levels: tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Return the levels of quantiles as a tensor ``(levels,)``."""
    with torch.inference_mode(False):
        return torch.tensor(levels, dtype=dtype, device=device)


class LogCosh(_Elementwise):
    """``log(cosh(r))``, a smooth absolute error."""

    def loss_of_residual(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``log cosh r``, computed without overflow, and ``tanh r``."""
        size = residual.abs()
        return size + F.softplus(-2.0 * size) - math.log(2.0), residual.tanh()


class Poisson(Loss):
    """Half of the Poisson deviance with a log link, summed over the outputs."""

    output_activation = "exp"

    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Targets are non-negative, of the shape of the logits."""
        mean = logits.exp()
        return (torch.xlogy(y, y) - y * logits - y + mean).sum(-1), mean - y


REGRESSION_LOSSES: dict[str, Callable[..., Loss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "log_cosh": LogCosh,
    "poisson": Poisson,
    "quantile": Quantile,
}


def regression_loss(
    name: str, levels: Sequence[float] = (0.5,), delta: float = 1.0
) -> Loss:
    """Return the loss called `name`.

    `levels` are those of 'quantile', and `delta` is that of 'huber'.
    """
    if name == "quantile":
        return Quantile(levels)
    if name == "huber":
        return Huber(delta)
    return REGRESSION_LOSSES[name]()
