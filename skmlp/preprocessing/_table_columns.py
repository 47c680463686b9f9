"""Base class of the transformers of numeric columns of a table."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from skmlp._sklearn_bases import BaseEstimator, TransformerMixin


class ColumnwiseTransformer(TransformerMixin, BaseEstimator):
    """Base of transformers that treat each column alone; NaN stays NaN."""

    def _check_columns(self, X: Any, *, reset: bool) -> np.ndarray:
        """Validate X, whose float32 and float64 values keep their dtype."""
        if not reset:
            check_is_fitted(self)
        return validate_data(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
        )

    def __sklearn_tags__(self) -> Any:
        """Declare that NaN is accepted, and which dtypes are preserved."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def column_quantiles(X: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Return quantiles ``(quantiles, features)`` without NaN, in float64.

    A column of NaN has quantiles of 0.
    """
    X = X.astype(np.float64)
    is_empty = np.isnan(X).all(axis=0)
    return np.nanquantile(np.where(is_empty, 0.0, X), quantiles, axis=0)
