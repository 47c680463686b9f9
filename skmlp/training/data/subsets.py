"""Subsets of the training samples: their size, and random or stratified orders."""

from numbers import Integral

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import type_of_target


def count_train_samples(train_size: float, n_samples: int) -> int:
    """Return the number of samples for a fraction (float) or a number (int)."""
    if isinstance(train_size, Integral):
        n_train = int(train_size)
    else:
        n_train = round(train_size * n_samples)
    if not 1 <= n_train <= n_samples:
        raise ValueError(
            f"train_size={train_size} asks for {n_train} of {n_samples} rows; at least "
            "1 and at most all of them can be taken (a float is a fraction)."
        )
    return n_train


def sample_order(
    method: str,
    y: npt.ArrayLike | None,
    n_samples: int,
    min_train_size: int,
    random_state: int | np.random.RandomState | None,
) -> np.ndarray:
    """Return the indices of the samples in random order.

    Every prefix of a stratified order is stratified. The first `min_train_size` samples
    contain every class.
    """
    rng = check_random_state(random_state)
    if method == "random":
        return rng.permutation(n_samples)
    codes = _class_codes(y)
    n_classes = codes.max() + 1
    if min_train_size < n_classes:
        raise ValueError(
            "method='stratified' takes rows of every class, but "
            f"{min_train_size} training rows cannot hold the {n_classes} classes of y; "
            f"take at least {n_classes} rows or use method='random'."
        )
    return _stratified_order(codes, rng)


def _class_codes(y: npt.ArrayLike | None) -> np.ndarray:
    """Return the class index of each sample."""
    if y is None:
        raise ValueError(
            "method='stratified' needs the class labels y; pass y or method='random'."
        )
    kind = type_of_target(y, input_name="y")
    if kind not in ("binary", "multiclass"):
        raise ValueError(
            f"method='stratified' needs one class label a row, but y is {kind}; use "
            "method='random'."
        )
    return np.unique(column_or_1d(y), return_inverse=True)[1]


def _stratified_order(codes: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Return a random order with stratified prefixes.

    - The sort key of sample r = 0, 1, ... of a class with c samples is (r + 1/2) / c.
      This is the rule of Sainte-Laguë for the apportionment of seats.
    - The sort key of the first sample of every class is 0.
    """
    order = rng.permutation(len(codes))
    shuffled = codes[order]
    counts = np.bincount(shuffled)
    by_class = np.argsort(shuffled, kind="stable")
    rank = np.empty(len(codes), dtype=np.intp)
    rank[by_class] = np.arange(len(codes)) - np.repeat(counts.cumsum() - counts, counts)
    sort_key = np.where(rank == 0, 0.0, (rank + 0.5) / counts[shuffled])
    return order[np.argsort(sort_key, kind="stable")]
