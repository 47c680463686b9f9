"""Products of a layer of middling size, cut by its units for threads to share them.

Where oneDNN would pack the weights for longer than it computes, BLAS takes them as they
lie, units by inputs, so that a unit's values lie together, as in a stack of models. And
as there, whole products are shared out: a thread has the same units in every step,
and keeps their weights, their gradients and what the update knows of them in its cache.
"""

import math

import torch
from torch import Tensor

from skmlp.training.compute.thread_tuning import tuned_thread_count
from skmlp.training.compute.threads import using_threads

# Multiplications of a part from which a thread of its own is worth it, and units from
# which BLAS is as fast as with more.
_WORTH_A_PART = 2**20
_LEAST_UNITS = 24

# Units of a part of the gradient. Of larger parts MKL gives a thread others than those
# that it updates, and where two cores share no cache that takes as long as the product.
_GRADIENT_UNITS = 16


class SplitProducts:
    """Products of a dense layer, each computed in parts of equal size.

    Parameters
    ----------
    weight : Tensor of shape (out, in)
    bias : Tensor of shape (out,)
    gradient : Tensor of shape (out, in) or None
        All without gaps.
    n_rows : int
        How many rows are multiplied at once.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, gradient: Tensor | None, n_rows: int
    ) -> None:
        units, n_inputs = weight.shape
        most = max(1, n_rows * weight.numel() // _WORTH_A_PART)
        parts = _parts(units, _LEAST_UNITS, most)
        self._weight = weight.view(parts, -1, n_inputs)
        self._bias = bias.view(parts, -1, 1)
        parts = max(parts, _parts(units, _GRADIENT_UNITS))
        self._decayed = weight.view(parts, -1, n_inputs)
        self._gradient = None
        if gradient is not None:
            self._gradient = gradient.view(parts, -1, n_inputs)
        parts = _parts(n_inputs, _LEAST_UNITS, most)
        self._turned = weight.view(units, parts, -1).permute(1, 2, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x @ weight.T + bias``, the values of a unit together."""
        rows = x.mT.expand(self._weight.shape[0], -1, -1)
        with _sharing(rows):
            z = torch.baddbmm(self._bias, self._weight, rows)
        return z.view(-1, x.shape[0]).mT

    def differentiate(self, delta: Tensor, x: Tensor, decay: float) -> None:
        """Write the weights' gradient, plus `decay` times the weights."""
        if self._gradient is None:
            return
        rows = x.expand(self._gradient.shape[0], -1, -1)
        by_unit = delta.mT.reshape(rows.shape[0], -1, x.shape[0])
        with _sharing(rows):
            torch.baddbmm(self._decayed, by_unit, rows, beta=decay, out=self._gradient)

    def backward(self, delta: Tensor) -> Tensor:
        """Return the derivative by the input, the values of one of them together."""
        rows = delta.mT.expand(self._turned.shape[0], -1, -1)
        with _sharing(rows):
            by_x = torch.bmm(self._turned, rows)
        return by_x.view(-1, delta.shape[0]).mT


def _parts(size: int, least: int, most: float = math.inf) -> int:
    """Return into how many equal parts to cut, a power of two.

    They are at most `most`, and none is smaller than `least`.
    """
    parts = 1
    while size % (2 * parts) == 0 and size >= 2 * parts * least and 2 * parts <= most:
        parts *= 2
    return parts


def _sharing(parts: Tensor) -> using_threads:
    """Share products out, one a part; none is cut, which keeps their bits."""
    return using_threads(min(tuned_thread_count(), parts.shape[0]))
