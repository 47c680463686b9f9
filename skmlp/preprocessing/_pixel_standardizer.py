"""Center and scale pixels by their mean and standard deviation."""

from functools import reduce
from math import prod
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from skmlp._sklearn_bases import available_if, fit_context
from skmlp._sklearn_compat import StrOptions, outputs_match_input
from skmlp.preprocessing._base import PixelTransformer, output_dtype, sample_blocks
from skmlp.preprocessing._moments import (
    Moments,
    compute_moments,
    merge_moments,
    pool_moments,
    safe_scale,
)


def _has_inverse(standardizer: "PixelStandardizer") -> bool:
    """Return True if the scaling can be inverted; otherwise raise an AttributeError."""
    if getattr(standardizer, "_fitted_scope", standardizer.scope) == "image":
        raise AttributeError(
            "scope='image' does not store the mean and deviation of each image, so "
            "there is no inverse_transform; use scope='feature', 'channel' or 'global'."
        )
    return True


class PixelStandardizer(PixelTransformer):
    """Center pixels to zero mean and scale them to unit variance.

    The formula is ``Z = (X - mean_) / scale_``. The parameter `scope` says which pixels
    share one mean and one standard deviation.

    Parameters
    ----------
    scope : {'feature', 'channel', 'global', 'image'}, default='feature'
        The pixels that share one mean and one standard deviation.

        - 'feature': the pixels of all training samples at the same position and in the
          same channel, as in `sklearn.preprocessing.StandardScaler`.
        - 'channel': the pixels of all training samples in the same channel, which is
          the last axis of (n_samples, height, width, channels). Flat samples and images
          of shape (n_samples, height, width) have one channel.
        - 'global': all pixels of all training samples.
        - 'image': the pixels of each sample. This also removes differences in lighting.
          Nothing is learned from the training samples.
    with_mean : bool, default=True
        Whether to subtract the mean.
    with_std : bool, default=True
        Whether to divide by the standard deviation.

    Attributes
    ----------
    mean_ : ndarray of float64 or None
        Mean of the training samples. Its shape is `feature_shape_` for 'feature',
        (n_channels,) for 'channel' and () for 'global'. None for 'image'.
    var_ : ndarray of float64 or None
        Population variance (ddof=0), of the shape of `mean_`. None for 'image'.
    scale_ : ndarray of float64 or None
        The divisor: ``sqrt(var_)``, or 1 where that is zero up to rounding errors.
        None for 'image' and for ``with_std=False``.
    n_samples_seen_ : int
        Number of samples seen by `fit`, or by all calls of `partial_fit`.
    n_features_in_ : int
        Number of values in a sample. For images it is height x width x channels.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns. Defined only if X is a DataFrame whose column names are
        all strings.
    feature_shape_ : tuple of int
        Shape of a sample: (n_features,), (height, width) or (height, width, channels).

    See Also
    --------
    PixelScaler : Scale pixels by the range of their format.
    sklearn.preprocessing.StandardScaler : The same as 'feature' for flat samples.

    Notes
    -----
    - float64 stays float64. Every other dtype becomes float32. Lists become float64.
    - Means and variances are computed in float64, block by block. X is never copied
      to float64 as a whole. `fit` accepts a memory map of uint8 that is larger than
      memory.
    - Blocks, and calls of `partial_fit`, are merged by the pairwise update of Chan,
      Golub and LeVeque [1]_.
    - NaN, infinity and sparse matrices are refused.

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
        """Compute mean and variance of X. Earlier statistics are discarded.

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
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter is invalid, if X is empty, is not finite, or has less than 2
            or more than 4 dimensions, or if its variance overflows float64.
        TypeError
            If X is sparse.
        """
        return self._update(X, first=True)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """Update mean and variance with further samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, height, width[, channels])
            Pixels of any real dtype. Samples have the same shape as in the first call.
        y : None
            Ignored.

        Returns
        -------
        self : PixelStandardizer
            The fitted transformer.

        Raises
        ------
        ValueError
            If `fit` would refuse X, if the shape of the samples differs from the
            earlier calls, or if `scope` was changed.
        TypeError
            If X is sparse.
        """
        return self._update(X, first=not hasattr(self, "n_samples_seen_"))

    @outputs_match_input
    def transform(self, X: npt.ArrayLike) -> np.ndarray:
        """Center and scale pixels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, height, width[, channels])
            Pixels of any real dtype. Samples have the same shape as in `fit`. X is
            not changed.

        Returns
        -------
        Z : ndarray of the shape of X
            The scaled values, in float64 if X is float64, and otherwise in float32.
            They are a DataFrame if `set_output` requested one and samples are flat.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If `fit` would refuse X, or if the shape of the samples differs from `fit`.
        TypeError
            If X is sparse.
        """
        check_is_fitted(self, "n_samples_seen_")
        pixels = self._check_pixels(X, reset=False)
        dtype = output_dtype(pixels)
        Z = np.empty(pixels.shape, dtype)
        mean, scale = self._shift_and_scale(dtype)
        for block in sample_blocks(pixels):
            if self._fitted_scope == "image":
                mean, scale = self._image_shift_and_scale(pixels[block], dtype)
            np.subtract(pixels[block], mean, out=Z[block], dtype=dtype)
            Z[block] /= scale
        return Z

    @available_if(_has_inverse)
    @outputs_match_input
    def inverse_transform(self, X: npt.ArrayLike) -> np.ndarray:
        """Scale standardized values back to pixels, without rounding.

        This method does not exist for ``scope='image'``, because the means of the
        images are not stored.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, height, width[, channels])
            Standardized values. Samples have the same shape as in `fit`.

        Returns
        -------
        X_pixels : ndarray of the shape of X
            The pixels, in float64 if X is float64, and otherwise in float32.
            ``np.rint`` rounds them to integers.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If `fit` would refuse X, or if the shape of the samples differs from `fit`.
        TypeError
            If X is sparse.
        """
        check_is_fitted(self, "n_samples_seen_")
        Z = self._check_pixels(X, reset=False)
        dtype = output_dtype(Z)
        pixels = np.empty(Z.shape, dtype)
        mean, scale = self._shift_and_scale(dtype)
        for block in sample_blocks(Z):
            np.multiply(Z[block], scale, out=pixels[block], dtype=dtype)
            pixels[block] += mean
        return pixels

    def _update(self, X: npt.ArrayLike, *, first: bool) -> Self:
        """Update the statistics with X. If `first`, start with X."""
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
                moments = self._pool_by_scope(_feature_moments(pixels))
                if not first and self.mean_ is not None and self.var_ is not None:
                    earlier = Moments(self.n_samples_seen_, self.mean_, self.var_)
                    moments = merge_moments(earlier, moments)
            _check_variance(moments.var)
            _, mean, var = moments
            # Number of pixel values in each mean.
            n_values = moments.n_samples * (self.n_features_in_ // mean.size)
            scale = safe_scale(mean, var, n_values) if self.with_std else None
        n_before = 0 if first else self.n_samples_seen_
        self._fitted_scope = self.scope
        self.n_samples_seen_ = n_before + len(pixels)
        self.mean_, self.var_, self.scale_ = mean, var, scale
        return self

    def _pool_by_scope(self, moments: Moments) -> Moments:
        """Pool moments of shape (1, n_features) over the features that share a mean."""
        n_samples, mean, var = moments
        shape = self.feature_shape_
        if self.scope == "feature":
            return Moments(n_samples, mean.reshape(shape), var.reshape(shape))
        n_channels = shape[2] if self.scope == "channel" and len(shape) == 3 else 1
        n_samples, mean, var = pool_moments(
            Moments(
                n_samples, mean.reshape(-1, n_channels), var.reshape(-1, n_channels)
            )
        )
        grouped_shape = (n_channels,) if self.scope == "channel" else ()
        return Moments(
            n_samples, mean.reshape(grouped_shape), var.reshape(grouped_shape)
        )

    def _shift_and_scale(self, dtype: np.dtype[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return the number to subtract and the divisor; they are 0 and 1 if unused."""
        mean = self.mean_ if self.with_mean and self.mean_ is not None else 0.0
        scale = self.scale_ if self.with_std and self.scale_ is not None else 1.0
        if self._fitted_scope != "channel":
            return np.asarray(mean, dtype), np.asarray(scale, dtype)
        # Expanded to the image shape, because broadcasting over three channels is slow
        # in NumPy.
        shape = self.feature_shape_
        return np.full(shape, mean, dtype), np.full(shape, scale, dtype)

    def _image_shift_and_scale(
        self, images: np.ndarray, dtype: np.dtype[Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of each image, of shape (n_images, 1, ...)."""
        shape = (len(images),) + (1,) * (images.ndim - 1)
        with np.errstate(over="ignore", invalid="ignore"):
            moments = compute_moments(images.reshape(len(images), -1), axis=1)
        _check_variance(moments.var)
        mean = moments.mean if self.with_mean else np.zeros(shape)
        scale = np.ones(shape)
        if self.with_std:
            scale = safe_scale(moments.mean, moments.var, prod(images.shape[1:]))
        return mean.reshape(shape).astype(dtype), scale.reshape(shape).astype(dtype)


def _feature_moments(pixels: np.ndarray) -> Moments:
    """Return the moments of every feature, of shape (1, n_features)."""
    blocks = (pixels[block] for block in sample_blocks(pixels))
    return reduce(
        merge_moments,
        (compute_moments(block.reshape(len(block), -1), axis=0) for block in blocks),
    )


def _check_variance(var: np.ndarray) -> None:
    """Raise a ValueError if a variance is not finite."""
    if not np.isfinite(var).all():
        raise ValueError(
            "The variance of X overflows float64, so X cannot be standardized; scale "
            "its values down first."
        )
