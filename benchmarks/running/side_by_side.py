"""scikit-learn's networks and ours, fitted side by side on the same rows.

For every model and seed the two have the same parameters and `random_state`, and train
in float64 on the CPU for a given number of epochs; before each measured fit there is a
short one that is not. A record holds both scores, both times and how far the weights
are apart.
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
from benchmarks.result_store.result_files import Key, Record, key_of
from benchmarks.running.fitting import heading
from benchmarks.running.preparation import QUICK_EPOCHS


def run_all(
    request: Request,
    data: None,
    starting: Callable[[Model, int], None] = lambda model, seed: None,
    done: Container[Key] = (),
) -> Iterator[Record]:
    """Yield a record for every model and every seed from 0."""
    for model in request.experiment.select(request.models):
        for seed in range(request.seeds):
            if key_of(request, BUNDLED, model.name, seed) not in done:
                starting(model, seed)
                yield {
                    **heading(request, BUNDLED, model, seed),
                    "parameters": dict(model.estimator.params),
                    **compare(model, seed, request.quick),
                    "device_name": "cpu",
                    "error": None,
                }


def compare(model: Model, seed: int, quick: bool) -> Record:
    """Fit both on the same rows and measure."""
    assert model.dataset is not None
    X, y = TABLES[model.dataset]()
    rows = train_test_split(X, y, test_size=0.2, random_state=0)
    X_train, X_test, y_train, y_test = rows
    fitted, seconds = [], []
    for package in ("sklearn", "skmlp"):
        # The first fit pays for imports and thread pools.
        _fit(_build(package, model.estimator, seed, quick=True), X_train, y_train)
        network = _build(package, model.estimator, seed, quick)
        started = perf_counter()
        fitted.append(_fit(network, X_train, y_train))
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
    """Make scikit-learn's or our estimator: the same name in another package."""
    theirs = replace(ours, path=ours.path.replace("skmlp", package))
    network = theirs.build(random_state=seed)
    return network.set_params(max_iter=QUICK_EPOCHS) if quick else network


def _fit(estimator: Any, X: np.ndarray, y: np.ndarray) -> Any:
    """Fit; that epochs are few is meant."""
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return estimator.fit(X, y)
