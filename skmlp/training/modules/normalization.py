"""Batch normalisation of dense layers, of one model or of many, differentiated by hand.

Leading dimensions are models. In a batch of many models each has its own rows first;
what fills a short one up to the others' length is no part of its statistics.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

# Of batches that differ more, none may come again.
_MOST_KEPT = 64


class Shares(NamedTuple):
    """What a batch counts for in the statistics of every model.

    One row has no variance: a model with fewer than two is normalised by its running
    statistics, which stay as they are.
    """

    real: Tensor | None  # (..., batch, 1): 0 for what fills up; None where nothing does
    of_rows: Tensor  # (..., batch, 1): 1 / n for each of n rows
    of_batch: Tensor  # (..., 1, 1): 1, or 0 for the running statistics
    n: Tensor  # (..., 1, 1)
    batches: Tensor  # (...): whether there is one to be counted

    def mean(self, z: Tensor) -> Tensor:
        """Return the mean of every model's rows; of fewer than two it is not used."""
        # A sum's bits, other than a product's, do not depend on who the neighbours are.
        rows = z if self.real is None else z * self.real
        return rows.sum(-2, keepdim=True).div_(self.n)


class BatchStatisticsWeights:
    """The shares of the batch at hand, kept for batches of as many rows.

    Parameters
    ----------
    counts : callable
        From the layer's values ``(..., batch, units)`` to the number of rows that each
        model has; an int for a model without a leading dimension.
    """

    def __init__(self, counts: Callable[[Tensor], int | tuple[int, ...]]) -> None:
        self._counts = counts
        # Never dropped again, for a recording of a step reads them.
        self._shares: dict[tuple[int | tuple[int, ...], int], Shares] = {}

    def __call__(self, z: Tensor) -> Shares:
        """Return the shares of a batch of which `z` are a layer's values."""
        of = self._counts(z), z.shape[-2]
        if of in self._shares:
            return self._shares[of]
        shares = _shares(z, torch.tensor(of[0]))
        if len(self._shares) < _MOST_KEPT:
            self._shares[of] = shares
        return shares


def _shares(z: Tensor, counts: Tensor) -> Shares:
    """Return what a batch counts for of which each model has the first rows."""
    filled = bool((counts < z.shape[-2]).any())  # asked on the host, without a wait
    counts = counts.to(z.device)
    batches = counts > 1
    n = counts.clamp_min(2)[..., None, None].to(z.dtype)
    of_batch = batches[..., None, None].to(z.dtype)
    places = torch.arange(z.shape[-2], device=z.device).unsqueeze(1)
    real = (places < counts[..., None, None]).to(z.dtype)
    of_rows = real * (of_batch / n)
    return Shares(real if filled else None, of_rows, of_batch, n, batches)


class Normalized(NamedTuple):
    """What the way back needs of a batch."""

    values: Tensor  # (..., batch, units), before weight and bias
    scale: Tensor  # (..., 1, units)
    shares: Shares


@dataclass
class Normalization:
    """Tensors of a batch normalisation, each ``(..., units)``; leading ones are models.

    Gradients that are None are not kept. Running statistics and the numbers of batches
    ``(...)`` in them are changed in place.
    """

    weight: Tensor
    bias: Tensor
    weight_gradient: Tensor | None
    bias_gradient: Tensor | None
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float
    eps: float
    shares: BatchStatisticsWeights

    def evaluate(self, z: Tensor) -> Tensor:
        """Normalise rows that are not trained on by the running statistics."""
        slope = self.weight * torch.rsqrt(self.running_var + self.eps)
        shift = torch.addcmul(self.bias, self.running_mean, slope, value=-1)
        return torch.addcmul(shift.unsqueeze(-2), z, slope.unsqueeze(-2))

    def forward(self, z: Tensor) -> tuple[Tensor, Normalized]:
        """Normalise a batch, and learn its statistics."""
        shares = self.shares(z)
        running_mean = self.running_mean.unsqueeze(-2)
        running_var = self.running_var.unsqueeze(-2)
        mean = shares.mean(z)
        values = z.sub_(running_mean.lerp(mean, shares.of_batch))
        variance = shares.mean(values.square())
        scale = torch.rsqrt(running_var.lerp(variance, shares.of_batch) + self.eps)
        values.mul_(scale)
        pace = shares.of_batch * self.momentum
        running_mean.lerp_(mean, pace)
        unbiased = variance.mul_(shares.n / (shares.n - 1.0))
        running_var.lerp_(unbiased, pace)
        self.num_batches_tracked.add_(shares.batches)
        y = torch.addcmul(self.bias.unsqueeze(-2), values, self.weight.unsqueeze(-2))
        return y, Normalized(values, scale, shares)

    def backward(
        self, delta: Tensor, normalized: Normalized, shift_gradient: Tensor | None
    ) -> Tensor:
        """Return the gradient of what was normalised; leave the others in place.

        `shift_gradient` is that of a bias before the normalisation. The mean takes such
        a bias away again, so where there was one it is zero, and not what rounding
        leaves of a sum of as much up as down.
        """
        values, scale, shares = normalized
        slope = scale * self.weight.unsqueeze(-2)
        by_bias = torch.sum(delta, -2, out=self.bias_gradient).unsqueeze(-2)
        by_weight = torch.sum(delta * values, -2, out=self.weight_gradient)
        by_statistics = torch.addcmul(by_bias, values, by_weight.unsqueeze(-2))
        if shift_gradient is not None:
            kept = slope * (1.0 - shares.of_batch)
            torch.mul(by_bias, kept, out=shift_gradient.unsqueeze(-2))
        delta.addcmul_(by_statistics, shares.of_rows, value=-1.0)
        return delta.mul_(slope)
