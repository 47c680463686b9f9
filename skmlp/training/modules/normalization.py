"""Handwritten batch normalization of dense layers, of one network or of a pack.

Leading dimensions are pack members. If the batch of a member is shorter than the batch
of the pack, padding rows follow its samples. Its statistics do not include the padding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

# Maximum number of stored weights. If batches differ more, they are unlikely to recur.
_MAX_KEPT = 64


class StatisticsWeights(NamedTuple):
    """The weights of a batch's samples in the statistics of each member.

    One sample has no variance. A member with fewer than two samples is normalized by
    its running statistics, which do not change.
    """

    sample_mask: Tensor | None  # (..., batch, 1): 0 for padding; None without padding
    per_sample: Tensor  # (..., batch, 1): 1 / n for each of n samples
    batch_factor: Tensor  # (..., 1, 1): 1 for batch statistics, 0 for running ones
    n_samples: Tensor  # (..., 1, 1): 2 for fewer samples, so that n - 1 is positive
    has_statistics: Tensor  # (...): whether the batch is counted

    def mean(self, z: Tensor) -> Tensor:
        """Return the mean over each member's samples; unused for fewer than two."""
        # A sum, because a matrix product can be rounded differently in a pack.
        values = z if self.sample_mask is None else z * self.sample_mask
        return values.sum(-2, keepdim=True).div_(self.n_samples)


class StatisticsWeightsCache:
    """Computes the statistics weights of batches.

    It stores the weights for each combination of sample counts and batch size.

    Parameters
    ----------
    count_samples : callable
        Maps the layer's values ``(..., batch, units)`` to each member's number of
        samples, or to an int for a single network.
    """

    def __init__(
        self, count_samples: Callable[[Tensor], int | tuple[int, ...]]
    ) -> None:
        self._count_samples = count_samples
        # Entries are never dropped, because a CUDA graph may read them.
        self._kept: dict[tuple[int | tuple[int, ...], int], StatisticsWeights] = {}

    def is_full_batch_on_gpu(self, z: Tensor) -> bool:
        """Return whether `z` is a batch of one network on a GPU, with statistics."""
        return z.is_cuda and z.dim() == 2 and self._count_samples(z) == len(z) > 1

    def __call__(self, z: Tensor) -> StatisticsWeights:
        """Return the statistics weights of a batch with the values `z` of a layer."""
        counts = self._count_samples(z)
        key = counts, z.shape[-2]
        if key in self._kept:
            return self._kept[key]
        weights = _statistics_weights(z, torch.tensor(counts))
        if len(self._kept) < _MAX_KEPT:
            self._kept[key] = weights
        return weights


def _statistics_weights(z: Tensor, counts: Tensor) -> StatisticsWeights:
    """Return the statistics weights for numbers of samples ``(...)`` on the CPU."""
    padded = bool((counts < z.shape[-2]).any())  # on the CPU, so it waits for no GPU
    counts = counts.to(z.device)
    has_statistics = counts > 1
    n_samples = counts.clamp_min(2)[..., None, None].to(z.dtype)
    batch_factor = has_statistics[..., None, None].to(z.dtype)
    positions = torch.arange(z.shape[-2], device=z.device).unsqueeze(1)
    sample_mask = (positions < counts[..., None, None]).to(z.dtype)
    per_sample = sample_mask * (batch_factor / n_samples)
    return StatisticsWeights(
        sample_mask if padded else None,
        per_sample,
        batch_factor,
        n_samples,
        has_statistics,
    )


class NativeBatch(NamedTuple):
    """The tensors of a forward pass of torch's kernel that its backward pass needs."""

    z: Tensor  # (batch, units), before the normalization
    mean: Tensor  # (units,)
    scale: Tensor  # (units,): one over the standard deviation


class NormalizedBatch(NamedTuple):
    """The tensors of a forward pass that the backward pass needs."""

    values: Tensor  # (..., batch, units), before weight and bias
    scale: Tensor  # (..., 1, units): one over the standard deviation
    weights: StatisticsWeights


@dataclass
class Normalization:
    """Tensors of a batch normalization, each ``(..., units)``.

    Training changes the running statistics and the numbers of batches in place. A
    gradient that is None is not stored.
    """

    weight: Tensor
    bias: Tensor
    weight_gradient: Tensor | None
    bias_gradient: Tensor | None
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor  # (...)
    momentum: float
    eps: float
    statistics_weights: StatisticsWeightsCache

    def evaluate(self, z: Tensor) -> Tensor:
        """Normalize by the running statistics, outside of training."""
        slope = self.weight * torch.rsqrt(self.running_var + self.eps)
        shift = torch.addcmul(self.bias, self.running_mean, slope, value=-1)
        return torch.addcmul(shift.unsqueeze(-2), z, slope.unsqueeze(-2))

    def forward(self, z: Tensor) -> tuple[Tensor, NormalizedBatch | NativeBatch]:
        """Normalize a batch in training, and update the running statistics."""
        if self.statistics_weights.is_full_batch_on_gpu(z):
            self.num_batches_tracked.add_(1)
            y, mean, scale = torch.native_batch_norm(
                z,
                self.weight,
                self.bias,
                self.running_mean,
                self.running_var,
                True,
                self.momentum,
                self.eps,
            )
            return y, NativeBatch(z, mean, scale)
        weights = self.statistics_weights(z)
        running_mean = self.running_mean.unsqueeze(-2)
        running_var = self.running_var.unsqueeze(-2)
        mean = weights.mean(z)
        # lerp with factor 1 gives the batch statistics, with 0 the running statistics.
        values = z.sub_(running_mean.lerp(mean, weights.batch_factor))
        variance = weights.mean(values.square())
        scale = torch.rsqrt(running_var.lerp(variance, weights.batch_factor) + self.eps)
        values.mul_(scale)
        momentum = weights.batch_factor * self.momentum
        running_mean.lerp_(mean, momentum)
        n = weights.n_samples
        unbiased_variance = variance.mul_(n / (n - 1.0))
        running_var.lerp_(unbiased_variance, momentum)
        self.num_batches_tracked.add_(weights.has_statistics)
        y = torch.addcmul(self.bias.unsqueeze(-2), values, self.weight.unsqueeze(-2))
        return y, NormalizedBatch(values, scale, weights)

    def backward(
        self,
        grad: Tensor,
        batch: NormalizedBatch | NativeBatch,
        linear_bias_gradient: Tensor | None,
    ) -> Tensor:
        """Return the gradient of the input, and write those of the parameters.

        `linear_bias_gradient` receives the bias gradient of the preceding linear layer.
        With batch statistics, subtracting the mean cancels that bias. Its gradient is
        therefore exactly zero, while a computed sum would have rounding errors.
        """
        if isinstance(batch, NativeBatch):
            if linear_bias_gradient is not None:
                linear_bias_gradient.zero_()
            return self._native_backward(grad, batch)
        values, scale, weights = batch
        slope = scale * self.weight.unsqueeze(-2)
        grad_bias = torch.sum(grad, -2, out=self.bias_gradient).unsqueeze(-2)
        grad_weight = torch.sum(grad * values, -2, out=self.weight_gradient)
        # The batch's mean and variance depend on all of its samples.
        through_statistics = torch.addcmul(grad_bias, values, grad_weight.unsqueeze(-2))
        if linear_bias_gradient is not None:
            # With running statistics the bias is not canceled.
            not_canceled = slope * (1.0 - weights.batch_factor)
            torch.mul(grad_bias, not_canceled, out=linear_bias_gradient.unsqueeze(-2))
        grad.addcmul_(through_statistics, weights.per_sample, value=-1.0)
        return grad.mul_(slope)

    def _native_backward(self, grad: Tensor, batch: NativeBatch) -> Tensor:
        """Return the gradient of the input by torch's kernel; write the others."""
        gradients = self.weight_gradient, self.bias_gradient
        mask = [True, *(gradient is not None for gradient in gradients)]
        z, mean, scale = batch
        grad_z, *computed = torch.ops.aten.native_batch_norm_backward(
            grad,
            z,
            self.weight,
            self.running_mean,
            self.running_var,
            mean,
            scale,
            True,
            self.eps,
            mask,
        )
        for gradient, result in zip(gradients, computed, strict=True):
            if gradient is not None:
                gradient.copy_(result)
        return grad_z
