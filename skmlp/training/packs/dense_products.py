"""Matrix products of a dense layer of many models, all of them by one call of BLAS.

Views of the layer's tensors take longer to make than a small product to compute, so
they are made once. Products of different models, or sets of models that share their
rows, are shared out among the team's threads; that no product is cut between threads
keeps its bits.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from skmlp.training.compute.thread_tuning import tuned_thread_count
from skmlp.training.compute.threads import using_threads

# Rows below which a unit's values are too few to lie together.
_SHORT_BATCH = 16


class _Wide(NamedTuple):
    """Tensors of the units of all models of a set, one below the other."""

    weight: Tensor
    bias: Tensor
    gradient: Tensor | None


class PackDenseProducts:
    """What one model has in `DenseProducts`, for models side by side.

    Parameters
    ----------
    weight : Tensor of shape (models, out, in)
        Without gaps; training writes into it.
    bias : Tensor of shape (models, out)
    gradient : Tensor of shape (models, out, in) or None
        Where the weights' gradient is to be written, if it is wanted.
    """

    def __init__(self, weight: Tensor, bias: Tensor, gradient: Tensor | None) -> None:
        self.weight = weight
        self.bias = bias
        self.gradient = gradient
        self._turned = weight.mT
        self._by_sets: dict[int, _Wide] = {}

    def _wide(self, sets: int) -> _Wide:
        if sets not in self._by_sets:
            n_inputs = self.weight.shape[-1]
            gradient = self.gradient
            self._by_sets[sets] = _Wide(
                self.weight.view(sets, -1, n_inputs),
                self.bias.view(sets, -1, 1),
                None if gradient is None else gradient.view(sets, -1, n_inputs),
            )
        return self._by_sets[sets]

    def forward(self, x: Tensor, along_batch: bool = False) -> Tensor:
        """Return ``x @ weight.T + bias`` of shape (models, batch, out).

        Each of fewer sets of rows ``(sets, batch, in)`` than models serves as many
        models next to each other. The length of the batch decides whether what runs
        along it lies together, whatever `along_batch`.
        """
        models, units, _ = self.weight.shape
        sets, batch, _ = x.shape
        if batch < _SHORT_BATCH and batch <= units and sets == models:
            with _sharing(sets):
                return torch.baddbmm(self.bias.unsqueeze(1), x, self._turned)
        wide = self._wide(sets)
        with _sharing(sets):
            z = torch.baddbmm(wide.bias, wide.weight, x.mT)
        return (z if sets == models else z.view(models, units, batch)).mT

    def differentiate(self, delta: Tensor, x: Tensor, total: float = 1.0) -> None:
        """Write the weights' gradient, from the derivative by the output.

        It is that of the loss alone, so `total` is of no account.
        """
        sets, batch, _ = x.shape
        gradient = self._wide(sets).gradient
        if gradient is not None:
            by_unit = delta.mT
            if sets != len(self.weight):
                by_unit = by_unit.reshape(sets, -1, batch)
            with _sharing(sets):
                torch.bmm(by_unit, x, out=gradient)

    def backward(self, delta: Tensor, x: Tensor) -> Tensor:
        """Return the derivative by the input `x`, from that by the output."""
        models, batch, _ = delta.shape
        with _sharing(models):
            if batch < _SHORT_BATCH and batch <= self.weight.shape[-1]:
                return torch.bmm(delta, self.weight)
            return torch.bmm(self._turned, delta.mT).mT


def _sharing(n_products: int) -> using_threads:
    """Share so many products out, if no thread has to have a part of one."""
    n_threads = tuned_thread_count()
    return using_threads(n_threads if n_products >= n_threads else 1)
