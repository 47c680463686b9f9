"""A run: one model is fitted with one seed, scored, and described as one record."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from statistics import mean
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import confusion_matrix, f1_score, log_loss

from benchmarks.data.datasets import Data
from benchmarks.definitions.model import Model
from benchmarks.definitions.request import Request
from benchmarks.result_store import first_layer_images
from benchmarks.result_store.result_files import Key, Record, request_key, result_name
from benchmarks.running import environment, epoch_scores, weekly_training
from benchmarks.running.preparation import (
    PreparedData,
    build_estimator,
    prepare_data,
    reduce_data,
    set_epochs,
)
from skmlp.persistence import save_model

WARM_UP_SAMPLES = 300

# The start of scikit-learn's warning if a trial has fewer samples than a batch.
CLIPPED = "Got `batch_size` less than 1 or larger than sample size"


def fit_and_score(
    estimator: Any, rows: PreparedData, model: Model, example: int | None = None
) -> tuple[Any, Record]:
    """Fit on the training set, then score. The test set is used for scoring only.

    Return the fitted estimator and its figures. `example` is the index of a test sample
    whose label is predicted before and after training.
    """
    X_test, y_test = rows.test
    pictured = None if example is None or example >= len(y_test) else X_test[example]
    monitors = epoch_scores.make_callbacks(
        model.monitor,
        {"train": rows.train, "test": rows.test},
        np.unique(rows.train[1]),
        pictured,
    )
    if monitors:
        estimator.set_params(callbacks=monitors)
    curves: dict[str, list[float]] = {}
    with _recorded_warnings() as messages, _reraised_interrupts():
        started = perf_counter()
        if model.weeks is None:
            kept = {}
            if rows.validation is not None:
                kept = {"X_val": rows.validation[0], "y_val": rows.validation[1]}
            estimator.fit(*rows.train, **kept)
        else:
            estimator, of_weeks = weekly_training.train_weekly(
                estimator, rows.train, rows.test, model.weeks
            )
            curves["week_score"] = of_weeks
        seconds = perf_counter() - started
    history = getattr(estimator, "history_", ())
    seconds -= sum(epoch.get(epoch_scores.SCORING_SECONDS, 0.0) for epoch in history)
    if monitors:
        estimator.set_params(callbacks=None)

    probabilities = estimator.predict_proba(X_test)
    predicted = estimator.classes_[probabilities.argmax(axis=1)]
    members = getattr(estimator, "estimators_", None)
    networks = members or [estimator]
    layers = getattr(networks[0], "coefs_", None)
    return estimator, {
        "layers": layers and len(layers),
        "n_parameters": sum(_count_parameters(network) for network in networks),
        "epochs": estimator.max_iter
        if model.weeks
        else mean([network.n_iter_ for network in networks]),
        "best_epoch": getattr(estimator, "best_epoch_", None),
        "fit_seconds": round(seconds, 3),
        "train_accuracy": estimator.score(*rows.train),
        "validation_accuracy": rows.validation and estimator.score(*rows.validation),
        "test_accuracy": float(np.mean(predicted == y_test)),
        "member_accuracies": members and estimator.member_scores(X_test, y_test),
        "test_loss": log_loss(y_test, probabilities, labels=estimator.classes_),
        "micro_f1": f1_score(y_test, predicted, average="micro"),
        "loss_curve": getattr(estimator, "loss_curve_", None),
        "validation_scores": getattr(estimator, "validation_scores_", None),
        "curves": curves | epoch_scores.read_curves(history),
        "classes": estimator.classes_,
        "confusion_matrix": confusion_matrix(
            y_test, predicted, labels=estimator.classes_
        ),
        "example": None
        if pictured is None
        else {
            "row": example,
            "pixels": pictured,
            "label": y_test[example],
            "before": history[0][epoch_scores.LABEL_BEFORE],
            "after": predicted[example],
        },
        "warnings": messages,
        "device": str(getattr(networks[0], "device_", "cpu")),
    }


def describe_run(request: Request, dataset: str, model: Model, seed: int) -> Record:
    """Return the fields of a record that describe the request and the environment."""
    return {
        "experiment": request.experiment.name,
        "dataset": dataset,
        "train_size": request.train_size,
        "quick": request.quick,
        "order": request.experiment.models.index(model),
        "model": model.name,
        "seed": seed,
        "architecture": model.architecture,
        "estimator": model.estimator.path,
        **environment.describe(request.experiment.needs),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": request.command,
    }


def run_model(model: Model, data: Data, request: Request, seed: int) -> Record:
    """Do one run and describe it. A failed training is a result too."""
    rows = prepare_data(model, data)
    estimator = build_estimator(model, data, request, seed)
    parameters = estimator.get_params(deep=False)
    model_file = None
    try:
        fitted, figures = fit_and_score(
            estimator, rows, model, request.experiment.example
        )
        figures["error"] = None
        # Pixels are stored with one seed only, because they outweigh the other fields.
        if seed > 0 and figures["example"] is not None:
            del figures["example"]["pixels"]
        if seed == 0:
            figures["first_layer"] = first_layer_images.encode(fitted, data.image_shape)
            if request.models_folder is not None:
                model_file = (
                    f"{result_name(request, data.name)}-{model.name}.safetensors"
                )
                save_model(fitted, request.models_folder / model_file)
    except (ValueError, RuntimeError) as error:
        figures = {"error": f"{type(error).__name__}: {error}", "device": "cpu"}
    matches_source_protocol = request.matches_source_protocol()
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
        "weeks": model.weeks and asdict(model.weeks),
        **figures,
        "model_file": model_file,
        "reported": list(model.reported) if matches_source_protocol else [],
        "reported_curves": dict(model.reported_curves)
        if matches_source_protocol
        else {},
        "device_name": environment.device_name(figures["device"]),
    }


def warm_up(model: Model, data: Data, request: Request) -> None:
    """Fit one epoch on a few samples: a first fit includes imports and threads."""
    few = data.take_evenly(WARM_UP_SAMPLES, 1)
    estimator = build_estimator(model, few, request, seed=0)
    # An error here occurs again in the run itself, where it is recorded.
    with (
        suppress(ValueError, RuntimeError),
        _recorded_warnings(),
        _reraised_interrupts(),
    ):
        set_epochs(estimator, 1).fit(*prepare_data(model, few).train)


def run_all(
    request: Request,
    data: Data,
    on_start: Callable[[Model, int], None] = lambda model, seed: None,
    done: Container[Key] = (),
) -> Iterator[Record]:
    """Yield the record of each run that is not `done`, for every model and every seed.

    `on_start` is called before each run. Every model is fitted once before its first
    run, so that no run includes the time of a first fit.
    """
    data = reduce_data(data, request)
    for model in request.experiment.select(request.models):
        seeds = [
            seed
            for seed in range(request.seeds)
            if request_key(request, data.name, model.name, seed) not in done
        ]
        if seeds:
            warm_up(model, data, request)
        for seed in seeds:
            on_start(model, seed)
            yield run_model(model, data, request, seed)


def _count_parameters(estimator: Any) -> int:
    """Return the number of weights and biases."""
    if hasattr(estimator, "n_parameters_"):
        return int(estimator.n_parameters_)
    return sum(part.size for part in (*estimator.coefs_, *estimator.intercepts_))


@contextmanager
def _recorded_warnings() -> Iterator[list[str]]:
    """Collect warnings, and show the unexpected ones."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield messages
    for warning in caught:
        messages.append(f"{warning.category.__name__}: {warning.message}")
        expected = issubclass(warning.category, ConvergenceWarning) or str(
            warning.message
        ).startswith(CLIPPED)
        if not expected:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


@contextmanager
def _reraised_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt after a `fit` that Ctrl-C ended early.

    scikit-learn's `fit` returns the model that was trained so far. Without the
    exception its record would pass for a complete run.
    """
    interrupts: list[int] = []

    def note(number: int, frame: Any) -> None:
        interrupts.append(number)
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # only the main thread can have a handler
        yield
        return
    try:
        yield
        if interrupts:
            raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)
