"""Losses of regressors."""

import math
from abc import abstractmethod

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
    """Half of the squared error up to a residual of 1, then linear (Huber 1964)."""

    def loss_of_residual(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Return Huber's function and the clipped residual."""
        clipped = residual.clamp(-1.0, 1.0)
        return clipped * (residual - 0.5 * clipped), clipped


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


REGRESSION_LOSSES: dict[str, type[Loss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "log_cosh": LogCosh,
    "poisson": Poisson,
}
