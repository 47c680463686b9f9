"""Matrix products of a dense layer, split by units or samples among threads.

If a layer or a batch is not large, oneDNN needs too much time to reorder the weights.
BLAS needs no other layout, but one product on several threads can be rounded
differently.
Here the units of the layer are divided into equal parts. One batched product computes
all parts, and each thread computes whole parts. No sum is split, so the results are
exactly equal on any number of threads. A thread gets the same units in every step, so
their weights, gradients and moments stay in its cache.
"""

import math

import torch
from torch import Tensor

from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER, ThreadTuner
from skmlp.training.compute.threads import using_threads

# Minimum number of multiplications for one more thread, if units and if samples are
# divided.
_MIN_MULTIPLICATIONS_PER_PART = 2**20
_MIN_MULTIPLICATIONS_PER_SAMPLE_PART = 2**25

# Maximum number of parts, a power of two, into which the samples are divided.
_MAX_SAMPLE_PARTS = 8
# Minimum number of units in a part. BLAS is slower with fewer units.
_MIN_UNITS_PER_PART = 48

# Minimum number of units in a part of the weight gradient. The parts are small, so that
# one thread computes and updates the same units. Otherwise the gradients move between
# the caches of the cores, which takes as long as the product.
_MIN_UNITS_PER_GRADIENT_PART = 16


class SplitProducts:
    """Products of a dense layer, each computed in parts of equal size.

    Parameters
    ----------
    weight : Tensor of shape (out, in)
    bias : Tensor of shape (out,)
    weight_gradient : Tensor of shape (out, in) or None
        All three are contiguous.
    batch_size : int
    tuner : ThreadTuner
        Chooses the number of threads.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        weight_gradient: Tensor | None,
        batch_size: int,
        tuner: ThreadTuner = SINGLE_THREAD_TUNER,
    ) -> None:
        self._tuner = tuner
        units, n_inputs = weight.shape
        n_multiplications = batch_size * weight.numel()
        max_parts = max(1, n_multiplications // _MIN_MULTIPLICATIONS_PER_PART)
        n_unit_parts = _number_of_parts(units, _MIN_UNITS_PER_PART, max_parts)
        self._weight = weight.view(n_unit_parts, -1, n_inputs)  # (parts, units, in)
        self._bias = bias.view(n_unit_parts, -1, 1)  # (parts, units, 1)
        n_gradient_parts = max(
            n_unit_parts, _number_of_parts(units, _MIN_UNITS_PER_GRADIENT_PART)
        )
        # The weights, divided like their gradient.
        self._weight_as_gradient_parts = weight.view(n_gradient_parts, -1, n_inputs)
        self._weight_gradient = None
        if weight_gradient is not None:
            self._weight_gradient = weight_gradient.view(n_gradient_parts, -1, n_inputs)
        n_input_parts = _number_of_parts(n_inputs, _MIN_UNITS_PER_PART, max_parts)
        by_inputs = weight.view(units, n_input_parts, -1).permute(1, 2, 0)
        self._transposed_weight = by_inputs  # (parts, in, out)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x @ weight.T + bias``, column-major."""
        inputs = x.mT.expand(self._weight.shape[0], -1, -1)  # (parts, in, batch)
        with self._threads_for_parts(inputs):
            z = torch.baddbmm(self._bias, self._weight, inputs)
        return z.view(-1, x.shape[0]).mT

    def write_weight_gradient(
        self, grad: Tensor, x: Tensor, penalty_factor: float
    ) -> None:
        """Write the weight gradient, plus `penalty_factor` times the weights."""
        if self._weight_gradient is None:
            return
        inputs = x.expand(self._weight_gradient.shape[0], -1, -1)  # (parts, batch, in)
        by_units = grad.mT.reshape(inputs.shape[0], -1, x.shape[0])
        with self._threads_for_parts(inputs):
            torch.baddbmm(
                self._weight_as_gradient_parts,
                by_units,
                inputs,
                beta=penalty_factor,
                out=self._weight_gradient,
            )

    def input_gradient(self, grad: Tensor) -> Tensor:
        """Return the gradient of the input, column-major."""
        grads = grad.mT.expand(self._transposed_weight.shape[0], -1, -1)
        with self._threads_for_parts(grads):
            grad_x = torch.bmm(self._transposed_weight, grads)
        return grad_x.view(-1, grad.shape[0]).mT

    def _threads_for_parts(self, parts: Tensor) -> using_threads:
        """Split a batched product among threads, at most one thread for each part."""
        return using_threads(min(self._tuner.n_threads, parts.shape[0]))


def number_of_sample_parts(n_samples: int, n_multiplications: int) -> int:
    """Return into how many parts `linear_in_sample_parts` divides the samples.

    It does not depend on the number of threads. The product takes `n_multiplications`.
    """
    parts = 1
    while (
        parts < min(_MAX_SAMPLE_PARTS, n_samples)
        and n_multiplications >= 2 * parts * _MIN_MULTIPLICATIONS_PER_SAMPLE_PART
    ):
        parts *= 2
    return parts


def linear_in_sample_parts(
    x: Tensor, weight: Tensor, bias: Tensor, n_parts: int, n_threads: int
) -> Tensor:
    """Return ``x @ weight.T + bias``, computed in parts of equal numbers of samples.

    It is not differentiable. A thread computes whole parts.

    Parameters
    ----------
    x : Tensor of shape (samples, in)
        Contiguous.
    weight : Tensor of shape (out, in)
    bias : Tensor of shape (out,)
    n_parts : int
        At most the number of samples.
    n_threads : int
        Number of threads that may compute.
    """
    output = x.new_empty((x.shape[0], weight.shape[0]))
    n = x.shape[0] - x.shape[0] % n_parts
    with using_threads(min(n_threads, n_parts)):
        torch.baddbmm(
            bias,
            x[:n].view(n_parts, -1, x.shape[1]),
            weight.mT.expand(n_parts, -1, -1),
            out=output[:n].view(n_parts, -1, weight.shape[0]),
        )
    if n < x.shape[0]:  # one thread, because several could split the sums
        torch.addmm(bias, x[n:], weight.mT, out=output[n:])
    return output


def _number_of_parts(size: int, min_size: int, max_parts: float = math.inf) -> int:
    """Return the largest power of two that cuts `size` into equal parts.

    There are at most `max_parts`, and none is smaller than `min_size`.
    """
    parts = 1
    while (
        size % (2 * parts) == 0
        and size >= 2 * parts * min_size
        and 2 * parts <= max_parts
    ):
        parts *= 2
    return parts
