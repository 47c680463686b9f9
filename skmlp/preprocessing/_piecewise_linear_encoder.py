"""Piecewise-linear encoding of numeric columns."""

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from skmlp._sklearn_bases import fit_context
from skmlp._sklearn_compat import Interval, check_feature_names_in
from skmlp.preprocessing._table_columns import ColumnwiseTransformer, column_quantiles


class PiecewiseLinearEncoder(ColumnwiseTransformer):
    """Encode each number by how far it reaches into the bins of its column.

    The bins of a column have the edges ``e[0] < e[1] < ... < e[T]``, which are
    quantiles. The value of bin t is::

        clip((x - e[t]) / (e[t + 1] - e[t]), 0, 1)

    Bins below the number are 1, bins above it are 0, and its own bin holds the
    fraction. A linear layer after this encoding is a piecewise linear function of the
    column.

    - Repeated quantiles give one edge, so columns with few values have fewer bins.
    - A constant column has one bin, whose value is 0.
    - NaN stays NaN in all bins, and `fit` ignores it.

    Parameters
    ----------
    n_bins : int, default=24
        Largest number of bins of a column.
    clip : bool, default=True
        Whether numbers outside the range of `fit` are encoded as its ends. With False,
        the first bin may be negative and the last one larger than 1, as in the paper.

    Attributes
    ----------
    bin_edges_ : list of ndarray of shape (n_bins_[j] + 1,)
        Edges of the bins of each column.
    n_bins_ : ndarray of int of shape (n_features,)
        Number of bins of each column.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns. Defined only if X is a DataFrame whose column names are
        all strings.

    See Also
    --------
    SmoothClipScaler : One column for each one.
    sklearn.preprocessing.KBinsDiscretizer : Without the fraction within a bin.
    sklearn.preprocessing.SplineTransformer : Smooth functions of higher degree.

    Notes
    -----
    The encoding of Gorishniy et al. (2022), arXiv:2203.05556.

    Examples
    --------
    >>> from skmlp.preprocessing import PiecewiseLinearEncoder
    >>> X = [[0.0], [1.0], [2.0], [3.0], [4.0]]
    >>> PiecewiseLinearEncoder(n_bins=2).fit_transform(X)
    array([[0. , 0. ],
           [0.5, 0. ],
           [1. , 0. ],
           [1. , 0.5],
           [1. , 1. ]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "clip": ["boolean"],
    }

    def __init__(self, n_bins: int = 24, *, clip: bool = True) -> None:
        self.n_bins = n_bins
        self.clip = clip

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """Compute the edges of the bins.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Numbers. NaN is ignored.
        y : None
            Ignored.

        Returns
        -------
        self : PiecewiseLinearEncoder
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or if X is empty or infinite.
        TypeError
            If X is sparse.
        """
        X = self._check_columns(X, reset=True)
        quantiles = column_quantiles(X, np.linspace(0.0, 1.0, self.n_bins + 1))
        self.bin_edges_ = [_distinct_edges(column) for column in quantiles.T]
        self.n_bins_ = np.array([len(edges) - 1 for edges in self.bin_edges_])
        return self

    def transform(self, X: npt.ArrayLike) -> np.ndarray:
        """Encode the columns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Numbers. X is not changed.

        Returns
        -------
        X_encoded : ndarray of shape (n_samples, sum(n_bins_))
            The bins of the first column, of the second one, and so on. In float32 if X
            is float32, else in float64.

        Raises
        ------
        ValueError
            If X is infinite, or has another number of columns than in `fit`.
        """
        X = self._check_columns(X, reset=False)
        encoded = np.empty((len(X), self.n_bins_.sum()), X.dtype)
        stop = 0
        for column, edges in zip(X.T, self.bin_edges_, strict=True):
            start, stop = stop, stop + len(edges) - 1
            bins = (column.astype(np.float64)[:, np.newaxis] - edges[:-1]) / np.diff(
                edges
            )
            lowest, highest = np.zeros(len(edges) - 1), np.ones(len(edges) - 1)
            if not self.clip:
                lowest[0], highest[-1] = -np.inf, np.inf
            encoded[:, start:stop] = bins.clip(lowest, highest)
        return encoded

    def inverse_transform(self, X: npt.ArrayLike) -> np.ndarray:
        """Return the numbers that have these encodings.

        Parameters
        ----------
        X : array-like of shape (n_samples, sum(n_bins_))
            Encoded columns.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Numbers that were outside the range of `fit` are its ends, unless `clip` is
            False. In float32 if X is float32, else in float64.
        """
        check_is_fitted(self)
        X = np.asarray(X)
        X = X if X.dtype == np.float32 else X.astype(np.float64)
        n_encoded = int(self.n_bins_.sum())
        if X.ndim != 2 or X.shape[1] != n_encoded:
            raise ValueError(
                f"X has shape {X.shape}, but the encoding has {n_encoded} columns."
            )
        parts = np.split(X, np.cumsum(self.n_bins_)[:-1], axis=1)
        columns = [
            edges[0] + part.astype(np.float64) @ _widths(edges)
            for part, edges in zip(parts, self.bin_edges_, strict=True)
        ]
        return np.column_stack(columns).astype(X.dtype, copy=False)

    def get_feature_names_out(
        self, input_features: npt.ArrayLike | None = None
    ) -> np.ndarray:
        """Return the names of the encoded columns, such as ``x0_bin0``.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features,), default=None
            The names of the columns. If None, they are ``feature_names_in_`` if that is
            defined, and otherwise ``x0``, ``x1``, and so on.

        Returns
        -------
        feature_names_out : ndarray of str of shape (sum(n_bins_),)
        """
        check_is_fitted(self)
        names = check_feature_names_in(self, input_features)
        encoded = [
            f"{name}_bin{t}"
            for name, n_bins in zip(names, self.n_bins_, strict=True)
            for t in range(n_bins)
        ]
        return np.array(encoded, dtype=object)


def _distinct_edges(quantiles: np.ndarray) -> np.ndarray:
    """Return increasing edges; a constant column has the bin [value, infinity)."""
    edges = np.unique(quantiles)
    return edges if len(edges) > 1 else np.array([edges[0], np.inf])


def _widths(edges: np.ndarray) -> np.ndarray:
    """Return the widths of the bins; the bin of a constant column counts as zero."""
    widths = np.diff(edges)
    return np.where(np.isfinite(widths), widths, 0.0)
