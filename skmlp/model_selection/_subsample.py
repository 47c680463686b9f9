"""Subsets of samples: stratified, random or evenly spaced."""

from numbers import Integral
from typing import Any, Literal, TypeVar, overload

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

XT = TypeVar("XT")
YT = TypeVar("YT")


@overload
def subsample(
    X: XT,
    y: None = None,
    *,
    train_size: float,
    method: Literal["stratified", "random", "every"] = "stratified",
    random_state: int | np.random.RandomState | None = None,
    return_indices: Literal[False] = False,
) -> XT: ...


@overload
def subsample(
    X: XT,
    y: YT,
    *,
    train_size: float,
    method: Literal["stratified", "random", "every"] = "stratified",
    random_state: int | np.random.RandomState | None = None,
    return_indices: Literal[False] = False,
) -> tuple[XT, YT]: ...


@overload
def subsample(
    X: XT,
    y: None = None,
    *,
    train_size: float,
    method: Literal["stratified", "random", "every"] = "stratified",
    random_state: int | np.random.RandomState | None = None,
    return_indices: Literal[True],
) -> tuple[XT, np.ndarray]: ...


@overload
def subsample(
    X: XT,
    y: YT,
    *,
    train_size: float,
    method: Literal["stratified", "random", "every"] = "stratified",
    random_state: int | np.random.RandomState | None = None,
    return_indices: Literal[True],
) -> tuple[XT, YT, np.ndarray]: ...


@overload
def subsample(
    X: Any,
    y: Any = None,
    *arrays: Any,
    train_size: float,
    method: Literal["stratified", "random", "every"] = "stratified",
    random_state: int | np.random.RandomState | None = None,
    return_indices: bool = False,
) -> Any: ...


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
    """Select `train_size` of the samples of X, y and further arrays.

    The selected samples stay in their order. With the same integer `random_state`, a
    smaller subset is part of every larger subset.

    Parameters
    ----------
    X : array-like, sparse matrix or DataFrame of shape (n_samples, ...)
        Features or images of any dtype.
    y : array-like of shape (n_samples,), default=None
        Targets. ``method='stratified'`` requires class labels.
    *arrays : array-likes of shape (n_samples, ...)
        Further arrays from which the same samples are selected, such as sample weights.
    train_size : float or int
        A float in (0, 1] is a fraction of the samples, rounded to whole samples. An int
        is a number of samples.
    method : {'stratified', 'random', 'every'}, default='stratified'
        How samples are selected.

        - 'stratified': at random within each class. Classes stay in proportion (method
          of Sainte-Laguë [1]_), and every class has at least one selected sample.
        - 'random': at random, without replacement.
        - 'every': n_train evenly spaced samples, where n_train is their number. Sample
          ``floor(i * n_samples / n_train)`` is selected for i = 0, 1, ...
    random_state : int, RandomState instance or None, default=None
        Seed of 'stratified' and 'random'.
    return_indices : bool, default=False
        Whether to return the indices of the selected samples as the last object.

    Returns
    -------
    subset : object or tuple of objects
        X, if there is no other input and `return_indices` is False. If X is the only
        input and `return_indices` is True, a tuple of X and the indices. Otherwise a
        tuple of X, y (or None), the further arrays and, if `return_indices`, the
        indices, an ndarray of int of shape (n_train,). Types do not change, except that
        sparse matrices become CSR.

    Raises
    ------
    ValueError
        In these cases:

        - The inputs differ in length.
        - `train_size` selects no sample, or more samples than there are.
        - 'stratified' receives no class labels, or `train_size` is smaller than the
          number of classes.

    See Also
    --------
    TrainSizeSplit : Training subsets of several sizes, as a ``cv=`` object.
    sklearn.model_selection.train_test_split : Split into two subsets.

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
        indices = np.arange(n_train) * n_samples // n_train
    else:
        # The first n samples of the order are the subset of size n, for every n.
        order = sample_order(method, inputs[1], n_samples, n_train, random_state)
        indices = np.sort(order[:n_train])
    subset = [None if a is None else safe_indexing(a, indices) for a in inputs]
    if return_indices:
        subset.append(indices)
    if y is None and not arrays:
        del subset[1]
    return subset[0] if len(subset) == 1 else tuple(subset)
