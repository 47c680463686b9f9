"""Base class of the pixel transformers, with input validation."""

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_array, gen_batches
from sklearn.utils.validation import validate_data

from skmlp._sklearn_bases import (
    BaseEstimator,
    OneToOneFeatureMixin,
    TransformerMixin,
    available_if,
)
from skmlp._sklearn_compat import to_numpy

# Other dtypes (object, longdouble, numeric strings) are converted to the first dtype.
_ACCEPTED_DTYPES = [np.float64, np.float32, np.float16, np.bool_]
_ACCEPTED_DTYPES += [np.uint8, np.uint16, np.uint32, np.uint64]
_ACCEPTED_DTYPES += [np.int8, np.int16, np.int32, np.int64]

# 256 KiB of uint8, or 1 MiB of float32. A block stays in the cache of a core while
# several operations are applied to it.
_VALUES_PER_BLOCK = 1 << 18


def output_dtype(X: np.ndarray) -> np.dtype[Any]:
    """Return float64 for float64, and float32 for every other dtype."""
    return np.dtype(np.float64 if X.dtype == np.float64 else np.float32)


def sample_blocks(X: np.ndarray) -> Iterator[slice]:
    """Yield slices of samples that are small enough for the cache."""
    return gen_batches(len(X), max(1, _VALUES_PER_BLOCK // prod(X.shape[1:])))


def _has_feature_names(transformer: "PixelTransformer") -> bool:
    """Return True if samples are flat; raise an AttributeError for images."""
    feature_shape = getattr(transformer, "feature_shape_", (1,))
    if len(feature_shape) > 1:
        raise AttributeError(
            f"Images of shape {feature_shape} have no feature names; reshape X to "
            "(n_samples, n_features) to have them."
        )
    return True


class PixelTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base class of transformers that keep the shape of flat samples and images."""

    @available_if(_has_feature_names)
    def get_feature_names_out(
        self, input_features: npt.ArrayLike | None = None
    ) -> np.ndarray:
        """Return the names of the output features, which equal the input names.

        This method exists only if the samples are flat. Images have no feature names.
        Transformed images are therefore always arrays, even with ``set_output``.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features,), default=None
            The names of the input features. If None, they are ``feature_names_in_`` if
            that is defined, and otherwise ``x0``, ``x1``, and so on.

        Returns
        -------
        feature_names_out : ndarray of str of shape (n_features,)
            The same names.

        Raises
        ------
        ValueError
            If `input_features` differs from ``feature_names_in_``, or does not have
            ``n_features_in_`` names.

        Examples
        --------
        >>> from skmlp.preprocessing import PixelScaler
        >>> PixelScaler().fit([[0, 255]]).get_feature_names_out(["left", "right"])
        array(['left', 'right'], dtype=object)
        """
        return super().get_feature_names_out(input_features)

    def _check_pixels(self, X: Any, *, reset: bool) -> np.ndarray:
        """Validate X; if `reset`, store the shape of a sample."""
        pixels = validate_data(
            self,
            to_numpy(X),
            reset=reset,
            dtype=_ACCEPTED_DTYPES,
            allow_nd=True,
            ensure_2d=False,
        )
        if pixels.ndim < 2:
            check_array(pixels, estimator=self)  # raises scikit-learn's error
        if pixels.ndim > 4:
            raise ValueError(
                f"X has shape {pixels.shape}, but {type(self).__name__} takes flat "
                "samples (n_samples, n_features) or images (n_samples, height, "
                "width[, channels])."
            )
        shape = pixels.shape[1:]
        if 0 in shape:
            raise ValueError(
                f"Found array with 0 feature(s) (shape={pixels.shape}) while a minimum "
                f"of 1 is required by {type(self).__name__}."
            )
        if reset:
            self.feature_shape_: tuple[int, ...] = shape
            self.n_features_in_ = prod(shape)
        else:
            self._check_feature_shape(pixels)
        return pixels

    def _check_feature_shape(self, X: np.ndarray) -> None:
        """Raise a ValueError if samples have another shape than in `fit`.

        For flat samples the message equals the message of scikit-learn.
        """
        shape = X.shape[1:]
        expected = getattr(self, "feature_shape_", shape)
        if shape == expected:
            return
        name = type(self).__name__
        if len(shape) == len(expected) == 1:
            raise ValueError(
                f"X has {shape[0]} features, but {name} is expecting {expected[0]} "
                "features as input."
            )
        single = "; a single image is X[None]" if X.shape == expected else ""
        raise ValueError(
            f"X has samples of shape {shape}, but {name} is expecting samples of shape "
            f"{expected} as input{single}."
        )

    def __sklearn_tags__(self) -> Any:
        """Declare that images are accepted, and which dtypes are preserved."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
