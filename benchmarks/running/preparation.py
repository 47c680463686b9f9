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

QUICK_SAMPLES = (400, 200)
QUICK_EPOCHS = 2


@dataclass(frozen=True)
class PreparedData:
    """Preprocessed samples of one model; there may be no validation set."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray] | None
    test: tuple[np.ndarray, np.ndarray]
    steps: list[Any]


LEFT_OUT_SAMPLES_REMARK = (
    "Test rows are spared: those scored here are the training rows that the train size "
    "leaves out."
)


def reduce_data(data: Data, request: Request) -> Data:
    """Reduce the training samples to the request's train size: every k-th sample.

    Raises
    ------
    ValueError
        If the left-out samples are to be scored, but the train size leaves out none.
    """
    if request.train_size is not None:
        X, y, kept_indices = subsample(
            data.X_train,
            data.y_train,
            train_size=request.train_size,
            method="every",
            return_indices=True,
        )
        if request.experiment.scores_left_out_samples and len(kept_indices) < len(
            data.y_train
        ):
            data = replace(
                data,
                X_test=np.delete(data.X_train, kept_indices, axis=0),
                y_test=np.delete(data.y_train, kept_indices),
                remarks=(*data.remarks, LEFT_OUT_SAMPLES_REMARK),
            )
        data = replace(data, X_train=X, y_train=y)
    if (
        request.experiment.scores_left_out_samples
        and LEFT_OUT_SAMPLES_REMARK not in data.remarks
    ):
        raise ValueError(
            f"Experiment {request.experiment.name!r} scores the samples that "
            f"--train-size leaves out, but {request.train_size} leaves out none."
        )
    return data.take_evenly(*QUICK_SAMPLES) if request.quick else data


def split_validation(
    X: np.ndarray, y: np.ndarray, validation: Validation | None
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray] | None]:
    """Split training samples into a training set and a validation set."""
    if validation is None:
        return (X, y), None
    if validation.random_state is None:
        first = int(len(X) * (1 - validation.fraction))
        return (X[:first], y[:first]), (X[first:], y[first:])
    X, X_val, y, y_val = train_test_split(
        X, y, test_size=validation.fraction, random_state=validation.random_state
    )
    return (X, y), (X_val, y_val)


def prepare_data(model: Model, data: Data) -> PreparedData:
    """Split and preprocess the samples. The steps are fitted on the training set alone.

    The columns of a table are not pixels. They are standardized instead.
    """
    X, y = data.X_train, data.y_train
    if model.train_size is not None and model.train_size < len(y):
        X, y = subsample(X, y, train_size=model.train_size, method="every")
    (X, y), held_out = split_validation(X, y, model.validation)
    components = model.preprocessing
    if data.image_shape is None:
        components = (Component("sklearn.preprocessing.StandardScaler"),)
    steps = [component.build(pixel_max=data.pixel_max) for component in components]
    pipeline = make_pipeline(*(steps or ["passthrough"]))
    return PreparedData(
        train=(pipeline.fit_transform(X), y),
        validation=held_out and (pipeline.transform(held_out[0]), held_out[1]),
        test=(pipeline.transform(data.X_test), data.y_test),
        steps=steps,
    )


def build_estimator(model: Model, data: Data, request: Request, seed: int) -> Any:
    """Make the model's estimator for this data, device and seed."""
    estimator = model.estimator.build(
        image_shape=data.image_shape, device=request.device, random_state=seed
    )
    return set_epochs(estimator, QUICK_EPOCHS) if request.quick else estimator


def set_epochs(estimator: Any, epochs: int) -> Any:
    """Set the number of epochs, also of an ensemble's members."""
    names = [k for k in estimator.get_params() if k.rpartition("__")[2] == "max_iter"]
    return estimator.set_params(**dict.fromkeys(names, epochs))
