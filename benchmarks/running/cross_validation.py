"""Cross-validation of estimators of any package on several data sets.

Every estimator follows a scaler that is fitted on the training samples of each fold.
The seed determines folds and network. All estimators see the same folds.
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
from benchmarks.result_store.result_files import Key, Record, request_key
from benchmarks.running.fitting import describe_run
from benchmarks.running.preparation import QUICK_EPOCHS, QUICK_SAMPLES, set_epochs

DATASETS = ("breast-cancer", "wine", "iris", "digits", "california-like")
FOLDS = 5


def run_all(
    request: Request,
    data: None,
    on_start: Callable[[Model, int], None] = lambda model, seed: None,
    done: Container[Key] = (),
) -> Iterator[Record]:
    """Yield a record for every model and every seed from 0."""
    for model in request.experiment.select(request.models):
        # The first fit includes the time of imports and of starting thread pools.
        cross_validate_model(model, "iris", replace(request, quick=True), seed=0)
        for seed in range(request.seeds):
            if request_key(request, BUNDLED, model.name, seed) not in done:
                on_start(model, seed)
                yield run_model(model, request, seed)


def run_model(model: Model, request: Request, seed: int) -> Record:
    """Cross-validate one model on every data set."""
    results = {
        name: cross_validate_model(model, name, request, seed) for name in DATASETS
    }
    return {
        **describe_run(request, BUNDLED, model, seed),
        "parameters": dict(model.estimator.params),
        "folds": FOLDS,
        "rows": {name: result["rows"] for name, result in results.items()},
        "scores": {name: result["scores"] for name, result in results.items()},
        "seconds": {name: result["seconds"] for name, result in results.items()},
        "device_name": "cpu",
        "error": None,
    }


def cross_validate_model(
    model: Model, dataset: str, request: Request, seed: int
) -> dict[str, Any]:
    """Return the number of samples, the accuracy of each fold, and the seconds."""
    X, y = TABLES[dataset]()
    estimator = model.estimator.build(random_state=seed, device=request.device)
    if request.quick:
        every = max(1, len(y) // QUICK_SAMPLES[0])
        X, y = X[::every], y[::every]
        set_epochs(estimator, QUICK_EPOCHS)
    steps = [step.build() for step in model.preprocessing]
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    started = perf_counter()
    # Estimators that do not converge within their default epochs are scored anyway.
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        scores = cross_val_score(make_pipeline(*steps, estimator), X, y, cv=folds)
    seconds = perf_counter() - started
    return {"rows": len(y), "scores": scores.tolist(), "seconds": round(seconds, 3)}
