"""Models as the candidates of one packed search, scored over folds.

All chosen models must be the same estimator, differ only in parameters that a grid can
vary, and share their preprocessing. A candidate's record holds its scores on the
training and validation samples of each fold. The test set is not used.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Iterator
from statistics import fmean
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

from benchmarks.data.datasets import Data
from benchmarks.definitions.model import Model
from benchmarks.definitions.request import Request
from benchmarks.result_store.result_files import Key, Record, request_key
from benchmarks.running import environment
from benchmarks.running.fitting import describe_run
from benchmarks.running.preparation import build_estimator, reduce_data
from skmlp.model_selection import PackedGridSearchCV

FOLDS = 3


def run_all(
    request: Request,
    data: Data,
    on_start: Callable[[Model, int], None] = lambda model, seed: None,
    done: Container[Key] = (),
) -> Iterator[Record]:
    """Yield a record for every model and seed; each seed is one search."""
    data = reduce_data(data, request)
    models = request.experiment.select(request.models)
    for seed in range(request.seeds):
        missing = [
            model
            for model in models
            if request_key(request, data.name, model.name, seed) not in done
        ]
        if missing:
            on_start(missing[0], seed)
            yield from run_search(missing, data, request, seed)


def run_search(
    models: list[Model], data: Data, request: Request, seed: int
) -> Iterator[Record]:
    """Search over the models' networks at once. The seed determines the folds."""
    networks = [build_estimator(model, data, request, seed) for model in models]
    varied = _varied_parameters(
        [network.get_params(deep=False) for network in networks]
    )
    steps = [s.build(pixel_max=data.pixel_max) for s in models[0].preprocessing]
    last = type(networks[0]).__name__.lower()
    grid = [
        {f"{last}__{name}": [network.get_params()[name]] for name in varied}
        for network in networks
    ]
    search = PackedGridSearchCV(
        make_pipeline(*steps, networks[0]),
        grid,
        cv=StratifiedKFold(FOLDS, shuffle=True, random_state=seed),
        return_train_score=True,
        refit=False,
    )
    started = perf_counter()
    # The small number of epochs is intended.
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        search.fit(data.X_train, data.y_train)
    seconds = perf_counter() - started
    for i, (model, network) in enumerate(zip(models, networks, strict=True)):
        scores: dict[str, list[float]] = {
            part: [
                search.cv_results_[f"split{k}_{part}_score"][i] for k in range(FOLDS)
            ]
            for part in ("train", "test")
        }
        yield {
            **describe_run(request, data.name, model, seed),
            "parameters": network.get_params(deep=False),
            "preprocessing": [repr(step) for step in steps],
            "rows": {"train": len(data.y_train), "validation": 0, "test": 0},
            "n_features": data.X_train.shape[1],
            "n_classes": len(np.unique(data.y_train)),
            "data_remarks": list(data.remarks),
            "folds": FOLDS,
            "epochs": network.max_iter,
            "search_seconds": round(seconds, 3),
            "train_scores": scores["train"],
            "validation_scores_of_folds": scores["test"],
            "train_accuracy": fmean(scores["train"]),
            "validation_accuracy": fmean(scores["test"]),
            "reported": [],
            "device": request.device,
            "device_name": environment.device_name("cpu"),
            "error": None,
        }


def _varied_parameters(all_params: list[dict[str, Any]]) -> list[str]:
    """Return the names of parameters that differ between networks; at least one."""
    first = all_params[0]
    varied = [k for k in first if any(other[k] != first[k] for other in all_params)]
    return varied or ["hidden_layer_sizes"]
