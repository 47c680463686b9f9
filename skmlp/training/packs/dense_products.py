"""Matrix products of a dense layer of all pack members, by one call of BLAS.

- The views of the layer's tensors are made once. To make them takes longer than a small
  product.
- Threads share the products of the members, or of sets of members with the same
  batches. A thread computes whole products, so their bits do not change.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER, ThreadTuner
from skmlp.training.compute.threads import using_threads

# Batch size from which it pays to store the output by units, with the batch innermost.
_MIN_BATCH_BY_UNITS = 16


class _SetViews(NamedTuple):
    """Views of the layer's tensors, with the units of all members of a set joined."""

    weight: Tensor  # (sets, members per set * out, in)
    bias: Tensor  # (sets, members per set * out, 1)
    weight_gradient: Tensor | None  # as weight


class PackDenseProducts:
    """The three matrix products of a dense layer of all pack members in training.

    It does for a pack what `DenseProducts` does for one network.

    Parameters
    ----------
    weight : Tensor of shape (members, out, in)
        Contiguous. Training changes it in place.
    bias : Tensor of shape (members, out)
    weight_gradient : Tensor of shape (members, out, in) or None
        Receives the gradient of the weights. None leaves it out.
    tuner : ThreadTuner
        Chooses the number of threads.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        weight_gradient: Tensor | None,
        tuner: ThreadTuner = SINGLE_THREAD_TUNER,
    ) -> None:
        self.weight = weight
        self.bias = bias
        self.weight_gradient = weight_gradient
        self._tuner = tuner
        self._weight_by_inputs = weight.mT  # (members, in, out)
        self._views: dict[int, _SetViews] = {}  # by number of sets

    def _views_for(self, sets: int) -> _SetViews:
        """Return the views for a number of sets."""
        if sets not in self._views:
            n_inputs = self.weight.shape[-1]
            gradient = self.weight_gradient
            self._views[sets] = _SetViews(
                self.weight.view(sets, -1, n_inputs),
                self.bias.view(sets, -1, 1),
                None if gradient is None else gradient.view(sets, -1, n_inputs),
            )
        return self._views[sets]

    def forward(self, x: Tensor, allow_column_major: bool = False) -> Tensor:
        """Return ``x @ weight.T + bias`` of shape (members, batch, out).

        Parameters
        ----------
        x : Tensor of shape (sets, batch, in)
            If there are fewer sets than members, each set is the input of as many
            neighboring members.
        allow_column_major : bool
            Ignored: the batch size decides how the output is stored.
        """
        members, units, _ = self.weight.shape
        sets, batch, _ = x.shape
        if batch < _MIN_BATCH_BY_UNITS and batch <= units and sets == members:
            with self._threads_for(sets):
                return torch.baddbmm(self.bias.unsqueeze(1), x, self._weight_by_inputs)
        views = self._views_for(sets)
        with self._threads_for(sets):
            z = torch.baddbmm(views.bias, views.weight, x.mT)
        return (z if sets == members else z.view(members, units, batch)).mT

    def write_weight_gradient(
        self, grad: Tensor, x: Tensor, total_weight: float = 1.0
    ) -> None:
        """Write the gradient of the weights, without a penalty.

        Parameters
        ----------
        grad : Tensor of shape (members, batch, out)
            Gradient of the layer's output.
        x : Tensor of shape (sets, batch, in)
            Input of the layer.
        total_weight : float
            Ignored: it would divide the penalty.
        """
        sets, batch, _ = x.shape
        gradient = self._views_for(sets).weight_gradient
        if gradient is not None:
            by_units = grad.mT
            if sets != len(self.weight):
                by_units = by_units.reshape(sets, -1, batch)
            with self._threads_for(sets):
                torch.bmm(by_units, x, out=gradient)

    def input_gradient(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return the gradient of the input `x`, from that of the output."""
        members, batch, _ = grad.shape
        with self._threads_for(members):
            if batch < _MIN_BATCH_BY_UNITS and batch <= self.weight.shape[-1]:
                return torch.bmm(grad, self.weight)
            return torch.bmm(self._weight_by_inputs, grad.mT).mT

    def _threads_for(self, n_products: int) -> using_threads:
        """Split a batched product among threads if each gets at least one product."""
        n_threads = self._tuner.n_threads
        return using_threads(n_threads if n_products >= n_threads else 1)
