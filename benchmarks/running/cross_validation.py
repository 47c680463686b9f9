"""Estimators of any package, cross-validated on several data sets.

Every estimator stands behind a scaler that is fitted on each fold's training rows. The
seed draws folds and network alike; all estimators meet the same folds.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from time import perf_counter
from typing import Any

from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from benchmarks.data.bundled_tables import TABLES
from benchmarks.definitions.experiment import BUNDLED
from benchmarks.definitions.model import Model
from benchmarks.definitions.request import Request
from benchmarks.result_store.result_files import Key, Record, key_of
from benchmarks.running.fitting import heading
from benchmarks.running.preparation import QUICK_EPOCHS, QUICK_ROWS, limit_epochs

DATASETS = ("breast-cancer", "wine", "iris", "digits", "california-like")
FOLDS = 5


def run_all(
    request: Request,
    data: None,
    starting: Callable[[Model, int], None] = lambda model, seed: None,
    done: Container[Key] = (),
) -> Iterator[Record]:
    """Yield a record for every model and every seed from 0."""
    for model in request.experiment.select(request.models):
        # The first fit pays for imports and thread pools.
        cross_validate(model, "iris", replace(request, quick=True), seed=0)
        for seed in range(request.seeds):
            if key_of(request, BUNDLED, model.name, seed) not in done:
                starting(model, seed)
                yield run_model(model, request, seed)


def run_model(model: Model, request: Request, seed: int) -> Record:
    """Cross-validate one model on every data set."""
    found = {name: cross_validate(model, name, request, seed) for name in DATASETS}
    return {
        **heading(request, BUNDLED, model, seed),
        "parameters": dict(model.estimator.params),
        "folds": FOLDS,
        "rows": {name: one["rows"] for name, one in found.items()},
        "scores": {name: one["scores"] for name, one in found.items()},
        "seconds": {name: one["seconds"] for name, one in found.items()},
        "device_name": "cpu",
        "error": None,
    }


def cross_validate(
    model: Model, dataset: str, request: Request, seed: int
) -> dict[str, Any]:
    """Return rows, the accuracy of each fold, and seconds for all folds."""
    X, y = TABLES[dataset]()
    estimator = model.estimator.build(random_state=seed, device=request.device)
    if request.quick:
        every = max(1, len(y) // QUICK_ROWS[0])
        X, y = X[::every], y[::every]
        limit_epochs(estimator, QUICK_EPOCHS)
    steps = [step.build() for step in model.preprocessing]
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    started = perf_counter()
    # Some do not converge within their default of epochs, and are scored as such.
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        scores = cross_val_score(make_pipeline(*steps, estimator), X, y, cv=folds)
    seconds = perf_counter() - started
    return {"rows": len(y), "scores": scores.tolist(), "seconds": round(seconds, 3)}
