"""A run of a transformer with an inverse: reconstruction errors, and its codes.

The test set is used for scoring only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Iterator
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.data.datasets import Data
from benchmarks.definitions.model import Model
from benchmarks.definitions.request import Request
from benchmarks.result_store import reconstruction_images
from benchmarks.result_store.result_files import Key, Record, request_key
from benchmarks.running import environment
from benchmarks.running.fitting import describe_run
from benchmarks.running.preparation import (
    PreparedData,
    build_estimator,
    prepare_data,
    reduce_data,
)


def run_all(
    request: Request,
    data: Data,
    on_start: Callable[[Model, int], None] = lambda model, seed: None,
    done: Container[Key] = (),
) -> Iterator[Record]:
    """Yield the record of each run that is not `done`, for every model and every seed.

    `on_start` is called before each run.
    """
    data = reduce_data(data, request)
    for model in request.experiment.select(request.models):
        for seed in range(request.seeds):
            if request_key(request, data.name, model.name, seed) not in done:
                on_start(model, seed)
                yield run_model(model, data, request, seed)


def run_model(model: Model, data: Data, request: Request, seed: int) -> Record:
    """Do one run and describe it. A failed training is a result too."""
    rows = prepare_data(model, data)
    estimator = build_estimator(model, data, request, seed)
    parameters = estimator.get_params(deep=False)
    figures: Record
    try:
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            figures = fit_and_reconstruct(estimator, rows) | {"error": None}
        if seed == 0 and data.image_shape is not None:
            images = first_of_each_class(rows)
            figures["images"] = reconstruction_images.encode(images, data.image_shape)
            figures["reconstructions"] = reconstruction_images.encode(
                reconstruct(estimator, images), data.image_shape
            )
    except (ValueError, RuntimeError) as error:
        figures = {"error": f"{type(error).__name__}: {error}", "device": "cpu"}
    return {
        **describe_run(request, data.name, model, seed),
        "parameters": parameters,
        "preprocessing": [repr(step) for step in rows.steps],
        "rows": {
            "train": len(rows.train[1]),
            "validation": len(rows.validation[1]) if rows.validation else 0,
            "test": len(rows.test[1]),
        },
        "n_features": rows.train[0].shape[1],
        "n_classes": len(np.unique(data.y_train)),
        "data_remarks": list(data.remarks),
        **figures,
        "reported": [],
        "device_name": environment.device_name(figures["device"]),
    }


def fit_and_reconstruct(estimator: Any, rows: PreparedData) -> Record:
    """Fit without labels; return errors of reconstructions and the use of the codes."""
    (X, y), (X_test, y_test) = rows.train, rows.test
    is_network = hasattr(estimator, "max_iter")
    kept = {}
    if is_network and rows.validation is not None:
        kept["X_val"] = rows.validation[0]
    started = perf_counter()
    estimator.fit(X, **kept)
    seconds = perf_counter() - started
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(estimator.transform(X), y)
    return {
        "layers": len(estimator.coefs_) if is_network else 2,
        "n_parameters": _count_parameters(estimator),
        "epochs": estimator.n_iter_ if is_network else 0,
        "best_epoch": getattr(estimator, "best_epoch_", None),
        "fit_seconds": round(seconds, 3),
        "train_error": reconstruction_error(estimator, X),
        "reconstruction_error": reconstruction_error(estimator, X_test),
        "test_accuracy": classifier.score(estimator.transform(X_test), y_test),
        "loss_curve": getattr(estimator, "loss_curve_", None),
        "device": str(getattr(estimator, "device_", "cpu")),
    }


def reconstruct(estimator: Any, X: np.ndarray) -> np.ndarray:
    """Return the samples that are reconstructed from their codes."""
    return estimator.inverse_transform(estimator.transform(X))


def reconstruction_error(estimator: Any, X: np.ndarray) -> float:
    """Return the squared error, averaged over features and samples."""
    return float(np.square(reconstruct(estimator, X) - X).mean(dtype=np.float64))


def first_of_each_class(rows: PreparedData) -> np.ndarray:
    """Return the first test sample of each class."""
    X, y = rows.test
    return X[np.unique(y, return_index=True)[1]]


def _count_parameters(estimator: Any) -> int:
    """Return the number of weights and biases, or of axes and means."""
    if hasattr(estimator, "n_parameters_"):
        return int(estimator.n_parameters_)
    return int(estimator.components_.size + estimator.mean_.size)
