"""The losses of many models over an epoch, from the parts that their steps leave."""

import torch
from torch import Tensor

from skmlp.training.losses import Loss
from skmlp.training.packs.batches import StepWeights

# Steps whose losses are computed by one call of every operation.
_MANY = 64


class PackEpochLoss:
    """Sums of the penalised losses of batches, each times its number of rows.

    Parameters
    ----------
    loss : Loss
    alpha : Tensor of shape (models,)
        Strengths of the L2 penalties.
    shares : StepWeights
        What the rows of the epoch's steps count for.
    """

    def __init__(self, loss: Loss, alpha: Tensor, shares: StepWeights) -> None:
        self.loss = loss
        self.alpha = alpha
        self.shares = shares
        self._done = 0
        self._steps: list[tuple[Tensor, ...]] = []
        self._sums = torch.zeros_like(shares.counts_on_device[0])

    def add(self, parts: tuple[Tensor, ...]) -> None:
        """Note what the next step's `PackParameters.differentiate` returned."""
        self._steps.append(parts)
        if len(self._steps) == _MANY:
            self._add_up()

    def _add_up(self) -> None:
        steps = slice(self._done, self._done + len(self._steps))
        rows, *norms = map(torch.stack, zip(*self._steps, strict=True))
        losses = self.loss.mean_loss(rows, self.shares.weights[steps])
        strength = self.alpha / self.shares.totals[steps]
        for of_layer in norms:
            losses.addcmul_(of_layer.square_(), strength, value=0.5)
        counts = self.shares.counts_on_device[steps]
        # Along memory, where what is added up in which order is the same for all.
        self._sums += (losses.to(counts.dtype) * counts).mT.contiguous().sum(-1)
        self._done, self._steps = steps.stop, []

    def sum(self) -> list[float]:
        """Return the sums of every model."""
        if self._steps:
            self._add_up()
        return self._sums.tolist()
