"""Checked rows, and how they are divided for one fit."""

import math
from collections.abc import Hashable
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from sklearn.model_selection import train_test_split

from skmlp.training.data.sources import ConcatenatedArrays, Source
from skmlp.training.data.subsets import count_train_samples, sample_order


class FitData(NamedTuple):
    """Rows of X with their targets and weights.

    ``y`` are the targets as given, ``encoded`` those of the loss; ``weight`` counts in
    a scorer, ``loss_weight``, with the class weights in it, in loss and own score.
    ``rows`` are those that belong to the sample, None if all do: parts of a sample
    are lists of rows, not copies of them. ``tensors`` are X and the targets on the
    devices where several networks train on them.
    """

    X: Any
    y: np.ndarray
    encoded: np.ndarray
    weight: np.ndarray | None = None
    loss_weight: np.ndarray | None = None
    rows: np.ndarray | None = None
    tensors: dict[Hashable, Any] | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows that belong to the sample."""
        return self.X.shape[0] if self.rows is None else len(self.rows)

    def take(self, rows: np.ndarray) -> "FitData":
        """Return the part of the sample in `rows`, counted within it."""
        return self._replace(rows=rows if self.rows is None else self.rows[rows])

    def in_turn(self) -> "FitData":
        """Return the sample with rows that have to be read in blocks in their order."""
        streams = isinstance(self.X, Source) and not self.X.fits_in_memory(self.n_rows)
        if self.rows is None or not streams:
            return self
        return self._replace(rows=self.X.sorted_by_position(self.rows))

    @property
    def own_y(self) -> np.ndarray:
        """Targets of the rows that belong to the sample."""
        return self.y if self.rows is None else self.y[self.rows]

    def gather(self) -> "FitData":
        """Return the rows that belong to the sample, copied, but those of a source."""
        if self.rows is None:
            return self
        parts: list[Any] = [
            None if part is None else part[self.rows] for part in self[:-2]
        ]
        return FitData(*parts)

    def join(self, other: "FitData") -> "FitData":
        """Return a copy of these rows followed by those of `other`."""
        sizes = self.n_rows, other.n_rows
        parts: list[Any] = []
        for one, two in zip(self.gather()[:-2], other.gather()[:-2], strict=True):
            if isinstance(one, Source) or isinstance(two, Source):
                parts.append(Source(ConcatenatedArrays(one, two)))
            elif scipy.sparse.issparse(one) or scipy.sparse.issparse(two):
                parts.append(scipy.sparse.vstack([one, two], format="csr"))
            elif one is None and two is None:
                parts.append(None)
            else:
                one = np.ones(sizes[0]) if one is None else one
                two = np.ones(sizes[1]) if two is None else two
                parts.append(np.concatenate([one, two]))
        return FitData(*parts)


def split_validation(
    sample: FitData,
    fraction: float,
    strata: np.ndarray | None,
    random_state: np.random.RandomState,
) -> tuple[FitData, FitData]:
    """Set validation rows aside, the same that scikit-learn takes.

    Where its share of few rows would be fewer than two, or than the strata, at least as
    many are taken.
    """
    if fraction == 0:
        raise ValueError(
            "early_stopping=True needs validation rows; use a validation_fraction "
            "above 0 or give X_val and y_val."
        )
    n_rows = sample.n_rows
    fewest = max(2, 0 if strata is None else len(np.unique(strata)))
    share: int | float = fraction
    if math.ceil(fraction * n_rows) < fewest < n_rows:
        share = fewest
    train, valid = train_test_split(
        np.arange(n_rows),
        random_state=random_state,
        test_size=share,
        stratify=strata,
    )
    if len(valid) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the "
            "size of your dataset."
        )
    parts = sample.take(train), sample.take(valid)
    weight = parts[1].loss_weight
    if weight is not None and not weight[parts[1].rows].any():
        raise ValueError(
            "All validation rows have weight 0, or a bootstrap drew none of them; "
            "increase 'validation_fraction', leave out the rows without weight or "
            "give X_val and y_val."
        )
    return parts


def take_train_size(
    train: FitData,
    train_size: int | float,
    strata: np.ndarray | None,
    random_state: np.random.RandomState,
) -> FitData:
    """Keep a number or a share of the training rows, as `subsample` takes them."""
    n_rows = train.n_rows
    if isinstance(train_size, Integral) and train_size > n_rows:
        raise ValueError(
            f"train_size={train_size}, but there are {n_rows} training rows."
        )
    n_kept = count_train_samples(train_size, n_rows)
    if n_kept == n_rows:
        return train
    n_strata = 0 if strata is None else len(np.unique(strata))
    if n_kept < n_strata:
        raise ValueError(
            f"train_size={train_size} is {n_kept} of {n_rows} training rows, which "
            f"cannot hold all {n_strata} classes."
        )
    method = "random" if strata is None else "stratified"
    order = sample_order(method, strata, n_rows, n_kept, random_state)
    return train.take(np.sort(order[:n_kept]))
