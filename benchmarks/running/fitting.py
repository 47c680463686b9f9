"""One run: a model fitted with one seed, measured, and written down as one record."""

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
from benchmarks.result_store.result_files import Key, Record, key_of, result_name
from benchmarks.running import environment, epoch_scores, weekly_training
from benchmarks.running.preparation import Rows, build, cut, limit_epochs, prepare
from skmlp.persistence import save_model

WARM_UP_ROWS = 300

# Batches larger than the few rows of a trial are clipped, with this warning.
CLIPPED = "Got `batch_size` less than 1 or larger than sample size"


def measure(
    estimator: Any, rows: Rows, model: Model, example: int | None = None
) -> tuple[Any, Record]:
    """Fit on the training rows, then score; the test rows are for scoring only.

    Return the fitted estimator and its figures. `example` is the number of a test row
    to tell the label of, predicted before and after.
    """
    X_test, y_test = rows.test
    pictured = None if example is None or example >= len(y_test) else X_test[example]
    watching = epoch_scores.callbacks(
        model.watch,
        {"train": rows.train, "test": rows.test},
        np.unique(rows.train[1]),
        pictured,
    )
    if watching:
        estimator.set_params(callbacks=watching)
    curves: dict[str, list[float]] = {}
    with _recorded_warnings() as said, _uninterrupted():
        started = perf_counter()
        if model.weeks is None:
            kept = {}
            if rows.validation is not None:
                kept = {"X_val": rows.validation[0], "y_val": rows.validation[1]}
            estimator.fit(*rows.train, **kept)
        else:
            estimator, of_weeks = weekly_training.train(
                estimator, rows.train, rows.test, model.weeks
            )
            curves["week_score"] = of_weeks
        seconds = perf_counter() - started
    history = getattr(estimator, "history_", ())
    seconds -= sum(epoch.get(epoch_scores.SECONDS, 0.0) for epoch in history)
    if watching:
        estimator.set_params(callbacks=None)

    probabilities = estimator.predict_proba(X_test)
    predicted = estimator.classes_[probabilities.argmax(axis=1)]
    members = getattr(estimator, "estimators_", None)
    networks = members or [estimator]
    layers = getattr(networks[0], "coefs_", None)
    return estimator, {
        "layers": layers and len(layers),
        "n_parameters": sum(_count(network) for network in networks),
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
        "curves": curves | epoch_scores.curves(history),
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
            "before": history[0][epoch_scores.BEFORE],
            "after": predicted[example],
        },
        "warnings": said,
        "device": str(getattr(networks[0], "device_", "cpu")),
    }


def heading(request: Request, dataset: str, model: Model, seed: int) -> Record:
    """Return what every record says of what was asked, and of where it ran."""
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
    """Do one run and describe it; training that fails is a result too."""
    rows = prepare(model, data)
    estimator = build(model, data, request, seed)
    parameters = estimator.get_params(deep=False)
    model_file = None
    try:
        fitted, figures = measure(estimator, rows, model, request.experiment.example)
        figures["error"] = None
        # Of one seed: stored for each, they would outweigh all the rest.
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
    meets_protocol = request.meets_protocol()
    return {
        **heading(request, data.name, model, seed),
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
        "reported": list(model.reported) if meets_protocol else [],
        "reported_curves": dict(model.reported_curves) if meets_protocol else {},
        "device_name": environment.device_name(figures["device"]),
    }


def warm_up(model: Model, data: Data, request: Request) -> None:
    """Fit for an epoch on a few rows: a first fit pays for imports and thread pools."""
    few = data.head(WARM_UP_ROWS, 1)
    estimator = build(model, few, request, seed=0)
    # What fails here fails again, and is recorded, in the run itself.
    with suppress(ValueError, RuntimeError), _recorded_warnings(), _uninterrupted():
        limit_epochs(estimator, 1).fit(*prepare(model, few).train)


def run_all(
    request: Request,
    data: Data,
    starting: Callable[[Model, int], None] = lambda model, seed: None,
    done: Container[Key] = (),
) -> Iterator[Record]:
    """Yield each run's record as it ends: every model, every seed from 0, not yet done.

    `starting` is called before each run. The times are those of later fits, as the
    first of every model is not measured.
    """
    data = cut(data, request)
    for model in request.experiment.select(request.models):
        seeds = [
            seed
            for seed in range(request.seeds)
            if key_of(request, data.name, model.name, seed) not in done
        ]
        if seeds:
            warm_up(model, data, request)
        for seed in seeds:
            starting(model, seed)
            yield run_model(model, data, request, seed)


def _count(estimator: Any) -> int:
    """Count weights and biases."""
    if hasattr(estimator, "n_parameters_"):
        return int(estimator.n_parameters_)
    return sum(part.size for part in (*estimator.coefs_, *estimator.intercepts_))


@contextmanager
def _recorded_warnings() -> Iterator[list[str]]:
    """Collect warnings; those that were not to be expected are shown as well."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
    for warning in caught:
        said.append(f"{warning.category.__name__}: {warning.message}")
        expected = issubclass(warning.category, ConvergenceWarning) or str(
            warning.message
        ).startswith(CLIPPED)
        if not expected:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Raise KeyboardInterrupt again after a `fit` that ended early on Ctrl-C.

    scikit-learn's contract for `fit` is to keep the model trained so far; as a record
    it would pass for a complete run.
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
