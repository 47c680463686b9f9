"""The interface of losses, and the output activations.

Every loss maps logits ``(..., batch, outputs)`` and targets to the losses of the
samples ``(..., batch)``, and to the gradient of each loss with respect to its logits.
Leading dimensions are the members of a pack.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn


class Loss(nn.Module, ABC):
    """A loss, with the output activation that turns logits into predictions.

    - Training calls `loss_terms_and_gradient` for each batch, and `mean_loss` for many
      batches at once.
    - A subclass implements `loss_and_gradient`. `prior_logits` is optional.
    - `sample_losses` and `forward` are for autograd and skorch.
    """

    output_activation: str

    # Whether the gradient is computed by autograd, which rejects tensors of torch's
    # inference mode.
    uses_autograd: ClassVar[bool] = False

    # Whether the loss of a batch is a sum of its loss terms with `term_weights`.
    has_term_weights: ClassVar[bool] = False

    # Names of the hyperparameters that may differ between the members of a pack.
    member_hyperparameters: ClassVar[tuple[str, ...]] = ()

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The attributes that distinguish losses of one class."""
        return {k: v for k, v in sorted(vars(self).items()) if not k.startswith("_")}

    def placed_like(self, parameter: Tensor) -> Self:
        """Return the loss for logits in dtype and on device of a parameter."""
        return self

    def for_known_targets(self) -> "Loss":
        """Return an equal loss that may need `term_weights` for fewer kernels a batch.

        They are computed for many batches at once, before these batches.
        """
        return self

    def term_weights(self, y: Tensor, weight: Tensor, n_outputs: int) -> Tensor:
        """Return the weights of loss terms, if the loss has them.

        They replace the sample weights in all methods.

        Parameters
        ----------
        y : Tensor of shape (..., batch)
            Targets.
        weight : Tensor of shape (..., batch)
            Sample weights that sum to one for each batch.
        n_outputs : int
            Number of logits of a sample.
        """
        raise NotImplementedError

    @abstractmethod
    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each sample, and its gradient by the logits."""

    def loss_terms_and_gradient(
        self, logits: Tensor, y: Tensor, weight: Tensor | None, n_threads: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Return the loss terms, and the gradient of the mean loss.

        The loss terms are one value for each sample. They are the input of `mean_loss`.
        Here they are the sample losses. `SoftmaxCrossEntropy` returns probabilities
        instead, because the logarithms of many batches are faster at once.

        Parameters
        ----------
        logits : Tensor of shape (..., batch, outputs)
        y : Tensor
            Targets.
        weight : Tensor of shape (..., batch) or None
            Sample weights that sum to one. None weighs all samples equally.
        n_threads : int
            Number of threads that may share the leading dimensions.
        """
        sample_losses, grad = self.loss_and_gradient(logits, y)
        return sample_losses, weigh_gradient(grad, weight)

    def mean_loss(self, loss_terms: Tensor, weight: Tensor | None) -> Tensor:
        """Return the mean losses ``(...)`` of batches.

        `loss_terms` are return values of `loss_terms_and_gradient`. They and the sample
        weights have shape ``(..., batch)``.
        """
        if weight is None:
            return loss_terms.mean(-1)
        return torch.linalg.vecdot(loss_terms, weight)

    def prior_logits(self, y: Tensor, weight: Tensor, n_outputs: int) -> Tensor:
        """Return the constant logits ``(n_outputs,)`` that minimize the loss.

        The base class returns zeros. Subclasses count an absent class as half a sample.
        """
        return torch.zeros(n_outputs, dtype=torch.float64)

    def sample_losses(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each sample, differentiable by autograd."""
        return _HandwrittenGradient.apply(logits, y, self)

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss of a batch, for skorch's callbacks."""
        return self.sample_losses(logits, y).mean()


class _HandwrittenGradient(torch.autograd.Function):
    """Lets autograd use the handwritten gradient of a loss."""

    @staticmethod
    def forward(ctx, logits, y, loss):
        sample_losses, grad = loss.loss_and_gradient(logits, y)
        ctx.save_for_backward(grad)
        return sample_losses

    @staticmethod
    def backward(ctx, *grads):
        (grad,) = ctx.saved_tensors
        return grad * grads[0].unsqueeze(-1), None, None


def join_losses(losses: Sequence[Loss], like: Tensor) -> Loss:
    """Return one loss for the members of a pack.

    Hyperparameters that differ between the members become tensors ``(members, 1, n)``
    in dtype and on device of `like`. They are numbers (n is 1) or tuples of n numbers.
    """
    joined = copy.copy(losses[0])
    for name in joined.member_hyperparameters:
        values = [getattr(loss, name) for loss in losses]
        if any(value != values[0] for value in values):
            tensor = like.new_tensor(values)  # (members,) or (members, n)
            setattr(joined, name, tensor.view(len(losses), 1, -1))
    return joined


def weigh_gradient(grad: Tensor, weight: Tensor | None) -> Tensor:
    """Scale sample gradients ``(..., batch, outputs)`` in place for the mean loss."""
    if weight is None:
        return grad.mul_(1.0 / grad.shape[-2])
    return grad.mul_(weight.unsqueeze(-1))


def _probability(logits: Tensor) -> Tensor:
    """Return the logistic function, clamped to the open interval (0, 1)."""
    finfo = torch.finfo(logits.dtype)
    return torch.sigmoid(logits).clamp_(finfo.tiny, 1.0 - finfo.eps / 2)


def over_classes(function: Callable[[Tensor, int], Tensor], logits: Tensor) -> Tensor:
    """Apply softmax or its logarithm over the classes."""
    batch, n_classes = logits.shape[-2:]
    if n_classes >= batch:
        return function(logits, -1)
    # torch vectorizes over the last dimension, which should be the longer one.
    return function(logits.mT, -2).mT


OUTPUT_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": partial(over_classes, torch.softmax),
    "logistic": _probability,
    "identity": lambda logits: logits,
    "exp": torch.exp,
}
