"""Networks of scikit-learn and of skmlp that are fitted on the same samples.

For every model and seed, both networks have the same parameters and `random_state`, and
train in float64 on the CPU for a given number of epochs. A short fit that is not
measured precedes each measured one. A record holds both scores, both times, and the
largest difference between weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from benchmarks.data.bundled_tables import TABLES
from benchmarks.definitions.experiment import BUNDLED
from benchmarks.definitions.model import Component, Model
from benchmarks.definitions.request import Request
from benchmarks.result_store.result_files import Key, Record, request_key
from benchmarks.running.fitting import describe_run
from benchmarks.running.preparation import QUICK_EPOCHS


def run_all(
    request: Request,
    data: None,
    on_start: Callable[[Model, int], None] = lambda model, seed: None,
    done: Container[Key] = (),
) -> Iterator[Record]:
    """Yield a record for every model and every seed from 0."""
    for model in request.experiment.select(request.models):
        for seed in range(request.seeds):
            if request_key(request, BUNDLED, model.name, seed) not in done:
                on_start(model, seed)
                yield {
                    **describe_run(request, BUNDLED, model, seed),
                    "parameters": dict(model.estimator.params),
                    **compare_packages(model, seed, request.quick),
                    "device_name": "cpu",
                    "error": None,
                }


def compare_packages(model: Model, seed: int, quick: bool) -> Record:
    """Fit both networks on the same samples and compare them."""
    assert model.dataset is not None
    X, y = TABLES[model.dataset]()
    rows = train_test_split(X, y, test_size=0.2, random_state=0)
    X_train, X_test, y_train, y_test = rows
    fitted, seconds = [], []
    for package in ("sklearn", "skmlp"):
        # The first fit includes the time of imports and of starting thread pools.
        _fit_quietly(
            _build(package, model.estimator, seed, quick=True), X_train, y_train
        )
        network = _build(package, model.estimator, seed, quick)
        started = perf_counter()
        fitted.append(_fit_quietly(network, X_train, y_train))
        seconds.append(perf_counter() - started)
    their, our = fitted
    return {
        "rows": {"train": len(X_train), "validation": 0, "test": len(X_test)},
        "epochs": [their.n_iter_, our.n_iter_],
        "scores": [their.score(X_test, y_test), our.score(X_test, y_test)],
        "largest_weight_difference": max(
            float(np.abs(a - b).max())
            for a, b in zip(
                [*their.coefs_, *their.intercepts_],
                [*our.coefs_, *our.intercepts_],
                strict=True,
            )
        ),
        "fit_seconds": [round(s, 4) for s in seconds],
    }


def _build(package: str, ours: Component, seed: int, quick: bool) -> Any:
    """Make the estimator of a package: the same class name in `package`."""
    theirs = replace(ours, path=ours.path.replace("skmlp", package))
    network = theirs.build(random_state=seed)
    return network.set_params(max_iter=QUICK_EPOCHS) if quick else network


def _fit_quietly(estimator: Any, X: np.ndarray, y: np.ndarray) -> Any:
    """Fit without the warning that epochs are few, which is intended."""
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return estimator.fit(X, y)
