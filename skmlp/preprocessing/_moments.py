"""Mean and variance in float64: of one block, of blocks merged, of features pooled."""

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """How many rows were seen, and the mean and population variance of each group."""

    n_rows: int
    mean: np.ndarray
    var: np.ndarray


def block_moments(block: np.ndarray, axis: int) -> Moments:
    """Return the moments of a 2-D block along an axis, which is kept with length 1.

    The two-pass algorithm on data shifted by their first value (Chan, Golub and
    LeVeque, 1983, sections 2 and 3): a constant has a variance of exactly zero.
    """
    first = block.take([0], axis).astype(np.float64)
    deviation = np.subtract(block, first, dtype=np.float64)
    shift = deviation.mean(axis, keepdims=True)
    deviation -= shift
    np.square(deviation, out=deviation)
    return Moments(len(block), first + shift, deviation.mean(axis, keepdims=True))


def merge_moments(a: Moments, b: Moments) -> Moments:
    """Return the moments of the rows of a and b together.

    Equations 1.5a and 1.5b of Chan, Golub and LeVeque, "Algorithms for computing the
    sample variance: analysis and recommendations", The American Statistician 37(3),
    1983, 242-247, divided by the number of rows. Every row holds equally many values
    of each group, so rows are weights enough.
    """
    n_rows = a.n_rows + b.n_rows
    weight = b.n_rows / n_rows
    delta = b.mean - a.mean
    mean = a.mean + weight * delta
    var = (1 - weight) * a.var + weight * b.var + weight * (1 - weight) * delta**2
    return Moments(n_rows, mean, var)


def pool_moments(moments: Moments) -> Moments:
    """Return the moments of equally large groups taken together along the first axis.

    The variance of the whole is the mean of the variances and the variance of the
    means (the law of total variance).
    """
    _, mean, var_of_means = block_moments(moments.mean, axis=0)
    return Moments(moments.n_rows, mean[0], moments.var.mean(axis=0) + var_of_means[0])


def safe_scale(mean: np.ndarray, var: np.ndarray, n_values: int) -> np.ndarray:
    """Return the standard deviation, and 1 where it is zero but for rounding.

    The bound on a constant's computed variance is scikit-learn's, after Chan, Golub
    and LeVeque. Deviations too small for float32 could not be divided by either.
    """
    eps = np.finfo(np.float64).eps
    scale = np.sqrt(var)
    # Compared before squaring: the square of a huge mean would overflow.
    rounding = np.hypot(np.sqrt(n_values * eps) * scale, n_values * eps * mean)
    constant = (scale <= rounding) | (scale < np.finfo(np.float32).tiny)
    return np.where(constant, 1.0, scale)
