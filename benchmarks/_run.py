"""One run: a model fitted with one seed, measured, and written down as one record."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from statistics import mean
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import confusion_matrix, f1_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from benchmarks import _environment, _first_layer, _watch, _weeks
from benchmarks._datasets import Data
from benchmarks._experiment import Component, Model, Request, Validation
from benchmarks._results import Key, Record, key_of, result_name
from skmlp.model_selection import subsample
from skmlp.persistence import save_model

QUICK_ROWS = (400, 200)
QUICK_EPOCHS = 2
WARM_UP_ROWS = 300

# Batches larger than the few rows of a trial are clipped, with this warning.
CLIPPED = "Got `batch_size` less than 1 or larger than sample size"


@dataclass(frozen=True)
class Rows:
    """Preprocessed rows of one model: for training, validation (or none) and test."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray] | None
    test: tuple[np.ndarray, np.ndarray]
    steps: list[Any]


SPARED = (
    "Test rows are spared: those scored here are the training rows that the train size "
    "leaves out."
)


def cut(data: Data, request: Request) -> Data:
    """Reduce the training rows to the request's train size: every k-th row.

    Raises
    ------
    ValueError
        If test rows are to be spared and no training row is left out.
    """
    if request.train_size is not None:
        X, y, taken = subsample(
            data.X_train,
            data.y_train,
            train_size=request.train_size,
            method="every",
            return_indices=True,
        )
        if request.experiment.spares_test_rows and len(taken) < len(data.y_train):
            data = replace(
                data,
                X_test=np.delete(data.X_train, taken, axis=0),
                y_test=np.delete(data.y_train, taken),
                remarks=(*data.remarks, SPARED),
            )
        data = replace(data, X_train=X, y_train=y)
    if request.experiment.spares_test_rows and SPARED not in data.remarks:
        raise ValueError(
            f"Experiment {request.experiment.name!r} scores the rows that --train-size "
            f"leaves out, but {request.train_size} leaves out none."
        )
    return data.head(*QUICK_ROWS) if request.quick else data


def split(
    X: np.ndarray, y: np.ndarray, validation: Validation | None
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray] | None]:
    """Part training rows into those to train on and those held out."""
    if validation is None:
        return (X, y), None
    if validation.random_state is None:
        first = int(len(X) * (1 - validation.fraction))
        return (X[:first], y[:first]), (X[first:], y[first:])
    X, X_val, y, y_val = train_test_split(
        X, y, test_size=validation.fraction, random_state=validation.random_state
    )
    return (X, y), (X_val, y_val)


def prepare(model: Model, data: Data) -> Rows:
    """Split and preprocess; the steps are fitted on the rows to train on, alone.

    The columns of a table are no pixels: they are standardised instead.
    """
    X, y = data.X_train, data.y_train
    if model.train_size is not None and model.train_size < len(y):
        X, y = subsample(X, y, train_size=model.train_size, method="every")
    (X, y), held_out = split(X, y, model.validation)
    components = model.preprocessing
    if data.image_shape is None:
        components = (Component("sklearn.preprocessing.StandardScaler"),)
    steps = [component.build(pixel_max=data.pixel_max) for component in components]
    pipeline = make_pipeline(*(steps or ["passthrough"]))
    return Rows(
        train=(pipeline.fit_transform(X), y),
        validation=held_out and (pipeline.transform(held_out[0]), held_out[1]),
        test=(pipeline.transform(data.X_test), data.y_test),
        steps=steps,
    )


def build(model: Model, data: Data, request: Request, seed: int) -> Any:
    """Make the model's estimator for this data, device and seed."""
    estimator = model.estimator.build(
        image_shape=data.image_shape, device=request.device, random_state=seed
    )
    return limit_epochs(estimator, QUICK_EPOCHS) if request.quick else estimator


def limit_epochs(estimator: Any, epochs: int) -> Any:
    """Set the number of epochs, of an ensemble's members too."""
    names = [k for k in estimator.get_params() if k.rpartition("__")[2] == "max_iter"]
    return estimator.set_params(**dict.fromkeys(names, epochs))


def measure(
    estimator: Any, rows: Rows, model: Model, example: int | None = None
) -> tuple[Any, Record]:
    """Fit on the training rows, then score; the test rows are for scoring only.

    Return the fitted estimator and its figures. `example` is the number of a test row
    to tell the label of, predicted before and after.
    """
    X_test, y_test = rows.test
    pictured = None if example is None or example >= len(y_test) else X_test[example]
    watching = _watch.callbacks(
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
            estimator, of_weeks = _weeks.train(
                estimator, rows.train, rows.test, model.weeks
            )
            curves["week_score"] = of_weeks
        seconds = perf_counter() - started
    history = getattr(estimator, "history_", ())
    seconds -= sum(epoch.get(_watch.SECONDS, 0.0) for epoch in history)
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
        "curves": curves | _watch.curves(history),
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
            "before": history[0][_watch.BEFORE],
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
        **_environment.describe(request.experiment.needs),
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
            figures["first_layer"] = _first_layer.encode(fitted, data.image_shape)
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
        "device_name": _environment.device_name(figures["device"]),
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
