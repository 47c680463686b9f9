"""Errors about values, which name the sample and the column."""

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from skmlp.training.data.sources import Source

FLOAT32_MAX = float(np.finfo(np.float32).max)


def column_text(names: Any, index: int) -> str:
    """Return a column by its name, or by its number if it has no name."""
    return f"column {index}" if names is None else f"column {names[index]!r}"


def check_float32_range(values: Any, name: str, column_names: Any = None) -> None:
    """Refuse finite values that float32 cannot hold.

    Parameters
    ----------
    values : ndarray or sparse matrix of float, or None
        A `Source` is checked when its values are read. None is accepted.
    name : str
        What the values are, for the message.
    column_names : sequence of str or None
        Names of the columns, if there are any.
    """
    if values is None or isinstance(values, Source):
        return
    if values.dtype.itemsize <= np.float32().itemsize:
        return
    stored = values.data if scipy.sparse.issparse(values) else values
    if not stored.size or (
        stored.max() <= FLOAT32_MAX and stored.min() >= -FLOAT32_MAX
    ):
        return
    if scipy.sparse.issparse(values):
        values = values.toarray()
    row, *column = np.argwhere(np.abs(values) > FLOAT32_MAX)[0]
    place = f"row {row}"
    if column and values.shape[1] > 1:
        place += f", {column_text(column_names, column[0])}"
    raise ValueError(range_text(name, values[(row, *column)], place))


def range_text(name: str, value: float, place: str) -> str:
    """Return the text of an error about a value that float32 cannot hold."""
    return (
        f"{name} holds {value:g} in {place}, but float32 holds values up to "
        f"{FLOAT32_MAX:.2g}; scale {name}, or fit with dtype='float64'."
    )


def error_with_place(error: Exception, X: Any) -> Exception | None:
    """Return scikit-learn's error about X with the place of the value that caused it.

    None means that the place is not known.
    """
    text = str(error)
    if "Input X contains" in text:
        first, *rest = text.split("\n")
        if (place := _find_non_finite(X)) is None:
            return None
        return ValueError("\n".join([first, f"The first is in {place}.", *rest]))
    if (reason := _find_non_number(X)) is None:
        return None
    error_type = TypeError if isinstance(error, TypeError) else ValueError
    return error_type(f"X has to hold numbers, but {reason}: {text}")


def _find_non_finite(X: Any) -> str | None:
    """Return the row and the column of the first value that is NaN or infinite."""
    names = list(X.columns) if isinstance(X, pd.DataFrame) else None
    try:
        values = np.asarray(X.toarray() if scipy.sparse.issparse(X) else X, dtype=float)
    except (TypeError, ValueError):
        return None
    if values.ndim != 2:
        return None
    row, column = np.argwhere(~np.isfinite(values))[0]
    return f"row {row}, {column_text(names, column)}"


def _find_non_number(X: Any) -> str | None:
    """Return what the first column holds that does not hold numbers."""
    if isinstance(X, pd.DataFrame):
        names: Any = list(X.columns)
        columns = [X.iloc[:, i] for i in range(X.shape[1])]
    else:
        try:
            values = np.asarray(X, dtype=object)
        except (TypeError, ValueError):
            return None
        if values.ndim != 2:
            return None
        names, columns = None, [pd.Series(column) for column in values.T]
    for i, column in enumerate(columns):
        name = column_text(names, i)
        if pd.api.types.is_datetime64_any_dtype(column.dtype):
            return f"{name} is a datetime"
        if pd.api.types.is_timedelta64_dtype(column.dtype):
            return f"{name} is a duration"
        if pd.api.types.is_numeric_dtype(column.dtype):
            continue
        for row, value in enumerate(column):
            try:
                float(value)
            except (TypeError, ValueError):
                what = "text" if isinstance(value, str) else type(value).__name__
                return f"{name} holds {what}: {value!r} in row {row}"
    return None
