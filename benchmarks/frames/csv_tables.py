"""Any CSV file with a named target column, as a table."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd

from benchmarks.data.datasets import usual_target
from benchmarks.frames.package_tables import CLASSIFICATION, REGRESSION, TabularData

# A target of integers with at most this many distinct values is one of classes.
_MAX_INTEGER_CLASSES = 20

_SEPARATORS = ",;\t|"
_SAMPLE_BYTES = 1 << 16

# Texts are dates if at least this fraction of them can be read as dates.
_FRACTION_OF_DATES = 0.9


def read(path: Path, target: str | None = None, task: str | None = None) -> TabularData:
    """Read a CSV file: texts, gaps and dates, separated by ``,``, ``;``, tab or ``|``.

    Parameters
    ----------
    path : Path
    target : str or None
        Name of the target column. Rows without a target are left out. None chooses
        it by `usual_target`.
    task : {'classification', 'regression'} or None
        None is regression for numbers, unless there are few distinct integers.

    Raises
    ------
    ValueError
        If the file cannot be read as CSV, or has no such column.
    """
    try:
        frame = pd.read_csv(path, sep=_separator(path))
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read as CSV: {error}") from error
    frame.columns = [str(name).strip() for name in frame.columns]
    if target is None:
        target = usual_target(frame.columns)
    if target not in frame.columns:
        raise ValueError(
            f"{str(path)!r} has no column {target!r}; its columns are "
            f"{', '.join(frame.columns)}."
        )
    frame = frame.dropna(subset=[target]).reset_index(drop=True)
    features = frame.drop(columns=target)
    if not features.shape[1] or len(features) < 10:
        raise ValueError(
            f"{str(path)!r} has {len(features)} rows with a target and "
            f"{features.shape[1]} other columns; a comparison needs at least 10 and 1."
        )
    y = frame[target]
    return TabularData(path.stem, _with_dates(features), y, task or _guess_task(y))


def _separator(path: Path) -> str:
    """Return the separator of the columns."""
    with path.open(encoding="utf-8", errors="replace") as file:
        sample = file.read(_SAMPLE_BYTES)
    try:
        return csv.Sniffer().sniff(sample, _SEPARATORS).delimiter
    except csv.Error:
        return ","


def _with_dates(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose texts of dates are dates."""
    converted = {}
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column) or column.dropna().empty:
            continue
        texts = column.dropna().astype(str)
        if not texts.str.match(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}").all():
            continue
        dates = pd.to_datetime(column, errors="coerce", format="mixed")
        if dates.notna().sum() >= _FRACTION_OF_DATES * len(texts):
            converted[name] = dates
    return frame.assign(**converted)


def _guess_task(y: pd.Series) -> str:
    """Return the task of a target."""
    if not pd.api.types.is_numeric_dtype(y) or pd.api.types.is_bool_dtype(y):
        return CLASSIFICATION
    integers = (y == y.round()).all()
    return (
        CLASSIFICATION
        if integers and y.nunique() <= _MAX_INTEGER_CLASSES
        else REGRESSION
    )
