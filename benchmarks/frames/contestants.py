"""The contestants: each makes an estimator that takes a frame with texts and gaps."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import skmlp.neural_network as ours
from benchmarks.frames.package_tables import CLASSIFICATION

# Columns with more levels are cut to the most frequent ones by the one-hot encoder.
_MAX_ONE_HOT_LEVELS = 50

Make = Callable[[str, int], Any]


def _with_categories(X: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose texts are categories, and whose dates are numbers."""
    converted = {}
    for name in X.columns:
        column = X[name]
        if pd.api.types.is_datetime64_any_dtype(column):
            converted[name] = (column - pd.Timestamp(0)).dt.total_seconds()
        elif not pd.api.types.is_numeric_dtype(column):
            converted[name] = column.astype("category")
    return X.assign(**converted)


class CategoryEncoder:
    """Turn texts into the categories of the training rows, for trees."""

    def fit(self, X: pd.DataFrame, y: object = None) -> CategoryEncoder:
        """Remember the categories."""
        self.dtypes_ = _with_categories(X).dtypes
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return a frame with the categories of `fit`; others become missing."""
        return _with_categories(X).astype(
            {k: v for k, v in self.dtypes_.items() if v == "category"}
        )

    def fit_transform(self, X: pd.DataFrame, y: object = None) -> pd.DataFrame:
        """Remember the categories, and return the frame."""
        return self.fit(X).transform(X)


def _numbers(final: Any) -> Any:
    """Return a Pipeline for estimators that need scaled numbers."""
    to_numbers = make_column_transformer(
        (
            make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
            make_column_selector(dtype_include=np.number),
        ),
        (
            OneHotEncoder(
                handle_unknown="infrequent_if_exist",
                max_categories=_MAX_ONE_HOT_LEVELS,
                sparse_output=False,
            ),
            make_column_selector(dtype_exclude=np.number),
        ),
    )
    # scikit-learn's encoder takes no missing values of pandas's dtype of categories.
    as_texts = FunctionTransformer(_with_plain_texts)
    return make_pipeline(as_texts, to_numbers, final)


def _with_plain_texts(X: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of numbers and texts; a missing text is 'missing'."""
    frame = _with_categories(X)
    texts = frame.select_dtypes(exclude=np.number).columns
    return frame.assign(
        **{
            name: frame[name].astype(object).fillna("missing").astype(str)
            for name in texts
        }
    )


def _ours(preset: str) -> Make:
    def make(task: str, seed: int) -> Any:
        cls = (
            ours.TabularClassifier if task == CLASSIFICATION else ours.TabularRegressor
        )
        return cls(preset=preset, random_state=seed, n_jobs=1)

    return make


def _make_linear(task: str, seed: int) -> Any:
    final = LogisticRegression(max_iter=1000) if task == CLASSIFICATION else Ridge()
    return _numbers(final)


def _make_mlp(task: str, seed: int) -> Any:
    cls = ours.MLPClassifier if task == CLASSIFICATION else ours.MLPRegressor
    return _numbers(cls(random_state=seed))


def _make_sklearn_mlp(task: str, seed: int) -> Any:
    cls = MLPClassifier if task == CLASSIFICATION else MLPRegressor
    return _numbers(cls(random_state=seed))


def _make_hist_gradient_boosting(task: str, seed: int) -> Any:
    cls = (
        HistGradientBoostingClassifier
        if task == CLASSIFICATION
        else HistGradientBoostingRegressor
    )
    return make_pipeline(CategoryEncoder(), cls(random_state=seed))


def _make_lightgbm(task: str, seed: int) -> Any:
    import lightgbm

    cls = lightgbm.LGBMClassifier if task == CLASSIFICATION else lightgbm.LGBMRegressor
    return make_pipeline(
        CategoryEncoder(), cls(random_state=seed, n_jobs=1, verbose=-1)
    )


def _make_xgboost(task: str, seed: int) -> Any:
    import xgboost

    cls = xgboost.XGBClassifier if task == CLASSIFICATION else xgboost.XGBRegressor
    return make_pipeline(
        CategoryEncoder(), cls(random_state=seed, n_jobs=1, enable_categorical=True)
    )


class _WithNamedTexts:
    """Pass the names of the columns of texts to `fit` of a peer."""

    def __init__(self, model: Any, argument: str) -> None:
        self.model, self.argument = model, argument

    def fit(self, X: pd.DataFrame, y: Any) -> _WithNamedTexts:
        """Fit the peer."""
        frame = _with_plain_texts(X)
        texts = list(frame.select_dtypes(exclude=np.number).columns)
        self.model.fit(frame, y, **{self.argument: texts})
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the peer's predictions."""
        return np.asarray(self.model.predict(_with_plain_texts(X))).ravel()

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return the peer's probabilities."""
        return self.model.predict_proba(_with_plain_texts(X))


def _make_catboost(task: str, seed: int) -> Any:
    import catboost

    cls = (
        catboost.CatBoostClassifier
        if task == CLASSIFICATION
        else catboost.CatBoostRegressor
    )
    model = cls(
        random_seed=seed, thread_count=1, verbose=False, allow_writing_files=False
    )
    return _WithNamedTexts(model, "cat_features")


def _pytabkit(name: str) -> Make:
    def make(task: str, seed: int) -> Any:
        with warnings.catch_warnings():
            # What the import of pytabkit uses of torch is deprecated.
            warnings.simplefilter("ignore", DeprecationWarning)
            import pytabkit

        kind = "Classifier" if task == CLASSIFICATION else "Regressor"
        cls = getattr(pytabkit, f"{name}_{kind}")
        model = cls(device="cpu", random_state=seed, n_threads=1, verbosity=0)
        return _WithNamedTexts(model, "cat_col_names")

    return make


CONTESTANTS: dict[str, Make] = {
    "linear": _make_linear,
    "MLP": _make_mlp,
    "scikit-learn MLP": _make_sklearn_mlp,
    "HistGradientBoosting": _make_hist_gradient_boosting,
    "LightGBM": _make_lightgbm,
    "XGBoost": _make_xgboost,
    "CatBoost": _make_catboost,
    "RealMLP-TD": _pytabkit("RealMLP_TD"),
    "TabM-D": _pytabkit("TabM_D"),
    "Tabular, fast": _ours("fast"),
    "Tabular, default": _ours("default"),
    "Tabular, best": _ours("best"),
}

_PACKAGES = {
    "LightGBM": "lightgbm",
    "XGBoost": "xgboost",
    "CatBoost": "catboost",
    "RealMLP-TD": "pytabkit",
    "TabM-D": "pytabkit",
}


def why_absent(contestant: str) -> str | None:
    """Return why a contestant cannot take part, or None."""
    package = _PACKAGES.get(contestant)
    if package is None or find_spec(package):
        return None
    return f"{package} is not installed"
