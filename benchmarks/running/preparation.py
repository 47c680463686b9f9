"""The data and the estimator of a run: train size, validation, preprocessing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from benchmarks.data.datasets import Data
from benchmarks.definitions.model import Component, Model, Validation
from benchmarks.definitions.request import Request
from skmlp.model_selection import subsample

QUICK_ROWS = (400, 200)
QUICK_EPOCHS = 2


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
