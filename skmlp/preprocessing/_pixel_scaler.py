"""Scale pixels from [0, pixel_max] to a fixed range."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from skmlp._sklearn_bases import fit_context
from skmlp._sklearn_compat import Interval
from skmlp.preprocessing._base import PixelTransformer, output_dtype, row_blocks


class PixelScaler(PixelTransformer):
    """Scale pixels from the range of their format to `feature_range`.

    The scale is that of the pixel format, not of the data, so there is nothing to
    learn, and nothing of a test set can leak into training::

        X_scaled = X / (pixel_max / (high - low)) + low

    With the defaults that is ``X / 255``; with ``feature_range=(-1, 1)`` it is
    ``X / 127.5 - 1``. Values outside [0, `pixel_max`] are scaled by the same rule
    and not clipped.

    Parameters
    ----------
    pixel_max : float, default=255
        Brightest value of the pixel format: 255 for 8 bits, 65535 for 16 bits, 1 for
        floats that are in [0, 1] already.
    feature_range : tuple (low, high), default=(0, 1)
        What 0 and `pixel_max` become.

    Attributes
    ----------
    n_features_in_ : int
        Number of values in a row, for images height x width x channels.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns, where X was a DataFrame with string names.
    feature_shape_ : tuple of int
        Shape of a row: (n_features,), (height, width) or (height, width, channels).

    See Also
    --------
    PixelStandardizer : Centre and scale by what the training data show.
    sklearn.preprocessing.MinMaxScaler : Learn the range of each feature.

    Notes
    -----
    float64 is kept, every other dtype becomes float32, where integers beyond 2**24
    are rounded; lists are read as float64. NaN and infinity are refused, as are sparse
    matrices. `transform` needs no `fit`; after it, rows of another shape are refused.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.preprocessing import PixelScaler
    >>> images = np.array([[[0, 51], [102, 255]]], dtype=np.uint8)
    >>> PixelScaler().fit_transform(images)
    array([[[0. , 0.2],
            [0.4, 1. ]]], dtype=float32)
    >>> PixelScaler(feature_range=(-1, 1)).fit_transform(images / 1.0)
    array([[[-1. , -0.6],
            [-0.2,  1. ]]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "pixel_max": [Interval(Real, 0, None, closed="neither")],
        "feature_range": [tuple, list],
    }

    def __init__(
        self, *, pixel_max: float = 255, feature_range: Sequence[float] = (0, 1)
    ) -> None:
        self.pixel_max = pixel_max
        self.feature_range = feature_range

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """Check the parameters and note the shape of X; nothing is learnt.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, height, width[, channels])
            Pixels of any real dtype.
        y : None
            Ignored.

        Returns
        -------
        self : PixelScaler
            The same object.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or X is empty, sparse, not finite or
            of another number of dimensions.
        """
        self._divisor_and_low()
        self._check_pixels(X, reset=True)
        return self

    def transform(self, X: npt.ArrayLike) -> np.ndarray:
        """Scale X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, height, width[, channels])
            Pixels of any real dtype; never written to.

        Returns
        -------
        X_scaled : ndarray of the shape of X
            float64 where X is float64, else float32. A DataFrame where `set_output`
            asks for one and rows are flat.

        Raises
        ------
        ValueError
            If a parameter or X is not as in `fit`.
        """
        self._validate_params()
        divisor, low = self._divisor_and_low()
        pixels = self._check_pixels(X, reset=False)
        dtype = output_dtype(pixels)
        scaled = np.empty(pixels.shape, dtype)
        for rows in row_blocks(pixels):
            np.divide(pixels[rows], divisor, out=scaled[rows], dtype=dtype)
            if low:
                scaled[rows] += low
        return scaled

    def inverse_transform(self, X: npt.ArrayLike) -> np.ndarray:
        """Bring scaled values back to [0, `pixel_max`], as floats, not rounded.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, height, width[, channels])
            Values in `feature_range`.

        Returns
        -------
        X_pixels : ndarray of the shape of X
            float64 where X is float64, else float32; ``np.rint`` gives the integers.

        Raises
        ------
        ValueError
            If a parameter or X is not as in `fit`.
        """
        self._validate_params()
        divisor, low = self._divisor_and_low()
        scaled = self._check_pixels(X, reset=False)
        dtype = output_dtype(scaled)
        pixels = np.empty(scaled.shape, dtype)
        for rows in row_blocks(scaled):
            np.subtract(scaled[rows], low, out=pixels[rows], dtype=dtype)
            pixels[rows] *= divisor
        return pixels

    def _divisor_and_low(self) -> tuple[float, float]:
        """Return what pixels are divided by, and what is then added."""
        try:
            low, high = (float(bound) for bound in self.feature_range)
            ordered = -np.inf < low < high < np.inf
        except (TypeError, ValueError):
            ordered = False
        if not ordered:
            raise ValueError(
                f"feature_range={self.feature_range!r} must be two finite numbers, "
                "the lower one first, such as (0, 1)."
            )
        return self.pixel_max / (high - low), low

    def __sklearn_tags__(self) -> Any:
        """Declare that transform works before fit."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags
