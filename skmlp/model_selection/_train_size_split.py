"""Growing training subsets against one fixed validation part, as a ``cv=`` object."""

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
    """Split rows into growing training subsets and one fixed validation part.

    Every split has the same validation rows, and every training subset holds the one
    before it, so that scores differ by the training rows added and by nothing else.

    Parameters
    ----------
    train_sizes : sequence of float or of int, default=(0.1, 0.33, 0.55, 0.78, 1.0)
        Sizes of the training subsets, growing. Floats in (0, 1] are fractions of the
        rows left for training, rounded to whole rows; ints are numbers of rows. One
        float makes all of them fractions.
    validation_fraction : float, default=0.2
        Fraction of all rows set apart for validation, in (0, 1).
    method : {'stratified', 'random'}, default='stratified'
        Whether the subsets and the validation part hold the classes of y in
        proportion; see :func:`subsample`. Every class is in every training subset.
    random_state : int, RandomState instance or None, default=None
        Seed of the split. With an int, every call of `split` gives the same rows.

    See Also
    --------
    subsample : One smaller training set.
    sklearn.model_selection.learning_curve : Training sizes under cross-validation.

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
        """Return the number of training rows of each split of `n_samples` rows.

        Parameters
        ----------
        n_samples : int
            Number of rows to be split, those for validation included.

        Returns
        -------
        n_train : ndarray of int of shape (n_splits,)
            Rows of each training subset, growing.

        Raises
        ------
        ValueError
            If there are too few rows for validation, or for sizes that grow.
        """
        n_training = n_samples - self._count_validation_rows(n_samples)
        if _are_fractions(self.train_sizes):
            n_train = np.rint(np.multiply(self.train_sizes, n_training)).astype(int)
        else:
            n_train = np.array(self.train_sizes, dtype=int)
        if n_train[0] < 1 or n_train[-1] > n_training or (np.diff(n_train) < 1).any():
            raise ValueError(
                f"train_sizes={self.train_sizes!r} asks for {n_train.tolist()} of "
                f"{n_training} training rows ({n_samples} less "
                f"{n_samples - n_training} for validation); sizes must grow from 1 row "
                "to all of them."
            )
        return n_train

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of each training subset, with the validation rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Rows or images; only their number matters.
        y : array-like of shape (n_samples,), default=None
            Class labels, needed by ``method='stratified'``.
        groups : None
            Not supported; a group may fall on both sides.

        Yields
        ------
        train : ndarray of int of shape (n_train,)
            Training rows, ascending, among them those of the split before.
        validation : ndarray of int of shape (n_validation,)
            Validation rows, ascending, the same in every split.

        Raises
        ------
        ValueError
            If groups are given, y is no class label where one is needed, rows are too
            few, or the smallest subset has fewer rows than there are classes.
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
        n_validation = self._count_validation_rows(n_samples)
        # From the end: the first row of every class stands at the beginning, and
        # belongs to training.
        validation = np.sort(order[n_samples - n_validation :])
        for n in n_train:
            yield np.sort(order[:n]), validation.copy()

    def _count_validation_rows(self, n_samples: int) -> int:
        """Return how many rows are for validation: at least one, and not all."""
        if n_samples < 2:
            raise ValueError(
                f"TrainSizeSplit needs at least 2 rows, one of them for validation, "
                f"but X has n_samples={n_samples}."
            )
        n_validation = round(self.validation_fraction * n_samples)
        return min(max(n_validation, 1), n_samples - 1)


def _are_fractions(train_sizes: Sequence[float]) -> bool:
    """Tell fractions from numbers of rows: one float makes fractions of all."""
    return not all(isinstance(size, Integral) for size in train_sizes)


def _check_train_sizes(train_sizes: Sequence[float]) -> None:
    """Refuse sizes that are no numbers, out of range, or not growing."""
    sizes = np.asarray(train_sizes, dtype=object)
    ordered = (
        sizes.ndim == 1
        and len(sizes) > 0
        and all(isinstance(size, Real) for size in sizes)
        and all(small < large for small, large in pairwise(sizes))
        and sizes[0] > 0
    )
    if not ordered or (_are_fractions(train_sizes) and not sizes[-1] <= 1):
        raise ValueError(
            f"train_sizes={train_sizes!r} must grow: fractions in (0, 1], or ints "
            "of at least 1, such as (0.1, 0.5, 1.0) or (100, 1000)."
        )
