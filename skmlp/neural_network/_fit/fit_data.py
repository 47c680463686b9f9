"""Checked data of a fit, and its division into training and validation set."""

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
    """A set of checked samples of a fit.

    The arrays hold all samples of the fit, and `indices` says which of them belong to
    this set. Use `select` to get the entries of an array for this set.

    Parameters
    ----------
    X : ndarray, sparse matrix or Source of shape (n, n_features)
        Features.
    y : ndarray of shape (n,) or (n, n_outputs), or None
        Targets as the caller gave them. None in an autoencoder, whose targets are X.
    targets : ndarray or None
        Targets encoded for the loss. None in an autoencoder.
    weight : ndarray of shape (n,) or None
        Sample weights of the caller, for scorers.
    loss_weight : ndarray of shape (n,) or None
        Sample weights times class weights, for the loss and the default score.
    indices : ndarray of int or None
        Indices of the samples that belong to this set; None means all.
    device_tensors : dict or None
        Cache of the tensors by device and dtype, for several networks that train on
        the same data. None without a cache.
    """

    X: Any
    y: Any
    targets: Any
    weight: np.ndarray | None = None
    loss_weight: np.ndarray | None = None
    indices: np.ndarray | None = None
    device_tensors: dict[Hashable, Any] | None = None

    @property
    def n_samples(self) -> int:
        """Number of samples that belong to this set."""
        return self.X.shape[0] if self.indices is None else len(self.indices)

    def subset(self, positions: np.ndarray) -> "FitData":
        """Return some samples; `positions` are relative to this set, not the arrays."""
        if self.indices is not None:
            positions = self.indices[positions]
        return self._replace(indices=positions)

    def sorted_for_reading(self) -> "FitData":
        """Return the set; for a large `Source`, sort the indices by their rows."""
        large = isinstance(self.X, Source) and not self.X.fits_in_memory(self.n_samples)
        if self.indices is None or not large:
            return self
        return self._replace(indices=self.X.sorted_by_row(self.indices))

    def select(self, values: Any) -> Any:
        """Return the entries of an array that belong to the samples of this set.

        Without an array, that is with None, the result is None.
        """
        if values is None or self.indices is None:
            return values
        return values[self.indices]

    def gather(self) -> "FitData":
        """Return a set without `indices`; its arrays hold the selected samples only."""
        if self.indices is None:
            return self
        arrays: list[Any] = [
            None if array is None else array[self.indices] for array in self[:-2]
        ]
        return FitData(*arrays)

    def concatenate(self, other: "FitData") -> "FitData":
        """Return a copy of these samples followed by those of `other`."""
        sizes = self.n_samples, other.n_samples
        arrays: list[Any] = []
        for one, two in zip(self.gather()[:-2], other.gather()[:-2], strict=True):
            if isinstance(one, Source) or isinstance(two, Source):
                arrays.append(Source(ConcatenatedArrays(one, two)))
            elif scipy.sparse.issparse(one) or scipy.sparse.issparse(two):
                arrays.append(scipy.sparse.vstack([one, two], format="csr"))
            elif one is None and two is None:
                arrays.append(None)
            else:
                one = np.ones(sizes[0]) if one is None else one
                two = np.ones(sizes[1]) if two is None else two
                arrays.append(np.concatenate([one, two]))
        return FitData(*arrays)


class FitInputs(NamedTuple):
    """The checked data of a fit before the validation split.

    `data` has the samples of X and y, and `valid` those of X_val and y_val, if given.
    """

    data: FitData
    valid: FitData | None = None

    def with_shared_device_tensors(self) -> "FitInputs":
        """Return inputs with a cache of device tensors, for several networks."""
        return self._replace(data=self.data._replace(device_tensors={}))

    def with_fold(self, train: np.ndarray, valid: np.ndarray) -> "FitInputs":
        """Return inputs that train on some samples and are validated on others.

        Both sets share the arrays. `train` and `valid` are positions in `data`.
        """
        return FitInputs(self.data.subset(train), self.data.subset(valid))

    def all_samples(self) -> FitData:
        """Return the samples of X and X_val, concatenated."""
        return self.data if self.valid is None else self.data.concatenate(self.valid)


class TrainValidSplit(NamedTuple):
    """A training set and, if there is one, a validation set."""

    train: FitData
    valid: FitData | None


def split_validation(
    data: FitData,
    fraction: float,
    strata: np.ndarray | None,
    random_state: np.random.RandomState,
) -> TrainValidSplit:
    """Split off a validation set, which has the same samples as scikit-learn's.

    The validation set has at least two samples and at least one for each stratum, even
    if `fraction` would give fewer.
    """
    if fraction == 0:
        raise ValueError(
            "early_stopping=True needs a validation set; use a validation_fraction "
            "above 0 or give X_val and y_val."
        )
    n_samples = data.n_samples
    min_size = max(2, 0 if strata is None else len(np.unique(strata)))
    size: int | float = fraction
    if math.ceil(fraction * n_samples) < min_size < n_samples:
        size = min_size
    train_index, valid_index = train_test_split(
        np.arange(n_samples),
        random_state=random_state,
        test_size=size,
        stratify=strata,
    )
    if len(valid_index) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the "
            "size of your dataset."
        )
    valid = data.subset(valid_index)
    weight = data.loss_weight
    if weight is not None and not valid.select(weight).any():
        raise ValueError(
            "All validation rows have weight 0, or a bootstrap drew none of them; "
            "increase 'validation_fraction', leave out the rows without weight or "
            "give X_val and y_val."
        )
    return TrainValidSplit(data.subset(train_index), valid)


def take_train_size(
    train: FitData,
    train_size: int | float,
    strata: np.ndarray | None,
    random_state: np.random.RandomState,
) -> FitData:
    """Return a subset, chosen as in `skmlp.model_selection.subsample`.

    Raises
    ------
    ValueError
        If `train_size` is larger than the number of samples, or too small for a sample
        of every class.
    """
    n_samples = train.n_samples
    if isinstance(train_size, Integral) and train_size > n_samples:
        raise ValueError(
            f"train_size={train_size}, but there are {n_samples} training rows."
        )
    n_taken = count_train_samples(train_size, n_samples)
    if n_taken == n_samples:
        return train
    n_strata = 0 if strata is None else len(np.unique(strata))
    if n_taken < n_strata:
        raise ValueError(
            f"train_size={train_size} is {n_taken} of {n_samples} training rows, which "
            f"cannot hold all {n_strata} classes."
        )
    method = "random" if strata is None else "stratified"
    order = sample_order(method, strata, n_samples, n_taken, random_state)
    return train.subset(np.sort(order[:n_taken]))
