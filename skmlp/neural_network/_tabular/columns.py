"""The columns of a table: numbers, categories and dates, from frames and arrays."""

from collections.abc import Iterator, Sequence
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types

NUMBER, CATEGORY, DATE = "number", "category", "date"

# The missing value of a category.
MISSING = None


class Column(NamedTuple):
    """One column of a table.

    Parameters
    ----------
    kind : str
        'number', 'category' or 'date'.
    values : ndarray of shape (n_samples,)
        - Numbers in float64; NaN is missing.
        - The names of categories; None is missing.
        - Dates as ``datetime64[ns]``; NaT is missing.
    """

    kind: str
    values: np.ndarray


def is_frame(X: Any) -> bool:
    """Return whether X has columns with dtypes: a frame of pandas, polars or Arrow."""
    return hasattr(X, "columns") and hasattr(X, "shape") and not hasattr(X, "tocsr")


def read_columns(X: Any) -> Iterator[Column]:
    """Yield the columns of a frame or of a checked array."""
    if isinstance(X, np.ndarray):
        for values in X.T:
            yield _from_pandas(pd.Series(values))
    elif isinstance(X, pd.DataFrame):
        for i in range(X.shape[1]):
            yield _from_pandas(X.iloc[:, i])
    elif type(X).__module__.partition(".")[0] == "pyarrow":
        for array in X.columns:
            yield _from_pandas(array.to_pandas())
    else:
        for name in X.columns:
            yield _from_polars(X[name])


def as_kind(column: Column, kind: str, name: Any) -> Column:
    """Return a column as another kind; `name` is its name in error messages.

    Raises
    ------
    ValueError
        If a category has to be a number and is none.
    """
    if column.kind == kind:
        return column
    values = column.values
    if kind == CATEGORY:
        return Column(CATEGORY, _names(list(values)))
    if kind == NUMBER and column.kind == CATEGORY:
        try:
            return Column(NUMBER, _floats(values.tolist()))
        except ValueError as error:
            raise ValueError(
                f"Column {name!r} held numbers in fit, but X has a text in it: {error}."
            ) from None
    if kind == NUMBER:
        raise ValueError(f"Column {name!r} held numbers in fit, but X has dates in it.")
    return Column(DATE, pd.to_datetime(pd.Series(values)).to_numpy("datetime64[ns]"))


def _from_pandas(series: pd.Series) -> Column:
    """Return a column of pandas, of any dtype."""
    dtype = series.dtype
    if types.is_bool_dtype(dtype) or isinstance(dtype, pd.CategoricalDtype):
        return Column(CATEGORY, _names(series.tolist()))
    if types.is_numeric_dtype(dtype):
        if types.is_complex_dtype(dtype):
            raise ValueError("Complex data not supported: X has a column of them.")
        return Column(NUMBER, series.to_numpy(np.float64, na_value=np.nan))
    if types.is_datetime64_any_dtype(dtype):
        return Column(DATE, _dates(series))
    if types.is_timedelta64_dtype(dtype):
        return Column(NUMBER, series.dt.total_seconds().to_numpy(np.float64))
    values = series.tolist()
    kind = types.infer_dtype(values, skipna=True)
    if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
        return Column(NUMBER, _floats(values))
    if kind in ("datetime", "datetime64", "date"):
        return Column(DATE, _dates(series))
    if kind == "empty":  # all are missing
        return Column(NUMBER, np.full(len(values), np.nan))
    return Column(CATEGORY, _names(values))


def _from_polars(series: Any) -> Column:
    """Return a column of polars, or of another frame with such columns."""
    dtype = series.dtype
    if dtype.is_temporal():
        converted = series.to_list()
        return _from_pandas(pd.Series(converted))
    if dtype.is_numeric():
        values = [np.nan if v is None else float(v) for v in series.to_list()]
        return Column(NUMBER, np.array(values, dtype=np.float64))
    return _from_pandas(pd.Series(series.to_list(), dtype=object))


def _dates(series: pd.Series) -> np.ndarray:
    """Return dates without time zone, in nanoseconds."""
    dates = pd.to_datetime(series)
    if getattr(dates.dt, "tz", None) is not None:
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    return dates.to_numpy("datetime64[ns]")


def _floats(values: Sequence[Any]) -> np.ndarray:
    """Return numbers or texts of numbers; missing values become NaN."""
    is_missing = pd.isna(np.array(values, dtype=object))
    return np.array(
        [np.nan if m else float(v) for v, m in zip(values, is_missing, strict=True)]
    )


def _names(values: list[Any]) -> np.ndarray:
    """Return the names of categories: texts, or None for a missing value."""
    names = np.empty(len(values), dtype=object)
    known: dict[Any, str | None] = {}
    for i, value in enumerate(values):
        try:
            if value not in known:
                known[value] = _name(value)
            names[i] = known[value]
        except TypeError:
            raise TypeError(
                f"Column values must be numbers, texts, bools or dates, got {value!r}; "
                "the argument must be a string or a number."
            ) from None
    return names


def _name(value: Any) -> str | None:
    """Return the name of a category, the same for 1, 1.0 and '1'."""
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return MISSING
    if isinstance(value, Number) and not isinstance(value, bool | np.bool_):
        number = float(value)  # type: ignore[arg-type]
        return str(int(number)) if number.is_integer() else str(number)
    return str(value)
