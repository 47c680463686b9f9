"""Losses of classifiers."""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from skmlp.training.compute.threads import using_threads
from skmlp.training.losses.base import Loss, over_classes, weigh_gradient


@cache
def _log_bounds(dtype: torch.dtype) -> tuple[float, float]:
    """Return log(eps) and log(1 - eps), the bounds in scikit-learn's ``log_loss``."""
    eps = torch.finfo(dtype).eps
    return math.log(eps), math.log1p(-eps)


def _clip_log(log_probability: Tensor) -> Tensor:
    """Clip log-probabilities like scikit-learn's ``log_loss`` clips probabilities."""
    return log_probability.clamp(*_log_bounds(log_probability.dtype))


def _log_softmax(logits: Tensor) -> Tensor:
    """Return log-probabilities."""
    return over_classes(torch.log_softmax, logits)


def _softmax(logits: Tensor) -> Tensor:
    """Return probabilities.

    They equal the ones of `SoftmaxCrossEntropy.loss_and_gradient` exactly, because both
    are computed from `_log_softmax`.
    """
    return _log_softmax(logits).exp_()


def _softmax_of_members(logits: Tensor, n_threads: int) -> Tensor:
    """Return probabilities of the members of a pack; each thread gets whole members."""
    # torch vectorizes the exponential function, and uses a scalar one for the last
    # values of each thread's part. A split within a member would therefore change the
    # rounding.
    with using_threads(n_threads if len(logits) % n_threads == 0 else 1):
        return over_classes(torch.softmax, logits)


def _normalized_weights(weight: Tensor) -> Tensor:
    """Return sample weights that sum to one, equal ones if all are zero."""
    weight = weight.double().clamp_min(0.0)
    weight = weight if weight.any() else torch.ones_like(weight)
    weight = weight / weight.max()  # the sum of large weights may overflow
    return weight / weight.sum()


def _log_priors(priors: Tensor, weight: Tensor) -> Tensor:
    """Return log-priors; an absent class counts as half a sample."""
    half_a_sample = 0.5 / float(torch.count_nonzero(weight))
    return torch.where(priors > 0, priors, half_a_sample).log()


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
        sample_losses = _clip_log(log_p.gather(-1, index)).neg_().squeeze(-1)
        grad = log_p.exp()
        class_target = 1.0 - self.label_smoothing
        grad.scatter_(-1, index, -class_target, reduce="add")
        if self.label_smoothing:
            mean_log_p = _clip_log(log_p).mean(-1)
            sample_losses = (
                class_target * sample_losses - self.label_smoothing * mean_log_p
            )
            grad -= self.label_smoothing / logits.shape[-1]
        return sample_losses, grad

    def loss_terms_and_gradient(
        self, logits: Tensor, y: Tensor, weight: Tensor | None, n_threads: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Return the probability of each sample's class, and the gradient.

        `mean_loss` computes the logarithms, of many batches at once. With label
        smoothing, the loss terms are the sample losses.
        """
        if self.label_smoothing:
            return super().loss_terms_and_gradient(logits, y, weight)
        index = y.unsqueeze(-1)
        is_pack = logits.dim() > 2
        p = _softmax_of_members(logits, n_threads) if is_pack else _softmax(logits)
        class_p = p.gather(-1, index)
        # The gradient is p, minus one for the class. Both branches give the same
        # result. Each is the faster one for its number of dimensions.
        if is_pack:
            p.scatter_add_(-1, index, torch.full_like(class_p, -1.0))
        else:
            p.scatter_(-1, index, -1.0, reduce="add")
        return class_p.squeeze(-1), weigh_gradient(p, weight)

    def mean_loss(self, loss_terms: Tensor, weight: Tensor | None) -> Tensor:
        """Return the mean losses ``(...)`` of batches.

        Without label smoothing, `loss_terms` are probabilities.
        """
        if self.label_smoothing:
            return super().mean_loss(loss_terms, weight)
        eps = torch.finfo(loss_terms.dtype).eps
        log_p = loss_terms.clamp(eps, 1.0 - eps).log_()
        return super().mean_loss(log_p.neg_(), weight)

    def for_known_targets(self) -> Loss:
        """Return an equal loss that needs two kernels a batch."""
        return WeightedSoftmaxCrossEntropy(self.label_smoothing)

    def prior_logits(self, y: Tensor, weight: Tensor, n_outputs: int) -> Tensor:
        """Return the logarithms of the class priors, with label smoothing."""
        weight = _normalized_weights(weight)
        priors = weight.new_zeros(n_outputs).index_add_(0, y, weight)
        priors = (1.0 - self.label_smoothing) * priors
        logits = _log_priors(priors + self.label_smoothing / n_outputs, weight)
        return logits - logits.mean()


class WeightedSoftmaxCrossEntropy(SoftmaxCrossEntropy):
    """`SoftmaxCrossEntropy` as a weighted sum of the log-probabilities of all classes.

    The weights are minus the target probabilities times the sample weights. They are
    computed for many batches at once. A batch then needs only the logarithm of the
    softmax and its derivative.
    """

    has_term_weights = True

    def term_weights(self, y: Tensor, weight: Tensor, n_outputs: int) -> Tensor:
        """Return the weights of the log-probabilities ``(..., batch, classes)``.

        On a CPU they have the memory layout of `over_classes`.
        """
        class_dim = -2 if y.is_cpu and n_outputs < y.shape[-1] else -1
        weight = weight.unsqueeze(class_dim)
        s = self.label_smoothing
        if y.is_cpu and not s:  # fewer calls
            shape = (
                (*y.shape, n_outputs)
                if class_dim == -1
                else (*y.shape[:-1], n_outputs, y.shape[-1])
            )
            weights = weight.new_zeros(shape)
            weights.scatter_(class_dim, y.unsqueeze(class_dim), weight.neg())
            return weights if class_dim == -1 else weights.mT
        weights = (weight * (-s / n_outputs)).repeat_interleave(n_outputs, class_dim)
        weights.scatter_add_(class_dim, y.unsqueeze(class_dim), weight * (s - 1.0))
        return weights if class_dim == -1 else weights.mT

    def loss_terms_and_gradient(
        self, logits: Tensor, y: Tensor, weight: Tensor | None, n_threads: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Return the log-probabilities, and the gradient.

        `weight` is a batch of `term_weights`.
        """
        assert weight is not None
        # The second function multiplies the weights by the derivative of the first one.
        if logits.is_cpu and logits.shape[-1] < logits.shape[-2]:  # see `over_classes`
            log_p = torch.log_softmax(logits.mT, -2)
            grad = torch._log_softmax_backward_data(weight.mT, log_p, -2, logits.dtype)
            return log_p.mT, grad.mT
        log_p = torch.log_softmax(logits, -1)
        grad = torch._log_softmax_backward_data(weight, log_p, -1, logits.dtype)
        return log_p, grad

    def mean_loss(self, loss_terms: Tensor, weight: Tensor | None) -> Tensor:
        """Return the mean losses ``(...)`` of batches.

        `loss_terms` and `weight` have the shape ``(..., batch, classes)``.
        """
        assert weight is not None
        return (_clip_log(loss_terms) * weight).sum((-2, -1))


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
        # log(1 - p) is inaccurate for p near 1. It is scikit-learn's formula, and the
        # loss curve has to be equal, because it decides when to stop.
        eps = torch.finfo(p.dtype).eps
        clipped = p.clamp(eps, 1.0 - eps)
        log_p = torch.xlogy(target, clipped) + torch.xlogy(1.0 - target, 1.0 - clipped)
        return log_p.sum(-1).neg_(), p - target

    def prior_logits(self, y: Tensor, weight: Tensor, n_outputs: int) -> Tensor:
        """Return the log-odds of a one in each output, with label smoothing."""
        weight = _normalized_weights(weight)
        ones, zeros = (
            (1.0 - self.label_smoothing) * (weight @ target) + self.label_smoothing / 2
            for target in (y.double(), 1.0 - y.double())
        )
        return _log_priors(ones, weight) - _log_priors(zeros, weight)


class KullbackLeibler(Loss):
    """Kullback-Leibler divergence from target to predicted probabilities.

    The formula is ``sum t log(t / p)`` with targets t and the softmax p of the logits.
    """

    output_activation = "softmax"

    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Targets are probabilities, of the shape of the logits."""
        target = y.to(logits.dtype)
        log_p = _log_softmax(logits)
        divergences = torch.xlogy(target, target) - target * _clip_log(log_p)
        grad = log_p.exp() * target.sum(-1, keepdim=True) - target
        return divergences.sum(-1), grad

    def prior_logits(self, y: Tensor, weight: Tensor, n_outputs: int) -> Tensor:
        """Return the logarithms of the mean probabilities."""
        weight = _normalized_weights(weight)
        logits = _log_priors(weight @ y.double(), weight)
        return logits - logits.mean()


class Hinge(Loss):
    """Multi-class hinge loss of Crammer and Singer (2001), optionally squared.

    - With exclusive classes (multiclass targets, one class per sample) it is ``max(0, 1
      + m - z)`` with the logit z of the class and the maximum m of the other logits.
    - Otherwise (two classes with one logit, or several labels) it is ``max(0, 1 - s
      z)`` with the sign s of the target, summed over the outputs.
    - Probabilities are the softmax or logistic function of the logits, uncalibrated.
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
        hinge = margin.clamp_min(0.0)
        if self.squared:
            return hinge.square().sum(-1), direction * (2.0 * hinge)
        return hinge.sum(-1), direction * (margin > 0)


class _Focal(Loss):
    """Focal loss ``-(1 - p)**gamma log(p)`` with the probability p of the label.

    Samples that are classified well count less than in the cross-entropy, which is the
    case of gamma 0 (Lin et al. 2017, arXiv:1708.02002).
    """

    member_hyperparameters = ("gamma",)

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma: float | Tensor = gamma

    def _of_log_probability(self, log_p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the loss, its derivative by log(p), and 1 - p."""
        rest = -torch.expm1(log_p)  # 1 - p, accurate for p near 1
        factor = rest**self.gamma
        # log(p) / (1 - p) tends to -1 for p near 1.
        ratio = torch.where(rest > 0, log_p / rest, -1.0)
        derivative = factor * (self.gamma * log_p.exp() * ratio - 1.0)
        return -factor * _clip_log(log_p), derivative, rest


class SoftmaxFocal(_Focal):
    """Focal loss of a softmax against class indices."""

    output_activation = "softmax"

    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Targets are class indices of shape ``(..., batch)``."""
        log_p = _log_softmax(logits)
        index = y.unsqueeze(-1)
        losses, derivative, _ = self._of_log_probability(log_p.gather(-1, index))
        # The derivative of log(p) of the class is one for its logit, minus p.
        grad = -derivative * log_p.exp()
        return losses.squeeze(-1), grad.scatter_add(-1, index, derivative)

    def prior_logits(self, y: Tensor, weight: Tensor, n_outputs: int) -> Tensor:
        """Return the logarithms of the class priors."""
        return SoftmaxCrossEntropy().prior_logits(y, weight, n_outputs)


class LogisticFocal(_Focal):
    """Focal loss of logistic outputs against 0 or 1, summed over the outputs."""

    output_activation = "logistic"

    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Targets are 0 or 1, of the shape of the logits."""
        sign = 2.0 * y.to(logits.dtype) - 1.0
        log_p = F.logsigmoid(sign * logits)
        losses, derivative, rest = self._of_log_probability(log_p)
        return losses.sum(-1), derivative * sign * rest

    def prior_logits(self, y: Tensor, weight: Tensor, n_outputs: int) -> Tensor:
        """Return the log-odds of a one in each output."""
        return LogisticCrossEntropy().prior_logits(y, weight, n_outputs)


CLASSIFICATION_LOSSES = (
    "log_loss",
    "hinge",
    "squared_hinge",
    "kullback_leibler",
    "focal",
)


def classification_loss(
    name: str, exclusive: bool, label_smoothing: float, focal_gamma: float = 2.0
) -> Loss:
    """Return the loss called `name`.

    With `exclusive` classes (multiclass, one class per sample) the targets are class
    indices. Otherwise they are 0 or 1 for each output.
    """
    if name == "kullback_leibler":
        return KullbackLeibler()
    if name == "log_loss":
        if exclusive:
            return SoftmaxCrossEntropy(label_smoothing)
        return LogisticCrossEntropy(label_smoothing)
    if name == "focal":
        return (SoftmaxFocal if exclusive else LogisticFocal)(focal_gamma)
    return Hinge(exclusive, squared=name == "squared_hinge")
