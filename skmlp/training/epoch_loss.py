"""The loss of an epoch, from those of its batches."""

import torch
from torch import Tensor

from skmlp.training.devices import widest_float

# Batches whose losses are added up by one call, and wait for it on their device.
_MANY = 256


class EpochLoss:
    """A weighted sum of the losses of batches.

    Attributes
    ----------
    whole : float
        Sum of the weights.
    """

    def __init__(self) -> None:
        self.whole = 0.0
        self._sums: list[Tensor] = []
        self._losses: list[Tensor] = []
        self._weights: list[float] = []

    def add(self, loss: Tensor, weight: float) -> None:
        """Note the loss of a batch, and what it counts for."""
        self.whole += weight
        self._losses.append(loss)
        self._weights.append(weight)
        if len(self._losses) == _MANY:
            self._add_up()

    def _add_up(self) -> None:
        losses = torch.stack(self._losses)
        losses = losses.to(widest_float(losses.device))
        self._sums.append(losses @ losses.new_tensor(self._weights))
        self._losses, self._weights = [], []

    def sum(self) -> float:
        """Return the sum of the losses, each times its weight."""
        if self._losses:
            self._add_up()
        return float(torch.stack(self._sums).sum()) if self._sums else 0.0
