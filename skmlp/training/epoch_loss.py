"""The loss of an epoch, summed from the results of its steps."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from skmlp.training.compute.devices import highest_precision_float, upload
from skmlp.training.losses import Loss
from skmlp.training.optimizers.penalty import Penalty

# Maximum numbers of batches, and of their loss terms, whose losses are computed
# together, because a call of torch takes longer than the arithmetic of one batch.
_BATCHES_AT_ONCE = 256
_TERMS_AT_ONCE = 2**20


class BatchLosses(NamedTuple):
    """The results of a step that `EpochLoss` needs to compute the loss of its batch.

    Parameters
    ----------
    loss_terms : Tensor of shape (batch, ...)
        Input of `Loss.mean_loss`, for example sample losses.
    weight : Tensor of the shape of `loss_terms`, or None
        Normalized sample weights, which sum to one, or `Loss.term_weights`.
    total_weight : float
        Sum of the sample weights before normalization. It divides the penalty.
    norms : sequence of Tensor
        Return value of `Penalty.norms`.
    """

    loss_terms: Tensor
    weight: Tensor | None
    total_weight: float
    norms: Sequence[Tensor] = ()


class EpochLoss:
    """Accumulates the weighted losses of batches.

    Parameters
    ----------
    loss : Loss
    penalty : Penalty or None
        Part of the loss of a training set.

    Attributes
    ----------
    sum_of_factors : float
        Sum of the factors that `add` received.
    """

    def __init__(self, loss: Loss, penalty: Penalty | None = None) -> None:
        self.loss = loss
        self.penalty = penalty
        self.sum_of_factors = 0.0
        self._sums: list[Tensor] = []
        self._batches: list[BatchLosses] = []  # pending batches, of equal shapes
        self._factors: list[float] = []

    def add(self, batch: BatchLosses, factor: float) -> None:
        """Add the loss of a batch, times `factor`."""
        batches = self._batches
        if batches and batch.loss_terms.shape != batches[0].loss_terms.shape:
            self._sum_batches()
        self.sum_of_factors += factor
        self._batches.append(batch)
        self._factors.append(factor)
        n_batches = len(self._batches)
        n_terms = n_batches * batch.loss_terms.numel()
        if n_batches == _BATCHES_AT_ONCE or n_terms > _TERMS_AT_ONCE:
            self._sum_batches()

    def _sum_batches(self) -> None:
        """Add the pending batches to the sums."""
        means = self.batch_losses(self._batches)
        self._sums.append(means @ _like(self._factors, means))
        self._batches, self._factors = [], []

    def batch_losses(self, batches: Sequence[BatchLosses]) -> Tensor:
        """Return the losses ``(batches,)`` of batches of equal size, penalty included.

        The dtype is float64 if the device has it.
        """
        loss_terms, weights, batch_totals, norms = zip(*batches, strict=True)
        weight = None if weights[0] is None else torch.stack(weights)
        means = self.loss.mean_loss(torch.stack(loss_terms), weight)
        means = means.to(highest_precision_float(means.device))
        if self.penalty is None:
            return means
        norms_by_slice = map(torch.stack, zip(*norms, strict=True))
        totals = _like(batch_totals, means)
        return means + self.penalty.from_norms(norms_by_slice, totals)

    def sum(self) -> float:
        """Return the sum of the losses, each times its factor."""
        if len(self._batches) == 1 and not self._sums and self._is_on_cpu():
            return self._loss_on_host(self._batches[0]) * self._factors[0]
        return float(self.sum_on_device()) if self._batches or self._sums else 0.0

    def sum_on_device(self) -> Tensor:
        """Return the sum of at least one loss without waiting for the device."""
        if self._batches:
            self._sum_batches()
        return torch.stack(self._sums).sum()

    def _is_on_cpu(self) -> bool:
        """Return whether the results of the pending batches are on the CPU."""
        return self._batches[0].loss_terms.is_cpu

    def _loss_on_host(self, batch: BatchLosses) -> float:
        """Return what `batch_losses` returns for one batch.

        In an epoch of one batch, calls of torch take longer than the arithmetic.
        """
        loss_terms, weight, total_weight, norms = batch
        weight = None if weight is None else weight.unsqueeze(0)
        loss = self.loss.mean_loss(loss_terms.unsqueeze(0), weight).item()
        if self.penalty is not None:
            loss += self.penalty.from_norms_on_host(norms, total_weight)
        return loss


def _like(values: Sequence[float], tensor: Tensor) -> Tensor:
    """Return values as a tensor in the dtype and on the device of another one."""
    if tensor.is_cuda and len(set(values)) == 1:  # a CUDA graph can record it
        return tensor.new_full((len(values),), values[0])
    return upload(torch.tensor(values, dtype=tensor.dtype), tensor.device)
