"""Encode a table with numbers, categories, dates and gaps as an array of numbers."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.preprocessing import QuantileTransformer
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skmlp._sklearn_bases import BaseEstimator
from skmlp._sklearn_compat import check_feature_names_in, num_samples
from skmlp._warnings import warn
from skmlp.neural_network._tabular.columns import (
    CATEGORY,
    DATE,
    MISSING,
    NUMBER,
    Column,
    as_kind,
    is_frame,
    read_columns,
)
from skmlp.training.data.sources import Source, as_source

# Categories up to this number of levels become columns of 0 and 1. More get a code.
_MAX_ONE_HOT_LEVELS = 9

# Largest number of levels of a category. Rarer levels count as unknown.
_MAX_LEVELS = 2048

# Samples for each quantile of a number, and the largest number of quantiles.
_SAMPLES_PER_QUANTILE = 30
_MAX_QUANTILES = 256

# Deviation of the noise that separates equal numbers in `fit`, as a fraction of the
# deviation of the column.
_JITTER = 1e-3

_DATE_PARTS = ("year", "month", "day", "day_of_week", "hour")


class TableEncoder(BaseEstimator):
    """Encode a table as an array of float32.

    The columns of the array are, in this order:

    1. numbers, transformed to a normal distribution by their quantiles; gaps are filled
       by the median,
    2. 0 and 1 for gaps in numbers,
    3. categories with two levels as -1 and 1, and with up to nine levels as one column
       for each level,
    4. codes of the other categories.

    - A missing category is a level, if `fit` has seen it. A level that `fit` has not
      seen has zeros in step 3, and the code 0 in step 4.
    - Columns that are constant or empty in `fit` are left out.
    - Dates become numbers: year, month, day, weekday, hour, and days since 1970.

    Parameters
    ----------
    categorical_features : 'from_dtype', array-like of bool, int or str, or None
        The columns of categories. 'from_dtype' are those with texts, bools, and
        pandas's or polars's dtype of categories.
    random_state : int, RandomState instance or None
        Draws the noise that separates equal numbers before their quantiles are
        computed.

    Attributes
    ----------
    kinds_ : list of str
        Kind of each column: 'number', 'category' or 'date'.
    levels_ : dict of int to list of str or None
        Levels of the categories, by the number of the column.
    numbers_ : list of str
        Names of the numbers, dates included.
    medians_ : list of float
    gaps_ : list of int
        Positions of the numbers with gaps in `fit`.
    quantiles_ : QuantileTransformer or None
        None if there are no numbers.
    n_codes_ : list of int
        Number of codes of each category with a code, the code 0 included.
    """

    def __init__(
        self,
        categorical_features: Any = "from_dtype",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.categorical_features = categorical_features
        self.random_state = random_state

    # Fit

    def fit(self, X: Any, y: object = None) -> Self:
        """Learn levels, medians and quantiles."""
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Any, y: object = None) -> np.ndarray:
        """Learn levels, medians and quantiles, and return the encoded table."""
        X = self._check_table(X, reset=True)
        columns = self._with_given_categories(list(read_columns(X)))
        self.kinds_ = [column.kind for column in columns]
        if DATE in self.kinds_:
            names = [self._name(i) for i, k in enumerate(self.kinds_) if k == DATE]
            warn(
                f"The columns {names} hold dates. They are encoded by their parts: "
                f"{', '.join(_DATE_PARTS)}, and days since 1970."
            )
        self.levels_ = {
            i: levels
            for i, column in enumerate(columns)
            if column.kind == CATEGORY
            and len(levels := _frequent_levels(column.values)) > 1
        }
        numbers = self._numbers(columns)
        self._fit_numbers(numbers)
        return self._encode(columns, numbers)

    def _with_given_categories(self, columns: list[Column]) -> list[Column]:
        """Return the columns with the kinds that `categorical_features` says."""
        given = self.categorical_features
        if isinstance(given, str) and given == "from_dtype":
            return columns
        chosen = _chosen_columns(
            given, getattr(self, "feature_names_in_", None), columns
        )
        kinds = [
            CATEGORY if i in chosen else NUMBER if c.kind == CATEGORY else c.kind
            for i, c in enumerate(columns)
        ]
        return [
            as_kind(column, kind, self._name(i))
            for i, (column, kind) in enumerate(zip(columns, kinds, strict=True))
        ]

    def _fit_numbers(self, numbers: dict[str, np.ndarray]) -> None:
        """Choose the numbers that vary; compute their medians and quantiles."""
        self.numbers_ = [
            name for name, values in numbers.items() if _n_distinct(values) > 1
        ]
        kept = self._stack_numbers(numbers)
        is_gap = np.isnan(kept)
        # Lists: pickle changes the strides of an empty array, and so its joblib.hash.
        self.gaps_ = np.flatnonzero(is_gap.any(axis=0)).tolist()
        self.medians_ = [float(np.nanmedian(column)) for column in kept.T]
        self.quantiles_ = None
        if not self.numbers_:
            return
        rng = check_random_state(self.random_state)
        n_samples = len(kept)
        noise = rng.normal(size=kept.shape) * (_JITTER * np.nanstd(kept, axis=0))
        n_quantiles = n_samples // _SAMPLES_PER_QUANTILE
        self.quantiles_ = QuantileTransformer(
            n_quantiles=min(n_samples, max(10, min(n_quantiles, _MAX_QUANTILES))),
            output_distribution="normal",
            subsample=None,
        ).fit(kept + noise)

    # Transform

    def transform(self, X: Any) -> np.ndarray:
        """Return the encoded table, ``(n_samples, n_encoded)`` of float32."""
        check_is_fitted(self)
        X = self._check_table(X, reset=False)
        columns = [
            as_kind(column, kind, self._name(i))
            for i, (column, kind) in enumerate(
                zip(read_columns(X), self.kinds_, strict=True)
            )
        ]
        return self._encode(columns, self._numbers(columns))

    def _encode(
        self, columns: Sequence[Column], numbers: dict[str, np.ndarray]
    ) -> np.ndarray:
        """Return the encoded columns."""
        n_samples = len(columns[0].values)
        encoded: list[np.ndarray] = [np.empty((n_samples, 0), np.float32)]
        if self.quantiles_ is not None:
            kept = self._stack_numbers(numbers)
            is_gap = np.isnan(kept)
            filled = np.where(is_gap, self.medians_, kept)
            encoded.append(np.asarray(self.quantiles_.transform(filled)))
            encoded.append(is_gap[:, self.gaps_])
        codes: list[np.ndarray] = []
        for i, levels in self.levels_.items():
            position = {level: code for code, level in enumerate(levels, start=1)}
            values = columns[i].values
            code = np.array([position.get(value, 0) for value in values], np.int64)
            if len(levels) > _MAX_ONE_HOT_LEVELS:
                codes.append(code[:, np.newaxis])
            elif len(levels) == 2:
                encoded.append(np.array([0.0, -1.0, 1.0])[code][:, np.newaxis])
            else:
                encoded.append(code[:, np.newaxis] == np.arange(1, len(levels) + 1))
        parts = [part.astype(np.float32) for part in (*encoded, *codes)]
        return np.ascontiguousarray(np.hstack(parts))

    @property
    def n_numbers(self) -> int:
        """Number of columns with numbers, which come first."""
        return len(self.numbers_)

    @property
    def n_codes_(self) -> list[int]:
        """Number of codes of each column with codes, which come last."""
        sizes = [len(levels) for levels in self.levels_.values()]
        return [size + 1 for size in sizes if size > _MAX_ONE_HOT_LEVELS]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the encoded columns."""
        check_is_fitted(self)
        names = check_feature_names_in(self, input_features)
        numbers = [self._rename(number, names) for number in self.numbers_]
        out = [*numbers, *(f"{numbers[i]}_missing" for i in self.gaps_)]
        codes = []
        for i, levels in self.levels_.items():
            if len(levels) > _MAX_ONE_HOT_LEVELS:
                codes.append(str(names[i]))
            elif len(levels) == 2:
                out.append(f"{names[i]}_{levels[1]}")
            else:
                out += [f"{names[i]}_{level}" for level in levels]
        return np.array(out + codes, dtype=object)

    def _rename(self, number: str, names: Sequence[Any]) -> str:
        """Return the name of a number, which is stored as ``'position part'``."""
        position, _, part = number.partition(" ")
        return f"{names[int(position)]}{'_' if part else ''}{part}"

    def _name(self, i: int) -> Any:
        """Return the name of a column, or its number if X has no names."""
        names = getattr(self, "feature_names_in_", None)
        return i if names is None else names[i]

    # Numbers

    def _numbers(self, columns: Sequence[Column]) -> dict[str, np.ndarray]:
        """Return the numbers by ``'position'``, and dates by ``'position part'``."""
        numbers: dict[str, np.ndarray] = {}
        for i, column in enumerate(columns):
            if column.kind == NUMBER:
                if np.isinf(column.values).any():
                    raise ValueError(
                        "Input X contains infinity or a value too large for "
                        f"dtype('float64'), in column {self._name(i)!r}."
                    )
                numbers[str(i)] = column.values
            elif column.kind == DATE:
                numbers |= _date_parts(i, column.values)
        return numbers

    def _stack_numbers(self, numbers: dict[str, np.ndarray]) -> np.ndarray:
        """Return the numbers that vary, ``(n_samples, n_numbers)``."""
        kept = [numbers[name] for name in self.numbers_]
        n_samples = len(next(iter(numbers.values()))) if numbers else 0
        return np.column_stack(kept) if kept else np.empty((n_samples, 0))

    # Input

    def _check_table(self, X: Any, reset: bool) -> Any:
        """Check shape and names of X; return a frame, or an array.

        An array outside memory is read whole, because quantiles need whole columns.
        """
        if is_frame(X):
            n_samples = num_samples(X)
            if n_samples < 1:
                raise ValueError(
                    f"Found array with 0 sample(s) (shape={X.shape}) while a minimum "
                    "of 1 is required."
                )
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        if scipy.sparse.issparse(X):
            raise TypeError(
                "Sparse data was passed, but a table has to be dense; use X.toarray() "
                "to convert it to a dense array, or MLPClassifier."
            )
        X = as_source(X)
        if isinstance(X, Source):
            X = np.asarray(X)
        X = check_array(X, dtype=None, ensure_all_finite=False, estimator=self)
        validate_data(self, X, reset=reset, skip_check_array=True)
        return X


def _frequent_levels(values: np.ndarray) -> list[Any]:
    """Return the levels of a category, sorted, with a missing level at the end.

    With many levels, those that occur once count as unknown.
    """
    counts = Counter(values.tolist())
    if len(counts) > _MAX_ONE_HOT_LEVELS:
        frequent = [level for level, n in counts.most_common(_MAX_LEVELS) if n > 1]
        if len(frequent) > _MAX_ONE_HOT_LEVELS:
            counts = Counter(dict.fromkeys(frequent, 2))
    levels: list[Any] = sorted(level for level in counts if level is not MISSING)
    return [*levels, MISSING] if MISSING in counts else levels


def _n_distinct(values: np.ndarray) -> int:
    """Return the number of distinct numbers, with gaps as one of them.

    A column of gaps only has none.
    """
    is_gap = np.isnan(values)
    numbers = values[~is_gap]
    if not len(numbers):
        return 0
    return int(numbers.min() != numbers.max()) + 1 + int(is_gap.any())


def _date_parts(i: int, dates: np.ndarray) -> dict[str, np.ndarray]:
    """Return the parts of dates as numbers."""
    series = pd.Series(dates)
    parts = {
        f"{i} {part}": getattr(series.dt, part).to_numpy(np.float64)
        for part in _DATE_PARTS
    }
    days = (series - pd.Timestamp(0)).dt.total_seconds() / 86400.0
    return parts | {f"{i} days": days.to_numpy(np.float64)}


def _chosen_columns(
    given: Any, names: np.ndarray | None, columns: Sequence[Column]
) -> set[int]:
    """Return the positions of the columns that a user names as categories."""
    if given is None:
        return set()
    chosen = list(given)
    if all(isinstance(c, bool | np.bool_) for c in chosen):
        if len(chosen) != len(columns):
            raise ValueError(
                f"categorical_features set as a boolean mask has {len(chosen)} "
                f"entries, but X has {len(columns)} columns."
            )
        return {i for i, is_chosen in enumerate(chosen) if is_chosen}
    positions = set()
    for c in chosen:
        if isinstance(c, str):
            if names is None or c not in names:
                raise ValueError(
                    f"categorical_features has the name {c!r}, which is no column of X."
                )
            positions.add(int(np.flatnonzero(names == c)[0]))
        elif 0 <= c < len(columns):
            positions.add(int(c))
        else:
            raise ValueError(
                f"categorical_features has the column {c!r}, but the columns of X are "
                f"0 to {len(columns) - 1}."
            )
    return positions
