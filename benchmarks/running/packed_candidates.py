"""Models as the candidates of one packed search, scored over folds.

All chosen models must be one estimator but for parameters that a grid can move, and
share their preprocessing. A record of a candidate holds its scores over the folds, of
the rows trained on and of those left out; test rows take no part.
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
from benchmarks.result_store.result_files import Key, Record, key_of
from benchmarks.running import environment
from benchmarks.running.fitting import heading
from benchmarks.running.preparation import build, cut
from skmlp.model_selection import PackedGridSearchCV

FOLDS = 3


def run_all(
    request: Request,
    data: Data,
    starting: Callable[[Model, int], None] = lambda model, seed: None,
    done: Container[Key] = (),
) -> Iterator[Record]:
    """Yield a record for every model and seed; each seed is one search over all."""
    data = cut(data, request)
    models = request.experiment.select(request.models)
    for seed in range(request.seeds):
        missing = [
            model
            for model in models
            if key_of(request, data.name, model.name, seed) not in done
        ]
        if missing:
            starting(missing[0], seed)
            yield from search(missing, data, request, seed)


def search(
    models: list[Model], data: Data, request: Request, seed: int
) -> Iterator[Record]:
    """Search over the models' networks at once; the folds are drawn with the seed."""
    networks = [build(model, data, request, seed) for model in models]
    moved = _moved([network.get_params(deep=False) for network in networks])
    steps = [s.build(pixel_max=data.pixel_max) for s in models[0].preprocessing]
    last = type(networks[0]).__name__.lower()
    grid = [
        {f"{last}__{name}": [network.get_params()[name]] for name in moved}
        for network in networks
    ]
    found = PackedGridSearchCV(
        make_pipeline(*steps, networks[0]),
        grid,
        cv=StratifiedKFold(FOLDS, shuffle=True, random_state=seed),
        return_train_score=True,
        refit=False,
    )
    started = perf_counter()
    # So many epochs are meant.
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        found.fit(data.X_train, data.y_train)
    seconds = perf_counter() - started
    for i, (model, network) in enumerate(zip(models, networks, strict=True)):
        scores: dict[str, list[float]] = {
            part: [found.cv_results_[f"split{k}_{part}_score"][i] for k in range(FOLDS)]
            for part in ("train", "test")
        }
        yield {
            **heading(request, data.name, model, seed),
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


def _moved(all_params: list[dict[str, Any]]) -> list[str]:
    """Name the parameters that differ between networks; at least one."""
    first = all_params[0]
    moved = [k for k in first if any(other[k] != first[k] for other in all_params)]
    return moved or ["hidden_layer_sizes"]
