"""Warnings about the scales of data, found by a look at some of the values."""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from skmlp._warnings import warn
from skmlp.exceptions import DataScaleWarning
from skmlp.neural_network._fit.data_checks.value_errors import column_text
from skmlp.training.data.sources import Source

# Inspected values. Their quantiles are exact enough for a warning. More values would
# take longer than a short fit.
_MAX_ROWS = 1000
_MAX_COLUMNS = 1000
_MAX_VALUES = 200_000

# Rows of an array outside memory are read in so many groups of neighbors.
_SOURCE_GROUPS = 8

# Features cause a warning if the range of the widest one is at least _LARGE_RANGE, and
# at least _MAX_RATIO times the range of the narrowest one.
_MAX_RATIO = 1000.0
_LARGE_RANGE = 100.0

# A validation set causes a warning in two cases. In most columns, its range is
# _MAX_VALIDATION_RATIO times the range of the training set, or vice versa. Or in most
# columns, the medians differ by _MAX_SHIFT ranges.
_MAX_VALIDATION_RATIO = 10.0
_MAX_SHIFT = 3.0

# One such column is enough if the validation set exceeds the training set that much.
_EXTREME = 10.0

# Ranges of fewer samples are too uncertain.
_MIN_ROWS = 20


class _Ranges(NamedTuple):
    """The medians of columns, and the ranges that hold 80% of their values."""

    median: np.ndarray
    range: np.ndarray


def warn_about_feature_scales(X: Any, column_names: Any) -> None:
    """Warn if features differ in scale by orders of magnitude.

    Columns that have one value in most samples are not counted: constants, rare
    indicators, the columns of sparse data.
    """
    if X.shape[1] < 2 or X.shape[0] < _MIN_ROWS:
        return
    values = _some_values(X)
    # No range exceeds the difference of two values. A sort of all columns takes longer
    # than this comparison, and longer than a short fit.
    if float(values.max()) - float(values.min()) < _LARGE_RANGE:
        return
    ranges = _ranges(values.astype(np.float64)).range
    varied = np.flatnonzero(ranges > 0)
    if not len(varied):
        return
    widest = varied[ranges[varied].argmax()]
    narrowest = varied[ranges[varied].argmin()]
    if ranges[widest] < _LARGE_RANGE or ranges[widest] < _MAX_RATIO * ranges[narrowest]:
        return
    step = _column_step(X)
    names = [column_text(column_names, i * step) for i in (widest, narrowest)]
    warn(
        f"The features of X are on different scales: {names[0]} varies over "
        f"{_MAX_RATIO:.0f} times the range of {names[1]}, or more. A network hardly "
        "learns from the narrower ones. Scale X, for instance by "
        "make_pipeline(StandardScaler(), ...).",
        DataScaleWarning,
    )


def warn_about_validation_features(X: Any, X_val: Any) -> None:
    """Warn if most features of the validation set are on another scale."""
    if _is_on_another_scale(*_both_as_float64(X, X_val)):
        warn(
            "X_val is on another scale than X. In a Pipeline, X_val skips the steps "
            "before the network: transform it first, or let the Pipeline do it by "
            "metadata routing and transform_input=['X_val'].",
            DataScaleWarning,
        )


def warn_about_validation_targets(y: np.ndarray, y_val: np.ndarray) -> None:
    """Warn if most outputs of the validation set are on another scale."""
    if _is_on_another_scale(*_both_as_float64(y, y_val)):
        warn(
            "y_val is on another scale than y. TransformedTargetRegressor transforms "
            "y, but not y_val: transform it first.",
            DataScaleWarning,
        )


def _both_as_float64(train: Any, valid: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return copies of some values of two sets."""
    values = _some_values(train), _some_values(valid)
    return values[0].astype(np.float64), values[1].astype(np.float64)


def _is_on_another_scale(train: np.ndarray, valid: np.ndarray) -> bool:
    """Return whether most columns that can be compared are on another scale."""
    if min(len(train), len(valid)) < _MIN_ROWS or train.shape[1] != valid.shape[1]:
        return False
    (train_median, train_range), (valid_median, valid_range) = (
        _ranges(train),
        _ranges(valid),
    )
    compared = (train_range > 0) & (valid_range > 0)
    if not compared.any():
        return False
    train_range, valid_range = train_range[compared], valid_range[compared]
    shift = np.abs(valid_median - train_median)[compared]
    ratio = valid_range / train_range / _MAX_VALIDATION_RATIO
    inverse = train_range / valid_range / _MAX_VALIDATION_RATIO
    distance = shift / np.maximum(train_range, valid_range) / _MAX_SHIFT
    exceeds = np.maximum(ratio, distance)
    differs = np.maximum(exceeds, inverse) > 1
    return bool(differs.mean() > 0.5 or exceeds.max() > _EXTREME)


def _ranges(values: np.ndarray) -> _Ranges:
    """Return medians and ranges of the columns; `values` are overwritten."""
    last = len(values) - 1
    low, middle, high = round(0.1 * last), last // 2, round(0.9 * last)
    values.partition((low, middle, high), axis=0)
    with np.errstate(over="ignore"):
        return _Ranges(values[middle], values[high] - values[low])


def _column_step(X: Any) -> int:
    """Return the step between the inspected columns."""
    return -(-X.shape[1] // _MAX_COLUMNS)


def _some_values(X: Any) -> np.ndarray:
    """Return at most `_MAX_VALUES` values: some rows and columns of X."""
    n_rows, step = X.shape[0], _column_step(X)
    max_rows = max(_MIN_ROWS, min(_MAX_ROWS, _MAX_VALUES * step // X.shape[1]))
    if isinstance(X, Source):
        size = max(1, min(n_rows, max_rows) // _SOURCE_GROUPS)
        starts = np.linspace(0, n_rows - size, _SOURCE_GROUPS, dtype=int)
        rows = np.unique(starts[:, None] + np.arange(size))
        return X.read(rows)[:, ::step]
    rows = np.linspace(0, n_rows - 1, min(n_rows, max_rows), dtype=int)
    values = X[rows][:, ::step]
    if scipy.sparse.issparse(values):
        values = values.toarray()
    return values
