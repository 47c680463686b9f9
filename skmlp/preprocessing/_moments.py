"""Mean and variance in float64.

They can be merged over blocks of samples, and pooled over features.
"""

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Number of samples, and mean and variance (ddof=0) of each group of values.

    A group is a feature, a channel, an image, or all values.
    """

    n_samples: int
    mean: np.ndarray
    var: np.ndarray


def compute_moments(block: np.ndarray, axis: int) -> Moments:
    """Return the moments of a 2-D block along an axis.

    The results have the length 1 along this axis.

    The two-pass algorithm is applied to values shifted by the first one (Chan, Golub
    and LeVeque, 1983, sections 2 and 3). The variance of a constant is exactly zero.
    """
    first = block.take([0], axis).astype(np.float64)
    deviation = np.subtract(block, first, dtype=np.float64)
    mean_deviation = deviation.mean(axis, keepdims=True)
    deviation -= mean_deviation
    np.square(deviation, out=deviation)
    return Moments(
        len(block), first + mean_deviation, deviation.mean(axis, keepdims=True)
    )


def merge_moments(a: Moments, b: Moments) -> Moments:
    """Return the moments of the samples of a and b together.

    These are equations 1.5a and 1.5b of Chan, Golub and LeVeque, "Algorithms for
    computing the sample variance: analysis and recommendations", The American
    Statistician 37(3), 1983, 242-247, divided by the number of samples. The numbers of
    samples can be the weights, because each sample has the same number of values per
    group.
    """
    n_samples = a.n_samples + b.n_samples
    weight = b.n_samples / n_samples
    difference = b.mean - a.mean
    mean = a.mean + weight * difference
    var = (1 - weight) * a.var + weight * b.var + weight * (1 - weight) * difference**2
    return Moments(n_samples, mean, var)


def pool_moments(moments: Moments) -> Moments:
    """Return the moments of groups of equal size, pooled along the first axis.

    The pooled variance is the mean of the variances plus the variance of the means.
    """
    _, mean, var_of_means = compute_moments(moments.mean, axis=0)
    return Moments(
        moments.n_samples, mean[0], moments.var.mean(axis=0) + var_of_means[0]
    )


def safe_scale(mean: np.ndarray, var: np.ndarray, n_values: int) -> np.ndarray:
    """Return the standard deviation.

    It is replaced by 1 if it is zero within rounding errors, or zero in float32. The
    bound of the rounding errors is the one of `_is_constant_feature` in scikit-learn,
    after Chan, Golub and LeVeque.
    """
    eps = np.finfo(np.float64).eps
    scale = np.sqrt(var)
    # Standard deviations are compared instead of variances, because the square of a
    # large mean could overflow.
    rounding = np.hypot(np.sqrt(n_values * eps) * scale, n_values * eps * mean)
    is_constant = (scale <= rounding) | (scale < np.finfo(np.float32).tiny)
    return np.where(is_constant, 1.0, scale)
