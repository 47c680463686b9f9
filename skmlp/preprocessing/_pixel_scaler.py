"""Scale pixels from [0, pixel_max] to a fixed range."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from skmlp._sklearn_bases import fit_context
from skmlp._sklearn_compat import Interval, outputs_match_input
from skmlp.preprocessing._base import PixelTransformer, output_dtype, sample_blocks


class PixelScaler(PixelTransformer):
    """Scale pixels from [0, `pixel_max`] to `feature_range`.

    The formula is::

        X_scaled = X / (pixel_max / (high - low)) + low

    With the defaults this is ``X / 255``. With ``feature_range=(-1, 1)`` it is
    ``X / 127.5 - 1``.

    - The range depends on the pixel format, not on the data. Nothing is learned, so no
      information of a test set can leak into the training.
    - Values outside [0, `pixel_max`] are scaled by the same formula. They are not
      clipped.

    Parameters
    ----------
    pixel_max : float, default=255
        Largest value of the pixel format: 255 for 8 bits, 65535 for 16 bits, 1 for
        floats in [0, 1].
    feature_range : tuple (low, high), default=(0, 1)
        The values to which 0 and `pixel_max` are scaled.

    Attributes
    ----------
    n_features_in_ : int
        Number of values in a sample. For images it is height x width x channels.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns. Defined only if X is a DataFrame whose column names are
        all strings.
    feature_shape_ : tuple of int
        Shape of a sample: (n_features,), (height, width) or (height, width, channels).

    See Also
    --------
    PixelStandardizer : Scale pixels by the mean and variance of the training set.
    sklearn.preprocessing.MinMaxScaler : Scale by the learned range of each feature.

    Notes
    -----
    - float64 stays float64. Every other dtype becomes float32, which rounds integers
      beyond 2**24. Lists become float64.
    - NaN, infinity and sparse matrices are refused.
    - `transform` works without `fit`. After `fit`, samples must have the same shape.

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
        """Check the parameters and store the shape of the samples.

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
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or if X is empty, is not finite, or has
            less than 2 or more than 4 dimensions.
        TypeError
            If X is sparse.
        """
        self._divisor_and_low()
        self._check_pixels(X, reset=True)
        return self

    @outputs_match_input
    def transform(self, X: npt.ArrayLike) -> np.ndarray:
        """Scale pixels to `feature_range`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, height, width[, channels])
            Pixels of any real dtype. X is not changed.

        Returns
        -------
        X_scaled : ndarray of the shape of X
            The scaled values, in float64 if X is float64, and otherwise in float32.
            They are a DataFrame if `set_output` requested one and samples are flat.

        Raises
        ------
        ValueError
            If `fit` would refuse a parameter or X, or if the shape of the samples
            differs from `fit`.
        TypeError
            If X is sparse.
        """
        self._validate_params()
        divisor, low = self._divisor_and_low()
        pixels = self._check_pixels(X, reset=False)
        dtype = output_dtype(pixels)
        scaled = np.empty(pixels.shape, dtype)
        for block in sample_blocks(pixels):
            np.divide(pixels[block], divisor, out=scaled[block], dtype=dtype)
            if low:
                scaled[block] += low
        return scaled

    @outputs_match_input
    def inverse_transform(self, X: npt.ArrayLike) -> np.ndarray:
        """Scale values back to [0, `pixel_max`], without rounding.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, height, width[, channels])
            Values in `feature_range`.

        Returns
        -------
        X_pixels : ndarray of the shape of X
            The pixels, in float64 if X is float64, and otherwise in float32.
            ``np.rint`` rounds them to integers.

        Raises
        ------
        ValueError
            If `fit` would refuse a parameter or X, or if the shape of the samples
            differs from `fit`.
        TypeError
            If X is sparse.
        """
        self._validate_params()
        divisor, low = self._divisor_and_low()
        scaled = self._check_pixels(X, reset=False)
        dtype = output_dtype(scaled)
        pixels = np.empty(scaled.shape, dtype)
        for block in sample_blocks(scaled):
            np.subtract(scaled[block], low, out=pixels[block], dtype=dtype)
            pixels[block] *= divisor
        return pixels

    def _divisor_and_low(self) -> tuple[float, float]:
        """Return the divisor and the offset of the scaling."""
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
        """Declare that transform works without fit."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags
