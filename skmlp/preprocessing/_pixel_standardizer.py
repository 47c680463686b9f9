"""Centre and scale pixels by their mean and standard deviation."""

from functools import reduce
from math import prod
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from skmlp._sklearn_bases import available_if, fit_context
from skmlp._sklearn_compat import StrOptions
from skmlp.preprocessing._base import PixelTransformer, output_dtype, row_blocks
from skmlp.preprocessing._moments import (
    Moments,
    block_moments,
    merge_moments,
    pool_moments,
    safe_scale,
)


def _has_inverse(standardizer: "PixelStandardizer") -> bool:
    """Tell whether what was subtracted is known afterwards."""
    if getattr(standardizer, "_fitted_scope", standardizer.scope) == "image":
        raise AttributeError(
            "scope='image' forgets the mean and deviation of each image, so there is "
            "no inverse_transform; use scope='feature', 'channel' or 'global' for one."
        )
    return True


class PixelStandardizer(PixelTransformer):
    """Centre pixels to mean zero and scale them to unit variance.

    ``Z = (X - mean_) / scale_``, with one mean and one deviation for each pixel
    position, each channel, all pixels, or each image, as `scope` says.

    Parameters
    ----------
    scope : {'feature', 'channel', 'global', 'image'}, default='feature'
        What shares one mean and one standard deviation.

        - 'feature': each pixel position (and channel) over all training rows, as
          `sklearn.preprocessing.StandardScaler` does.
        - 'channel': each channel, the last axis of (n, height, width, channels),
          over all positions and training rows. Flat rows and (n, height, width)
          images are grey: they have one channel.
        - 'global': all pixels of all training rows.
        - 'image': each row by its own pixels, which also evens out the lighting.
          Nothing is learnt from the training rows.
    with_mean : bool, default=True
        Subtract the mean.
    with_std : bool, default=True
        Divide by the standard deviation.

    Attributes
    ----------
    mean_ : ndarray of float64 or None
        Mean of the training rows, of shape `feature_shape_` for 'feature',
        (n_channels,) for 'channel', () for 'global'; None for 'image'.
    var_ : ndarray of float64 or None
        Population variance (ddof=0), shaped as `mean_`; None for 'image'.
    scale_ : ndarray of float64 or None
        What is divided by: ``sqrt(var_)``, and 1 where that is zero but for rounding.
        None for 'image' and for ``with_std=False``.
    n_samples_seen_ : int
        Number of rows seen by `fit` or by all calls of `partial_fit`.
    n_features_in_ : int
        Number of values in a row, for images height x width x channels.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns, where X was a DataFrame with string names.
    feature_shape_ : tuple of int
        Shape of a row: (n_features,), (height, width) or (height, width, channels).

    See Also
    --------
    PixelScaler : Scale by the range of the pixel format; nothing to learn.
    sklearn.preprocessing.StandardScaler : The same as 'feature' for flat rows.

    Notes
    -----
    float64 is kept, every other dtype becomes float32; lists are read as float64.
    Means and variances are accumulated in float64, block by block, so that neither
    `fit` nor `transform` copies X in float64; a memory map of uint8 may be larger than
    memory in `fit`. Blocks, and calls of `partial_fit`, are merged by the pairwise
    update of Chan, Golub and LeVeque [1]_. NaN and infinity are refused, as are sparse
    matrices.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the
       sample variance: analysis and recommendations", The American Statistician
       37(3), 1983, 242-247.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.preprocessing import PixelStandardizer
    >>> images = np.array([[[0, 10]], [[20, 10]]], dtype=np.uint8)
    >>> PixelStandardizer().fit_transform(images)
    array([[[-1.,  0.]],
           [[ 1.,  0.]]], dtype=float32)
    >>> standardizer = PixelStandardizer(scope="global").fit(images)
    >>> float(standardizer.mean_), float(standardizer.var_)
    (10.0, 50.0)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "scope": [StrOptions({"feature", "channel", "global", "image"})],
        "with_mean": ["boolean"],
        "with_std": ["boolean"],
    }

    mean_: np.ndarray | None
    var_: np.ndarray | None
    scale_: np.ndarray | None
    n_samples_seen_: int
    _fitted_scope: str

    def __init__(
        self,
        *,
        scope: Literal["feature", "channel", "global", "image"] = "feature",
        with_mean: bool = True,
        with_std: bool = True,
    ) -> None:
        self.scope = scope
        self.with_mean = with_mean
        self.with_std = with_std

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """Learn mean and variance from X, forgetting what was learnt before.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, height, width[, channels])
            Pixels of any real dtype.
        y : None
            Ignored.

        Returns
        -------
        self : PixelStandardizer
            The same object.

        Raises
        ------
        ValueError
            If a parameter is not as described, X is empty, sparse, not finite or of
            another number of dimensions, or its variance overflows float64.
        """
        return self._learn(X, first=True)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """Add the rows of X to what was learnt before.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, height, width[, channels])
            Pixels of any real dtype, rows shaped as in the first call.
        y : None
            Ignored.

        Returns
        -------
        self : PixelStandardizer
            The same object.

        Raises
        ------
        ValueError
            As in `fit`, and if rows are shaped otherwise than before or `scope` was
            changed.
        """
        return self._learn(X, first=not hasattr(self, "n_samples_seen_"))

    def transform(self, X: npt.ArrayLike) -> np.ndarray:
        """Centre and scale X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, height, width[, channels])
            Pixels of any real dtype, rows shaped as in `fit`; never written to.

        Returns
        -------
        Z : ndarray of the shape of X
            float64 where X is float64, else float32. A DataFrame where `set_output`
            asks for one and rows are flat.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If X is not as in `fit`.
        """
        check_is_fitted(self, "n_samples_seen_")
        pixels = self._check_pixels(X, reset=False)
        dtype = output_dtype(pixels)
        Z = np.empty(pixels.shape, dtype)
        mean, scale = self._shift_and_scale(dtype)
        for rows in row_blocks(pixels):
            if self._fitted_scope == "image":
                mean, scale = self._shift_and_scale_of_each(pixels[rows], dtype)
            np.subtract(pixels[rows], mean, out=Z[rows], dtype=dtype)
            Z[rows] /= scale
        return Z

    @available_if(_has_inverse)
    def inverse_transform(self, X: npt.ArrayLike) -> np.ndarray:
        """Bring standardised values back to pixels, as floats, not rounded.

        Absent for ``scope='image'``, which forgets what it subtracts.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, height, width[, channels])
            Standardised values, rows shaped as in `fit`.

        Returns
        -------
        X_pixels : ndarray of the shape of X
            float64 where X is float64, else float32; ``np.rint`` gives the integers.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If X is not as in `fit`.
        """
        check_is_fitted(self, "n_samples_seen_")
        Z = self._check_pixels(X, reset=False)
        dtype = output_dtype(Z)
        pixels = np.empty(Z.shape, dtype)
        mean, scale = self._shift_and_scale(dtype)
        for rows in row_blocks(Z):
            np.multiply(Z[rows], scale, out=pixels[rows], dtype=dtype)
            pixels[rows] += mean
        return pixels

    def _learn(self, X: npt.ArrayLike, *, first: bool) -> Self:
        """Merge the moments of X into those learnt, or start with them."""
        if not first and self.scope != self._fitted_scope:
            raise ValueError(
                f"scope={self.scope!r} differs from scope={self._fitted_scope!r} of "
                "the earlier calls; call fit to start again."
            )
        pixels = self._check_pixels(X, reset=first)
        if self.scope == "image":
            mean, var, scale = None, None, None
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                moments = self._group(_feature_moments(pixels))
                if not first and self.mean_ is not None and self.var_ is not None:
                    earlier = Moments(self.n_samples_seen_, self.mean_, self.var_)
                    moments = merge_moments(earlier, moments)
            _check_variance(moments.var)
            _, mean, var = moments
            n_values = moments.n_rows * (self.n_features_in_ // mean.size)
            scale = safe_scale(mean, var, n_values) if self.with_std else None
        n_before = 0 if first else self.n_samples_seen_
        self._fitted_scope = self.scope
        self.n_samples_seen_ = n_before + len(pixels)
        self.mean_, self.var_, self.scale_ = mean, var, scale
        return self

    def _group(self, moments: Moments) -> Moments:
        """Pool the moments of all features, of shape (1, n_features), by the scope."""
        n_rows, mean, var = moments
        shape = self.feature_shape_
        if self.scope == "feature":
            return Moments(n_rows, mean.reshape(shape), var.reshape(shape))
        n_channels = shape[2] if self.scope == "channel" and len(shape) == 3 else 1
        n_rows, mean, var = pool_moments(
            Moments(n_rows, mean.reshape(-1, n_channels), var.reshape(-1, n_channels))
        )
        grouped_shape = (n_channels,) if self.scope == "channel" else ()
        return Moments(n_rows, mean.reshape(grouped_shape), var.reshape(grouped_shape))

    def _shift_and_scale(self, dtype: np.dtype[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return what is subtracted and divided by, 0 and 1 where nothing is."""
        mean = self.mean_ if self.with_mean and self.mean_ is not None else 0.0
        scale = self.scale_ if self.with_std and self.scale_ is not None else 1.0
        if self._fitted_scope != "channel":
            return np.asarray(mean, dtype), np.asarray(scale, dtype)
        # Repeated for every pixel: NumPy broadcasts 3 channels in loops of length 3.
        shape = self.feature_shape_
        return np.full(shape, mean, dtype), np.full(shape, scale, dtype)

    def _shift_and_scale_of_each(
        self, images: np.ndarray, dtype: np.dtype[Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the same for each of some images, shaped to broadcast over it."""
        each = (len(images),) + (1,) * (images.ndim - 1)
        with np.errstate(over="ignore", invalid="ignore"):
            moments = block_moments(images.reshape(len(images), -1), axis=1)
        _check_variance(moments.var)
        mean = moments.mean if self.with_mean else np.zeros(each)
        scale = np.ones(each)
        if self.with_std:
            scale = safe_scale(moments.mean, moments.var, prod(images.shape[1:]))
        return mean.reshape(each).astype(dtype), scale.reshape(each).astype(dtype)


def _feature_moments(pixels: np.ndarray) -> Moments:
    """Return the moments of every feature, of shape (1, n_features)."""
    blocks = (pixels[rows] for rows in row_blocks(pixels))
    return reduce(
        merge_moments,
        (block_moments(block.reshape(len(block), -1), axis=0) for block in blocks),
    )


def _check_variance(var: np.ndarray) -> None:
    """Refuse values whose squares are no longer numbers."""
    if not np.isfinite(var).all():
        raise ValueError(
            "The variance of X overflows float64, so X cannot be standardised; scale "
            "its values down first."
        )
