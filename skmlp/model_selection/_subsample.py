"""Take part of the rows: stratified, at random, or evenly spaced."""

from numbers import Integral
from typing import Any, Literal

import numpy as np
from sklearn.utils import indexable

from skmlp._sklearn_bases import validate_params
from skmlp._sklearn_compat import (
    Interval,
    RealNotInt,
    StrOptions,
    num_samples,
    safe_indexing,
)
from skmlp.training.data.subsets import count_train_samples, sample_order


@validate_params(
    {
        "train_size": [
            Interval(RealNotInt, 0, 1, closed="right"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "method": [StrOptions({"stratified", "random", "every"})],
        "random_state": ["random_state"],
        "return_indices": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def subsample(
    X: Any,
    y: Any = None,
    *arrays: Any,
    train_size: float,
    method: Literal["stratified", "random", "every"] = "stratified",
    random_state: int | np.random.RandomState | None = None,
    return_indices: bool = False,
) -> Any:
    """Take `train_size` of the rows of X, y and any further arrays.

    The rows taken keep their order. With one integer `random_state`, the rows taken
    at a smaller `train_size` are among those taken at a larger one.

    Parameters
    ----------
    X : array-like, sparse matrix or DataFrame of shape (n_samples, ...)
        Rows or images of any dtype, whatever scikit-learn can index.
    y : array-like of shape (n_samples,), default=None
        Class labels, needed by ``method='stratified'``; else any target.
    *arrays : array-likes of shape (n_samples, ...)
        Further arrays to take the same rows of, such as sample weights.
    train_size : float or int
        A float in (0, 1] is a fraction of the rows, rounded to whole rows; an int is
        a number of rows.
    method : {'stratified', 'random', 'every'}, default='stratified'
        How rows are chosen.

        - 'stratified': at random within each class, the classes in proportion
          (method of Sainte-Laguë [1]_) and each at least once.
        - 'random': at random, without replacement.
        - 'every': every k-th row from row 0 on, where ``k = n_samples / n_train``:
          row ``floor(i * k)`` for i = 0, 1, ..., evenly spaced where k is no integer.
    random_state : int, RandomState instance or None, default=None
        Seed of 'stratified' and 'random'.
    return_indices : bool, default=False
        Return the row numbers too, in the last place.

    Returns
    -------
    subset : object or tuple of objects
        X alone if it was the only input; else a tuple of X, y (None where y was
        None), the further arrays, and the row numbers if asked for. Types are kept;
        sparse matrices come back as CSR.

    Raises
    ------
    ValueError
        If the inputs differ in length, `train_size` asks for no row or more rows than
        there are, or 'stratified' has no class labels or fewer rows than classes.

    See Also
    --------
    TrainSizeSplit : Training subsets of several sizes, as a ``cv=`` object.
    sklearn.model_selection.train_test_split : Take two parts.

    References
    ----------
    .. [1] M. L. Balinski, H. P. Young, "Fair Representation: Meeting the Ideal of One
       Man, One Vote", 2nd edition, Brookings, 2001 (there: Webster's method).

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.model_selection import subsample
    >>> X, y = np.arange(20).reshape(10, 2), np.array(list("aaaaaabbbb"))
    >>> X_small, y_small = subsample(X, y, train_size=0.5, random_state=0)
    >>> y_small
    array(['a', 'a', 'a', 'b', 'b'], dtype='<U1')
    >>> subsample(X, train_size=0.2, method="every")
    array([[ 0,  1],
           [10, 11]])
    """
    inputs = indexable(X, y, *arrays)
    n_samples = num_samples(inputs[0])
    n_train = count_train_samples(train_size, n_samples)
    if method == "every":
        rows = np.arange(n_train) * n_samples // n_train
    else:
        order = sample_order(method, inputs[1], n_samples, n_train, random_state)
        rows = np.sort(order[:n_train])
    taken = [None if a is None else safe_indexing(a, rows) for a in inputs]
    if return_indices:
        taken.append(rows)
    if y is None and not arrays:
        del taken[1]
    return taken[0] if len(taken) == 1 else tuple(taken)
