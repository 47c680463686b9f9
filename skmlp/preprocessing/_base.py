"""What the pixel transformers share: which input they take, and its dtype."""

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

# Everything else (object, longdouble, numeric strings) becomes float64, the first.
_KEPT_DTYPES = [np.float64, np.float32, np.float16, np.bool_]
_KEPT_DTYPES += [np.uint8, np.uint16, np.uint32, np.uint64]
_KEPT_DTYPES += [np.int8, np.int16, np.int32, np.int64]

# 256 KiB of uint8, 1 MiB of float32: a block stays in a core's cache between steps.
_BLOCK_VALUES = 1 << 18


def output_dtype(X: np.ndarray) -> np.dtype[Any]:
    """Return float64 for float64 and float32 for everything else."""
    return np.dtype(np.float64 if X.dtype == np.float64 else np.float32)


def row_blocks(X: np.ndarray) -> Iterator[slice]:
    """Yield slices of rows small enough to stay in cache while worked on."""
    return gen_batches(len(X), max(1, _BLOCK_VALUES // prod(X.shape[1:])))


def _has_feature_names(transformer: "PixelTransformer") -> bool:
    """Tell whether rows are flat, and say what to do where they are images."""
    feature_shape = getattr(transformer, "feature_shape_", (1,))
    if len(feature_shape) > 1:
        raise AttributeError(
            f"Images of shape {feature_shape} have no feature names; reshape X to "
            "(n_samples, n_features) to have them."
        )
    return True


class PixelTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base of the transformers that keep the shape of flat rows and of images."""

    @available_if(_has_feature_names)
    def get_feature_names_out(
        self, input_features: npt.ArrayLike | None = None
    ) -> np.ndarray:
        """Return the names of the features, which are those of the input.

        Flat rows have feature names; images have none, and are then given back as
        arrays whatever ``set_output`` asks for.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features,), default=None
            Names of the input; by default ``feature_names_in_``, else x0, x1, ...

        Returns
        -------
        feature_names_out : ndarray of str of shape (n_features,)
            The same names.
        """
        return super().get_feature_names_out(input_features)

    def _check_pixels(self, X: Any, *, reset: bool) -> np.ndarray:
        """Validate X and, with reset, take its rows as those to expect from now on."""
        pixels = validate_data(
            self, X, reset=reset, dtype=_KEPT_DTYPES, allow_nd=True, ensure_2d=False
        )
        if pixels.ndim < 2:
            check_array(pixels, estimator=self)  # raises what scikit-learn's users know
        if pixels.ndim > 4:
            raise ValueError(
                f"X has shape {pixels.shape}, but {type(self).__name__} takes rows "
                "(n_samples, n_features) or images (n_samples, height, width[, "
                "channels])."
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
        """Refuse rows shaped unlike those of fit, flat ones in scikit-learn's words."""
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
            f"X has rows of shape {shape}, but {name} is expecting rows of shape "
            f"{expected} as input{single}."
        )

    def __sklearn_tags__(self) -> Any:
        """Declare images as input, and the dtypes that transform keeps."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
