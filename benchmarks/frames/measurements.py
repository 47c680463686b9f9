"""Fit contestants on a split of a table, and score them on its test rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from benchmarks.frames.contestants import CONTESTANTS, why_absent
from benchmarks.frames.package_tables import CLASSIFICATION, TabularData

TEST_FRACTION = 0.2
MAX_TRAIN_ROWS = 4000
QUICK_TRAIN_ROWS = 200


def split(
    data: TabularData, seed: int, max_train_rows: int | None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series, pd.Series]:
    """Split off a fifth of the rows for tests, and limit the training rows."""
    strata = data.y if data.task == CLASSIFICATION else None
    if strata is not None and strata.value_counts().min() < 2:
        strata = None
    X_train, X_test, y_train, y_test = train_test_split(
        data.X, data.y, test_size=TEST_FRACTION, random_state=seed, stratify=strata
    )
    rows = slice(max_train_rows)
    return X_train[rows], X_test, y_train[rows], y_test


def measure(
    data: TabularData,
    seeds: Sequence[int],
    contestants: Sequence[str],
    max_train_rows: int | None,
    make: Callable[[str, str, int], Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield one record for each split and contestant. The contestants take turns.

    `make` takes the name of a contestant, the task and the seed, and returns an
    estimator; by default one of `CONTESTANTS`.
    """
    for seed in seeds:
        parts = split(data, seed, max_train_rows)
        for name in contestants:
            record = {
                "table": data.name,
                "task": data.task,
                "seed": seed,
                "train_rows": len(parts[0]),
                "all_rows": max_train_rows is None,
                "contestant": name,
            }
            if (error := why_absent(name)) is None:
                try:
                    record |= _fit_and_score(name, data.task, seed, parts, make)
                except Exception as failure:  # noqa: BLE001 - the others go on
                    error = f"{type(failure).__name__}: {failure}"
            yield record | {"error": error}


def _fit_and_score(
    name: str,
    task: str,
    seed: int,
    parts: tuple[pd.DataFrame, pd.DataFrame, pd.Series, pd.Series],
    make: Callable[[str, str, int], Any] | None,
) -> dict[str, float]:
    """Return CPU seconds and scores of one contestant."""
    X_train, X_test, y_train, y_test = parts
    if task == CLASSIFICATION:
        # Numbers of the classes, because XGBoost takes nothing else.
        classes, y = np.unique(y_train.astype(str), return_inverse=True)
        known = y_test.astype(str).isin(classes).to_numpy()
        X_test = X_test[known]
        truth = np.searchsorted(classes, y_test.astype(str)[known])
    else:
        y, truth = y_train.to_numpy(np.float64), y_test.to_numpy(np.float64)
    model = CONTESTANTS[name](task, seed) if make is None else make(name, task, seed)
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        start = process_time()
        model.fit(X_train, y)
        fitted = process_time()
        if task == CLASSIFICATION:
            probabilities = np.asarray(model.predict_proba(X_test), dtype=np.float64)
            ended = process_time()
            scores = _score_classes(truth, probabilities)
        else:
            predicted = model.predict(X_test)
            ended = process_time()
            scores = {
                "score": float(r2_score(truth, predicted)),
                "loss": float(root_mean_squared_error(truth, predicted)),
            }
    return {"fit_seconds": fitted - start, "predict_seconds": ended - fitted, **scores}


def _score_classes(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return accuracy, log loss and AUC."""
    n_classes = probabilities.shape[1]
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    scores = {
        "score": float(accuracy_score(truth, probabilities.argmax(axis=1))),
        "loss": float(log_loss(truth, probabilities, labels=np.arange(n_classes))),
    }
    try:
        auc = (
            roc_auc_score(truth, probabilities[:, 1])
            if n_classes == 2
            else roc_auc_score(
                truth, probabilities, multi_class="ovr", labels=np.arange(n_classes)
            )
        )
    except ValueError:  # the test rows lack a class
        return scores
    return scores | {"auc": float(auc)}
