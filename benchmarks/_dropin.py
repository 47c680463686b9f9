"""`dropin`: scikit-learn's networks and ours, fitted side by side on the same rows.

For every task and seed the two have the same parameters and `random_state`, and train
in float64 on the CPU for a given number of epochs; before each measured fit there is a
short one that is not. A record holds both scores, both times and how far the weights
are apart.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn import neural_network as theirs
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from benchmarks import _environment
from benchmarks._results import Record
from skmlp import neural_network as ours

NAME = "dropin"
DATASET = "scikit-learn's data sets"
SEEDS = 3
QUICK_EPOCHS = 2

Loader = Callable[[], tuple[np.ndarray, np.ndarray]]


def _digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = datasets.load_digits(return_X_y=True)
    return X / 16, y


def _labels() -> tuple[np.ndarray, np.ndarray]:
    X, y = _digits()
    return X, np.column_stack([y % 2, y > 4, y == 0]).astype(int)


def _breast_cancer() -> tuple[np.ndarray, np.ndarray]:
    X, y = datasets.load_breast_cancer(return_X_y=True)
    return scale(X), y


def _diabetes() -> tuple[np.ndarray, np.ndarray]:
    X, y = datasets.load_diabetes(return_X_y=True)
    return scale(X), scale(y)


def _iris() -> tuple[np.ndarray, np.ndarray]:
    return datasets.load_iris(return_X_y=True)


def _wide() -> tuple[np.ndarray, np.ndarray]:
    """As many rows and columns as a tenth of MNIST has."""
    return datasets.make_classification(
        6000, 784, n_informative=50, n_classes=10, random_state=0
    )


@dataclass(frozen=True)
class Task:
    """Data, which of the two estimators, and parameters that both know."""

    name: str
    load: Loader
    kind: str = "MLPClassifier"
    params: Mapping[str, Any] = field(default_factory=dict)

    def build(self, package: Any, seed: int, quick: bool) -> Any:
        """Make scikit-learn's or our estimator."""
        estimator = getattr(package, self.kind)(random_state=seed, **self.params)
        if quick:
            estimator.set_params(max_iter=QUICK_EPOCHS)
        return estimator


NESTEROV = {"solver": "sgd", "learning_rate_init": 0.01}
TASKS = (
    Task("digits-adam", _digits, params={"max_iter": 50}),
    Task("digits-sgd", _digits, params={**NESTEROV, "max_iter": 50}),
    Task(
        "digits-early-stopping",
        _digits,
        params={
            "hidden_layer_sizes": (100, 50),
            "early_stopping": True,
            "max_iter": 50,
        },
    ),
    Task("digits-multilabel", _labels, params={"max_iter": 50}),
    Task("breast-cancer-adam", _breast_cancer, params={"max_iter": 50}),
    Task("iris-lbfgs", _iris, params={"solver": "lbfgs", "max_iter": 200}),
    Task("diabetes-adam", _diabetes, "MLPRegressor", {"max_iter": 50}),
    Task("6000x784-adam", _wide, params={"max_iter": 10}),
)


def run_all(
    names: tuple[str, ...], seeds: int, quick: bool, command: str
) -> Iterator[Record]:
    """Yield a record for every task, or those named, and every seed from 0."""
    known = [task.name for task in TASKS]
    for name in names:
        if name not in known:
            raise ValueError(f"Unknown task {name!r}; there is {', '.join(known)}.")
    for order, task in enumerate(TASKS):
        if not names or task.name in names:
            for seed in range(seeds):
                yield {
                    "experiment": NAME,
                    "dataset": DATASET,
                    "train_size": None,
                    "quick": quick,
                    "order": order,
                    "model": task.name,
                    "seed": seed,
                    "estimator": task.kind,
                    "parameters": dict(task.params),
                    **compare(task, seed, quick),
                    **_environment.describe(),
                    "device_name": "cpu",
                    "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                    "command": command,
                    "error": None,
                }


def compare(task: Task, seed: int, quick: bool) -> Record:
    """Fit both on the same rows and measure."""
    X, y = task.load()
    rows = train_test_split(X, y, test_size=0.2, random_state=0)
    X_train, X_test, y_train, y_test = rows
    fitted, seconds = [], []
    for package in (theirs, ours):
        # The first fit pays for imports and thread pools.
        _fit(task.build(package, seed, quick=True), X_train, y_train)
        started = perf_counter()
        fitted.append(_fit(task.build(package, seed, quick), X_train, y_train))
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


def _fit(estimator: Any, X: np.ndarray, y: np.ndarray) -> Any:
    """Fit; that epochs are few is meant."""
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return estimator.fit(X, y)
