"""Correctness on a device: the CUDA tests, results equal to the CPU's, and waits.

Each function yields one measurement after the other, so that the program can stop
between them.
"""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)


class Measurement(NamedTuple):
    """One row of the table."""

    case: str
    value: float
    unit: str
    note: str = ""


_ROOT = Path(__file__).parents[2]
# Largest difference of predictions in float64 that rounding explains.
_MAX_DIFFERENCE = 1e-7
_FIT = {"batch_size": 20, "max_iter": 4, "random_state": 0, "dtype": "float64"}


def cuda_tests(device: str, quick: bool) -> Iterator[Measurement]:
    """Yield the number of failed tests with the marker ``cuda``, by file."""
    files = sorted(
        str(path.relative_to(_ROOT))
        for path in (_ROOT / "tests").rglob("test_*.py")
        if "pytest.mark.cuda\n" in path.read_text()
    )
    for file in files[:1] if quick else files:
        options = ["-q", "-m", "cuda", "-n", "0", "--tb=no", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, file],
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        last_line = (done.stdout.strip().splitlines() or ["no output"])[-1]
        failed = re.search(r"(\d+) failed", last_line)
        n_failed = int(failed[1]) if failed else int(done.returncode != 0)
        yield Measurement(file, n_failed, "failed", last_line)


def equality(device: str, quick: bool) -> Iterator[Measurement]:
    """Yield the difference of predictions after a fit on the device and on the CPU."""
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, (230, 64)) / 255.0
    y = rng.randint(0, 3, 230)
    target = X[:, :5].sum(axis=1)
    cnn = {"image_shape": (8, 8), **_FIT}
    cases: dict[str, tuple[Any, np.ndarray]] = {
        "SoftmaxRegression": (SoftmaxRegression(**_FIT), y),
        "MLPClassifier": (MLPClassifier((20, 10), **_FIT), y),
        "MLPClassifier, early stopping": (
            MLPClassifier(20, early_stopping=True, solver="adamw", **_FIT),
            y,
        ),
        "MLPClassifier, batch norm": (MLPClassifier(20, batch_norm=True, **_FIT), y),
        "MLPClassifier, onecycle": (
            MLPClassifier(20, learning_rate="onecycle", solver="sgd", **_FIT),
            y,
        ),
        "MLPClassifier, class weight": (
            MLPClassifier(20, class_weight="balanced", **_FIT),
            y,
        ),
        "MLPClassifier, lbfgs": (MLPClassifier(20, **(_FIT | {"solver": "lbfgs"})), y),
        "MLPRegressor": (MLPRegressor((20,), early_stopping=True, **_FIT), target),
        "CNNClassifier": (CNNClassifier((4, 4), **cnn), y),
        "CNNClassifier, batch norm": (CNNClassifier(4, batch_norm=True, **cnn), y),
        "EnsembleClassifier": (
            EnsembleClassifier(MLPClassifier(10, **_FIT), 3, random_state=0),
            y,
        ),
    }
    for solver in ("nadam", "rmsprop", "adagrad", "adadelta"):
        model = MLPClassifier(20, solver=solver, **_FIT)
        cases[f"MLPClassifier, {solver}"] = model, y
    for case, (model, labels) in list(cases.items())[: 2 if quick else None]:
        here, there = (
            _predict(_on(model, d).fit(X, labels), X) for d in ("cpu", device)
        )
        difference = float(np.abs(here - there).max() / max(1.0, np.abs(here).max()))
        note = "" if difference <= _MAX_DIFFERENCE else "DIFFERS"
        yield Measurement(case, difference, "relative difference", note)


def _on(model: Any, device: str) -> Any:
    """Return a copy of an estimator that trains on a device."""
    names = model.get_params()
    name = "device" if "device" in names else "estimator__device"
    return copy.deepcopy(model).set_params(**{name: device})


def _predict(model: Any, X: np.ndarray) -> np.ndarray:
    """Return probabilities or predicted values."""
    predict = getattr(model, "predict_proba", model.predict)
    return np.asarray(predict(X))


def waits(device: str, quick: bool) -> Iterator[Measurement]:
    """Yield how often an epoch waits for the GPU, as torch's debug mode counts it."""
    if not device.startswith("cuda"):
        return
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, (400, 16)).astype(np.uint8)
    y = rng.randint(0, 3, 400)

    def fit(epochs: int, packed: bool, params: dict[str, Any]) -> None:
        network = MLPClassifier(
            10,
            batch_size=20,
            max_iter=epochs,
            n_iter_no_change=10**6,
            random_state=0,
            device=device,
            **params,
        )
        if not packed:
            network.fit(X, y)
            return
        grid = {"alpha": np.geomspace(1e-6, 1e-3, 12)}
        PackedGridSearchCV(network, grid, cv=2, refit=False).fit(X, y)

    settings: dict[str, dict[str, Any]] = {
        "plain": {},
        "early stopping": {"early_stopping": True},
        "cosine": {"learning_rate": "cosine"},
        "dropout": {"dropout": 0.5},
    }
    for packed in (False, True):
        for name, params in list(settings.items())[: 1 if quick else None]:
            counts = [_count_waits(fit, epochs, packed, params) for epochs in (2, 6)]
            kind = "pack of 24" if packed else "one network"
            value = (counts[1] - counts[0]) / 4
            yield Measurement(f"{kind}, {name}", value, "waits / epoch")


def _count_waits(function: Any, *args: Any) -> int:
    """Return the number of waits in a call, by torch's warnings."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            function(*args)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchronizing" in str(warning.message) for warning in caught)
