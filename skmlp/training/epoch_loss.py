"""The loss of an epoch, from what the steps leave of their batches."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from skmlp.training.compute.devices import widest_float
from skmlp.training.losses import Loss
from skmlp.training.optimizers.penalty import Penalty

# Batches whose losses are computed by one call of every operation, and wait for it.
_MANY = 256


class BatchLosses(NamedTuple):
    """What the loss of a batch is computed of.

    `rows` are the loss's, as `Loss.mean_loss` takes them, `weight` those of the
    rows, which sum to one, or None; `norms` are the penalty's, which is divided by
    `total`.
    """

    rows: Tensor
    weight: Tensor | None
    total: float
    norms: Sequence[Tensor] = ()


class EpochLoss:
    """A sum of the losses of batches, each times what it counts for.

    Parameters
    ----------
    loss : Loss
    penalty : Penalty or None
        Part of the loss where batches are trained on.

    Attributes
    ----------
    whole : float
        Sum of what the batches count for.
    """

    def __init__(self, loss: Loss, penalty: Penalty | None = None) -> None:
        self.loss = loss
        self.penalty = penalty
        self.whole = 0.0
        self._sums: list[Tensor] = []
        self._batches: list[BatchLosses] = []
        self._counts: list[float] = []

    def add(self, batch: BatchLosses, count: float) -> None:
        """Note a batch, and what it counts for."""
        if self._batches and batch.rows.shape != self._batches[0].rows.shape:
            self._add_up()
        self.whole += count
        self._batches.append(batch)
        self._counts.append(count)
        if len(self._batches) == _MANY:
            self._add_up()

    def _add_up(self) -> None:
        means = self.means(self._batches)
        self._sums.append(means @ means.new_tensor(self._counts))
        self._batches, self._counts = [], []

    def means(self, batches: Sequence[BatchLosses]) -> Tensor:
        """Return the losses of equally large batches, in the widest dtype."""
        rows, weights, totals, norms = zip(*batches, strict=True)
        weight = None if weights[0] is None else torch.stack(weights)
        means = self.loss.mean_loss(torch.stack(rows), weight)
        means = means.to(widest_float(means.device))
        if self.penalty is None:
            return means
        stretches = map(torch.stack, zip(*norms, strict=True))
        return means + self.penalty.of_norms(stretches, means.new_tensor(totals))

    def sum(self) -> float:
        """Return the sum of the losses, each times what it counts for."""
        if self._batches:
            self._add_up()
        return float(torch.stack(self._sums).sum()) if self._sums else 0.0
