"""Cross-validation splitter with training subsets of increasing size."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from sklearn.utils import indexable

from skmlp._sklearn_bases import BaseCrossValidator
from skmlp._sklearn_compat import num_samples
from skmlp.training.data.subsets import sample_order


class TrainSizeSplit(BaseCrossValidator):
    """Cross-validation splitter with training subsets of increasing size.

    All splits have the same validation set. Each training subset contains the previous
    one. Scores therefore differ only by the added training samples.

    Parameters
    ----------
    train_sizes : sequence of float or of int, default=(0.1, 0.33, 0.55, 0.78, 1.0)
        Sizes of the training subsets, in increasing order. A float in (0, 1] is a
        fraction of the samples outside the validation set, rounded to whole samples. An
        int is a number of samples. If one size is a float, all sizes are fractions.
    validation_fraction : float, default=0.2
        Fraction of all samples in the validation set, in (0, 1).
    method : {'stratified', 'random'}, default='stratified'
        How samples are selected; see :func:`subsample`. With 'stratified', the classes
        of y are in proportion in all sets, and every training subset contains every
        class.
    random_state : int, RandomState instance or None, default=None
        Seed of the split. With an int, every call of `split` yields the same indices.

    Raises
    ------
    ValueError
        If a parameter is invalid.

    See Also
    --------
    subsample : Selection of one smaller training set.
    sklearn.model_selection.learning_curve : Training sizes with cross-validation.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.model_selection import TrainSizeSplit
    >>> X, y = np.zeros((100, 3)), np.arange(100) % 2
    >>> cv = TrainSizeSplit(train_sizes=(0.1, 0.5, 1.0), random_state=0)
    >>> cv.get_train_sizes(100)
    array([ 8, 40, 80])
    >>> [(len(train), len(validation)) for train, validation in cv.split(X, y)]
    [(8, 20), (40, 20), (80, 20)]

    Scores for each size, in the order of `train_sizes`:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import cross_validate
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_digits(return_X_y=True)
    >>> cross_validate(GaussianNB(), X, y, cv=cv)["test_score"].shape
    (3,)
    """

    train_sizes: Sequence[float]
    validation_fraction: float
    method: str
    random_state: int | np.random.RandomState | None

    def __init__(
        self,
        train_sizes: Sequence[float] = (0.1, 0.33, 0.55, 0.78, 1.0),
        *,
        validation_fraction: float = 0.2,
        method: Literal["stratified", "random"] = "stratified",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        _check_train_sizes(train_sizes)
        if not (isinstance(validation_fraction, Real) and 0 < validation_fraction < 1):
            raise ValueError(
                f"validation_fraction={validation_fraction!r} must be a float between "
                "0 and 1, both excluded."
            )
        if method not in ("stratified", "random"):
            raise ValueError(f"method={method!r} must be 'stratified' or 'random'.")
        self.train_sizes = train_sizes
        self.validation_fraction = validation_fraction
        self.method = method
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of training sizes.

        Parameters
        ----------
        X, y, groups : object
            Ignored.

        Returns
        -------
        n_splits : int
            ``len(train_sizes)``.
        """
        return len(self.train_sizes)

    def get_train_sizes(self, n_samples: int) -> np.ndarray:
        """Return the number of training samples of each split.

        Parameters
        ----------
        n_samples : int
            Number of all samples, including the validation set.

        Returns
        -------
        n_train : ndarray of int of shape (n_splits,)
            Sizes of the training subsets, in increasing order.

        Raises
        ------
        ValueError
            If `n_samples` is too small for a validation set or for growing sizes.
        """
        n_available = n_samples - self._count_validation_samples(n_samples)
        if _are_fractions(self.train_sizes):
            n_train = np.rint(np.multiply(self.train_sizes, n_available)).astype(int)
        else:
            n_train = np.array(self.train_sizes, dtype=int)
        if n_train[0] < 1 or n_train[-1] > n_available or (np.diff(n_train) < 1).any():
            raise ValueError(
                f"train_sizes={self.train_sizes!r} asks for {n_train.tolist()} of "
                f"{n_available} training rows ({n_samples} minus "
                f"{n_samples - n_available} for validation); sizes must grow from at "
                f"least 1 to at most {n_available}."
            )
        return n_train

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the indices of each training subset and of the validation set.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Features or images. Only the number of samples is used.
        y : array-like of shape (n_samples,), default=None
            Class labels. ``method='stratified'`` requires them.
        groups : None
            Groups are not supported, because samples of a group may be in both sets.

        Yields
        ------
        train : ndarray of int of shape (n_train,)
            Ascending indices of the training subset.
        validation : ndarray of int of shape (n_validation,)
            Ascending indices of the validation set, the same in every split.

        Raises
        ------
        ValueError
            In these cases:

            - `groups` is given.
            - ``method='stratified'`` receives no class labels, or the smallest subset
              has fewer samples than there are classes.
            - There are too few samples.
        """
        if groups is not None:
            raise ValueError(
                "TrainSizeSplit does not support groups; use a splitter such as "
                "sklearn.model_selection.GroupShuffleSplit."
            )
        X, y = indexable(X, y)
        n_samples = num_samples(X)
        n_train = self.get_train_sizes(n_samples)
        order = sample_order(self.method, y, n_samples, n_train[0], self.random_state)
        n_validation = self._count_validation_samples(n_samples)
        # `sample_order` puts one sample of every class at the beginning. So every
        # training subset has all classes. The validation set is taken from the end.
        validation = np.sort(order[n_samples - n_validation :])
        for n in n_train:
            yield np.sort(order[:n]), validation.copy()

    def _count_validation_samples(self, n_samples: int) -> int:
        """Return the size of the validation set: at least 1, and not all samples."""
        if n_samples < 2:
            raise ValueError(
                f"TrainSizeSplit needs at least 2 rows, one of them for validation, "
                f"but X has n_samples={n_samples}."
            )
        n_validation = round(self.validation_fraction * n_samples)
        return min(max(n_validation, 1), n_samples - 1)


def _are_fractions(train_sizes: Sequence[float]) -> bool:
    """Return whether the sizes are fractions: at least one of them is not an int."""
    return not all(isinstance(size, Integral) for size in train_sizes)


def _check_train_sizes(train_sizes: Sequence[float]) -> None:
    """Raise a ValueError if sizes are not numbers, out of range, or do not increase."""
    sizes = np.asarray(train_sizes, dtype=object)
    is_valid = (
        sizes.ndim == 1
        and len(sizes) > 0
        and all(isinstance(size, Real) for size in sizes)
        and all(small < large for small, large in pairwise(sizes))
        and sizes[0] > 0
    )
    if not is_valid or (_are_fractions(train_sizes) and not sizes[-1] <= 1):
        raise ValueError(
            f"train_sizes={train_sizes!r} must grow: fractions in (0, 1], or ints "
            "of at least 1, such as (0.1, 0.5, 1.0) or (100, 1000)."
        )
