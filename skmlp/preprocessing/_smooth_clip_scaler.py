"""Robust scaling, with a smooth bound for outliers."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from skmlp._sklearn_bases import OneToOneFeatureMixin, fit_context
from skmlp._sklearn_compat import Interval
from skmlp.preprocessing._table_columns import ColumnwiseTransformer, column_quantiles


class SmoothClipScaler(OneToOneFeatureMixin, ColumnwiseTransformer):
    """Scale columns by median and quantile range, and clip them smoothly.

    The formulas are::

        z = (X - center_) / scale_
        X_scaled = z / sqrt(1 + (z / bound) ** 2)

    - Values near the median are only scaled. Outliers approach `bound` or ``-bound``.
    - The function is increasing, so the order of the values is kept, except that
      extreme outliers round to the bound.
    - NaN stays NaN, and `fit` ignores it.

    Parameters
    ----------
    bound : float, default=3.0
        Largest absolute value of the output.
    quantile_range : tuple (low, high), default=(25.0, 75.0)
        The scale is the range between these percentiles. If it is zero, the scale is
        half of the range between minimum and maximum. A constant column has scale 1.

    Attributes
    ----------
    center_ : ndarray of shape (n_features,)
        Medians.
    scale_ : ndarray of shape (n_features,)
        Divisors.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns. Defined only if X is a DataFrame whose column names are
        all strings.

    See Also
    --------
    PiecewiseLinearEncoder : Several columns for each one.
    sklearn.preprocessing.RobustScaler : Without a bound.

    Notes
    -----
    The preprocessing of RealMLP (Holzmüller et al. 2024, arXiv:2407.04491).

    Examples
    --------
    >>> from skmlp.preprocessing import SmoothClipScaler
    >>> X = [[0.0], [1.0], [2.0], [3.0], [1000.0]]
    >>> SmoothClipScaler().fit_transform(X).round(2).ravel().tolist()
    [-0.95, -0.49, 0.0, 0.49, 3.0]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "bound": [Interval(Real, 0, None, closed="neither")],
        "quantile_range": [tuple, list],
    }

    def __init__(
        self,
        *,
        bound: float = 3.0,
        quantile_range: Sequence[float] = (25.0, 75.0),
    ) -> None:
        self.bound = bound
        self.quantile_range = quantile_range

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """Compute medians and scales.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Numbers. NaN is ignored.
        y : None
            Ignored.

        Returns
        -------
        self : SmoothClipScaler
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or if X is empty or infinite.
        TypeError
            If X is sparse.
        """
        try:
            low, high = (float(q) / 100.0 for q in self.quantile_range)
            is_range = 0.0 <= low < high <= 1.0
        except (TypeError, ValueError):
            is_range = False
        if not is_range:
            raise ValueError(
                f"quantile_range={self.quantile_range!r} must be two percentiles from "
                "0 to 100, the lower one first, such as (25, 75)."
            )
        X = self._check_columns(X, reset=True)
        lowest, lower, self.center_, upper, highest = column_quantiles(
            X, np.array([0.0, low, 0.5, high, 1.0])
        )
        scale = np.where(upper > lower, upper - lower, (highest - lowest) / 2.0)
        self.scale_ = np.where(scale > 0.0, scale, 1.0)
        return self

    def transform(self, X: npt.ArrayLike) -> np.ndarray:
        """Scale and clip the columns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Numbers. X is not changed.

        Returns
        -------
        X_scaled : ndarray of shape (n_samples, n_features)
            Values in [-bound, bound], in float32 if X is float32, else in float64.

        Raises
        ------
        ValueError
            If X is infinite, or has another number of columns than in `fit`.
        """
        X = self._check_columns(X, reset=False)
        z = (X.astype(np.float64) - self.center_) / self.scale_
        # hypot cannot overflow, as the square of an outlier can.
        z /= np.hypot(1.0, z / self.bound)
        return z.astype(X.dtype, copy=False)

    def inverse_transform(self, X: npt.ArrayLike) -> np.ndarray:
        """Return the numbers before scaling and clipping.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Values between -bound and bound. Values outside, and the bounds themselves,
            are moved to the next smaller number first.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            In float32 if X is float32, else in float64.
        """
        X = self._check_columns(X, reset=False)
        largest = np.nextafter(1.0, 0.0)
        fraction = (X.astype(np.float64) / self.bound).clip(-largest, largest)
        z = self.bound * fraction / np.sqrt((1.0 - fraction) * (1.0 + fraction))
        return (z * self.scale_ + self.center_).astype(X.dtype, copy=False)
