"""Losses of logits, one value a row, with their written-out derivatives.

Every loss maps logits of shape ``(..., batch, outputs)`` and targets to one value a row
and, in `loss_and_gradient`, to the derivative of that value by the logits. Leading
dimensions are models trained side by side.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmlp.training.compute.thread_tuning import tuned_thread_count
from skmlp.training.compute.threads import using_threads


class Loss(nn.Module, ABC):
    """A loss with the output activation that turns its logits into predictions."""

    output_activation: str

    @abstractmethod
    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each row and its derivative by the logits."""

    def sample_losses_and_gradient(
        self, logits: Tensor, y: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return what `mean_loss` needs of each row, and the derivative of the mean.

        Rows count by their weights ``(..., batch)``, which sum to one, or all the same.
        Means can wait to be computed for many batches at once.
        """
        value, delta = self.loss_and_gradient(logits, y)
        return value, _weigh(delta, weight)

    def mean_loss(self, rows: Tensor, weight: Tensor | None) -> Tensor:
        """Return the means over batches of rows, with their weights if they have any.

        Both have shape ``(..., batch)``.
        """
        return rows.mean(-1) if weight is None else torch.linalg.vecdot(rows, weight)

    def prior_logits(self, y: Tensor, weight: Tensor, n_outputs: int) -> Tensor:
        """Return what to predict of rows whose features are not known.

        The logits ``(n_outputs,)`` of least loss where they have a formula, else zeros.
        A target that no row has counts as half a row.
        """
        return torch.zeros(n_outputs, dtype=torch.float64)

    def value(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each row, differentiable by autograd."""
        return _HandwrittenGradient.apply(logits, y, self)

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss of a batch, as callbacks of skorch ask for it."""
        return self.value(logits, y).mean()


class _HandwrittenGradient(torch.autograd.Function):
    """Lets autograd use a loss's own derivative, so that there is one formula."""

    @staticmethod
    def forward(ctx, logits, y, loss):
        value, delta = loss.loss_and_gradient(logits, y)
        ctx.save_for_backward(delta)
        return value

    @staticmethod
    def backward(ctx, *grads):
        (delta,) = ctx.saved_tensors
        return delta * grads[0].unsqueeze(-1), None, None


@cache
def _log_bounds(dtype: torch.dtype) -> tuple[float, float]:
    """Return the logarithms of what scikit-learn's probabilities are bounded by."""
    eps = torch.finfo(dtype).eps
    return math.log(eps), math.log1p(-eps)


def _clip_log(log_probability: Tensor) -> Tensor:
    """Bound log-probabilities as scikit-learn bounds the probabilities it reports."""
    return log_probability.clamp(*_log_bounds(log_probability.dtype))


def _few_classes_first(
    function: Callable[[Tensor, int], Tensor], logits: Tensor
) -> Tensor:
    """Apply softmax or its logarithm; of few classes, in the order of these."""
    batch, n_classes = logits.shape[-2:]
    if n_classes >= batch:
        return function(logits, -1)
    # torch vectorises along the rows of a batch.
    return function(logits.mT, -2).mT


def _log_softmax(logits: Tensor) -> Tensor:
    """Return log-probabilities."""
    return _few_classes_first(torch.log_softmax, logits)


def _softmax(logits: Tensor) -> Tensor:
    """Return probabilities, rounded as where `loss_and_gradient` takes logarithms."""
    return _log_softmax(logits).exp_()


def _softmax_of_models(logits: Tensor) -> Tensor:
    """Return probabilities, of models that the team's threads may share."""
    size = tuned_thread_count()
    # Within a model's rows a cut would decide which of two exponentials is taken.
    with using_threads(size if len(logits) % size == 0 else 1):
        return _few_classes_first(torch.softmax, logits)


def _weigh(delta: Tensor, weight: Tensor | None) -> Tensor:
    """Make derivatives of rows ``(..., batch, outputs)`` those of their mean."""
    if weight is None:
        return delta.mul_(1.0 / delta.shape[-2])
    return delta.mul_(weight.unsqueeze(-1))


def _shares_of_rows(weight: Tensor) -> Tensor:
    """Return weights that sum to one, all the same if all are zero."""
    weight = weight.double().clamp_min(0.0)
    weight = weight if weight.any() else torch.ones_like(weight)
    weight = weight / weight.max()  # their sum may not be finite
    return weight / weight.sum()


def _log_totals(totals: Tensor, weight: Tensor) -> Tensor:
    """Return logarithms; a target that no row has counts as half a row."""
    half = 0.5 / float(torch.count_nonzero(weight))
    return torch.where(totals > 0, totals, half).log()


class SoftmaxCrossEntropy(Loss):
    """Cross-entropy of a softmax against class indices, ``-log p[y]``.

    With `label_smoothing` s the target is ``(1 - s)`` on the class plus ``s / K`` on
    each of the K classes (Szegedy et al. 2015, arXiv:1512.00567).
    """

    output_activation = "softmax"

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Targets are class indices of shape ``(..., batch)``."""
        log_p = _log_softmax(logits)
        index = y.unsqueeze(-1)
        value = _clip_log(log_p.gather(-1, index)).neg_().squeeze(-1)
        delta = log_p.exp()
        hit = 1.0 - self.label_smoothing
        delta.scatter_(-1, index, -hit, reduce="add")
        if self.label_smoothing:
            value = hit * value - self.label_smoothing * _clip_log(log_p).mean(-1)
            delta -= self.label_smoothing / logits.shape[-1]
        return value, delta

    def sample_losses_and_gradient(
        self, logits: Tensor, y: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return, of plain targets, the probability of each row's class."""
        if self.label_smoothing:
            return super().sample_losses_and_gradient(logits, y, weight)
        index = y.unsqueeze(-1)
        many = logits.dim() > 2
        p = _softmax_of_models(logits) if many else _softmax(logits)
        of_class = p.gather(-1, index)
        if many:  # the faster of two calls that do the same
            p.scatter_add_(-1, index, torch.full_like(of_class, -1.0))
        else:
            p.scatter_(-1, index, -1.0, reduce="add")
        return of_class.squeeze(-1), _weigh(p, weight)

    def mean_loss(self, rows: Tensor, weight: Tensor | None) -> Tensor:
        """Return the means over batches, of plain targets from the probabilities."""
        if self.label_smoothing:
            return super().mean_loss(rows, weight)
        eps = torch.finfo(rows.dtype).eps
        return super().mean_loss(rows.clamp(eps, 1.0 - eps).log_().neg_(), weight)

    def prior_logits(self, y: Tensor, weight: Tensor, n_outputs: int) -> Tensor:
        """Return the logarithms of the classes' shares, smoothed as the targets are."""
        weight = _shares_of_rows(weight)
        shares = weight.new_zeros(n_outputs).index_add_(0, y, weight)
        shares = (1.0 - self.label_smoothing) * shares
        logits = _log_totals(shares + self.label_smoothing / n_outputs, weight)
        return logits - logits.mean()


class LogisticCrossEntropy(Loss):
    """Cross-entropy of logistic outputs against 0 or 1, summed over the outputs.

    With `label_smoothing` s a target t becomes ``(1 - s) t + s / 2``.
    """

    output_activation = "logistic"

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Targets are 0 or 1, of the shape of the logits."""
        target = y.to(logits.dtype)
        if self.label_smoothing:
            target = (1.0 - self.label_smoothing) * target + self.label_smoothing / 2
        p = torch.sigmoid(logits)
        # log(1 - p) is scikit-learn's, with what 1 - p loses where p is nearly 1: the
        # curve decides when to stop, and so has to be the same.
        eps = torch.finfo(p.dtype).eps
        clipped = p.clamp(eps, 1.0 - eps)
        value = torch.xlogy(target, clipped) + torch.xlogy(1.0 - target, 1.0 - clipped)
        return value.sum(-1).neg_(), p - target

    def prior_logits(self, y: Tensor, weight: Tensor, n_outputs: int) -> Tensor:
        """Return the log-odds of every output's ones, smoothed as the targets are."""
        weight = _shares_of_rows(weight)
        ones, zeros = (
            (1.0 - self.label_smoothing) * (weight @ target) + self.label_smoothing / 2
            for target in (y.double(), 1.0 - y.double())
        )
        return _log_totals(ones, weight) - _log_totals(zeros, weight)


class KullbackLeibler(Loss):
    """Divergence of a softmax from target probabilities, ``sum t log(t / p)``."""

    output_activation = "softmax"

    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Targets are probabilities, of the shape of the logits."""
        target = y.to(logits.dtype)
        log_p = _log_softmax(logits)
        value = (torch.xlogy(target, target) - target * _clip_log(log_p)).sum(-1)
        return value, log_p.exp() * target.sum(-1, keepdim=True) - target

    def prior_logits(self, y: Tensor, weight: Tensor, n_outputs: int) -> Tensor:
        """Return the logarithms of the mean probabilities."""
        weight = _shares_of_rows(weight)
        logits = _log_totals(weight @ y.double(), weight)
        return logits - logits.mean()


class Hinge(Loss):
    """Multi-class hinge of Crammer and Singer (2001), squared on request.

    ``max(0, 1 + max of the other logits - logit of the class)``; where classes do not
    exclude each other or one logit tells two of them apart, ``max(0, 1 - z)`` with the
    sign of the class, summed over the outputs. Probabilities are the softmax (or
    logistic) of the logits, uncalibrated.
    """

    def __init__(self, exclusive: bool, squared: bool = False) -> None:
        super().__init__()
        self.output_activation = "softmax" if exclusive else "logistic"
        self.exclusive = exclusive
        self.squared = squared

    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Targets are class indices, or 0 and 1 of the shape of the logits."""
        if self.exclusive:
            index = y.unsqueeze(-1)
            rival = logits.scatter(-1, index, -math.inf).argmax(-1, keepdim=True)
            margin = 1.0 + logits.gather(-1, rival) - logits.gather(-1, index)
            one = torch.ones_like(margin)
            direction = torch.zeros_like(logits)
            direction.scatter_add_(-1, rival, one).scatter_add_(-1, index, -one)
        else:
            direction = 1.0 - 2.0 * y.to(logits.dtype)
            margin = 1.0 + direction * logits
        value = margin.clamp_min(0.0)
        if self.squared:
            return value.square().sum(-1), direction * (2.0 * value)
        return value.sum(-1), direction * (margin > 0)


class SquaredError(Loss):
    """Half the squared error, averaged over the outputs as scikit-learn reports it.

    scikit-learn's update uses the gradient of the sum over the outputs; so does ours.
    """

    output_activation = "identity"

    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Targets have the shape of the logits."""
        residual = logits - y
        return 0.5 * residual.square().mean(-1), residual


class _Elementwise(Loss):
    """A regression loss that sums one term for each output."""

    output_activation = "identity"

    @abstractmethod
    def term(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each residual and its derivative."""

    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Targets have the shape of the logits."""
        value, delta = self.term(logits - y)
        return value.sum(-1), delta


class AbsoluteError(_Elementwise):
    """Absolute error; the derivative at zero is zero."""

    def term(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``|r|`` and its sign."""
        return residual.abs(), residual.sign()


class Huber(_Elementwise):
    """Half the squared error within 1 of the target, linear beyond (Huber 1964)."""

    def term(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Return Huber's function and the clipped residual."""
        delta = residual.clamp(-1.0, 1.0)
        return delta * (residual - 0.5 * delta), delta


class LogCosh(_Elementwise):
    """``log(cosh(r))``, a smooth absolute error."""

    def term(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``log cosh r``, written without overflow, and ``tanh r``."""
        size = residual.abs()
        return size + F.softplus(-2.0 * size) - math.log(2.0), residual.tanh()


class Poisson(Loss):
    """Half the Poisson deviance with a log link, summed over the outputs."""

    output_activation = "exp"

    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Targets are non-negative, of the shape of the logits."""
        mean = logits.exp()
        return (torch.xlogy(y, y) - y * logits - y + mean).sum(-1), mean - y


CLASSIFICATION_LOSSES = (
    "log_loss",
    "hinge",
    "squared_hinge",
    "kullback_leibler",
)
REGRESSION_LOSSES: dict[str, type[Loss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "log_cosh": LogCosh,
    "poisson": Poisson,
}


def classification_loss(name: str, exclusive: bool, label_smoothing: float) -> Loss:
    """Return the loss called `name`; `exclusive` targets are class indices."""
    if name == "kullback_leibler":
        return KullbackLeibler()
    if name == "log_loss":
        if exclusive:
            return SoftmaxCrossEntropy(label_smoothing)
        return LogisticCrossEntropy(label_smoothing)
    return Hinge(exclusive, squared=name == "squared_hinge")


def _probability(logits: Tensor) -> Tensor:
    """Return the logistic function, which is never 0 or 1 however it is rounded."""
    finfo = torch.finfo(logits.dtype)
    return torch.sigmoid(logits).clamp_(finfo.tiny, 1.0 - finfo.eps / 2)


OUTPUT_ACTIVATIONS = {
    "softmax": lambda logits: torch.softmax(logits, dim=-1),
    "logistic": _probability,
    "identity": lambda logits: logits,
    "exp": torch.exp,
}
