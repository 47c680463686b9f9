"""The embedding of the features that the parameters of an estimator describe."""

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse

from skmlp.training.data.sources import Source
from skmlp.training.modules.embeddings import FeatureEmbedding


def make_embedding(estimator: Any, n_features: int) -> FeatureEmbedding | None:
    """Return the module before the first layer, or None if there is none.

    Raises
    ------
    ValueError
        If a parameter names a column that X does not have, or a wrong number of codes.
    """
    periodic, categories = estimator.periodic_features, estimator.categorical_features
    if periodic is None and not categories and not estimator.input_scale:
        return None
    categories = {} if categories is None else dict(categories)
    _check_columns("categorical_features", categories, n_features)
    for column, n_codes in categories.items():
        if not isinstance(n_codes, Integral) or n_codes < 1:
            raise ValueError(
                f"categorical_features[{column}] must be the number of codes of that "
                f"column, an integer above 0, got {n_codes!r}."
            )
    if isinstance(periodic, str):  # 'all'
        columns = [i for i in range(n_features) if i not in categories]
    else:
        columns = [] if periodic is None else list(periodic)
    _check_columns("periodic_features", columns, n_features)
    if both := sorted(set(columns) & set(categories)):
        raise ValueError(
            f"The columns {both} are in both periodic_features and "
            "categorical_features; a column holds numbers or codes."
        )
    return FeatureEmbedding(n_features, columns, categories, estimator.input_scale)


def check_codes(estimator: Any, X: Any) -> None:
    """Raise a ValueError if X cannot be embedded: wrong codes, or not in memory."""
    categories = getattr(estimator, "categorical_features", None)
    periodic = getattr(estimator, "periodic_features", None)
    scaled = getattr(estimator, "input_scale", False)
    if periodic is None and not categories and not scaled:
        return
    if scipy.sparse.issparse(X):
        raise ValueError(
            "X is sparse, but periodic_features, categorical_features and input_scale "
            "need a dense array; use X.toarray()."
        )
    if isinstance(X, Source):
        return
    for column, n_codes in (categories or {}).items():
        codes = X[:, column]
        wrong = (codes < 0) | (codes >= n_codes) | (codes != np.floor(codes))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"X has {codes[row]:g} in row {row} of column {column}, but "
                f"categorical_features says that it holds the codes 0 to {n_codes - 1}."
            )


def _check_columns(name: str, columns: Iterable[Any], n_features: int) -> None:
    """Raise a ValueError if a parameter names a column that X does not have."""
    for column in columns:
        is_index = isinstance(column, Integral) and not isinstance(column, bool)
        if not is_index or not 0 <= column < n_features:
            raise ValueError(
                f"{name} has the column {column!r}, but the columns of X are 0 to "
                f"{n_features - 1}."
            )
