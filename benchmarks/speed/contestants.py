"""How each contestant fits and predicts, following its own documentation.

A contestant's function receives a workload and samples, prepares them, and returns the
job that is measured. Only the package that it needs is imported.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks.speed.workloads import (
    BEST,
    JAX,
    KERAS,
    OBVIOUS,
    OURS,
    PLAIN,
    SINGLE_PRECISION,
    SKLEARN,
    SKORCH,
    Workload,
)

Job = Callable[[], Any]

# The number of samples that are fitted before predictions are measured.
FITTED_ROWS = 1_000

NEEDS = {KERAS: ("keras", "tensorflow"), JAX: ("jax",)}


def why_absent(contestant: str) -> str | None:
    """Return why a contestant cannot take part, or None."""
    absent = [name for name in NEEDS.get(contestant, ()) if find_spec(name) is None]
    if not absent:
        return None
    return f"{' and '.join(absent)} not installed; pip install skmlp[peers]"


def prepare(contestant: str, work: Workload, X: np.ndarray, y: np.ndarray) -> Job:
    """Return the job of a contestant: one fit, or `repeat` predictions."""
    warnings.simplefilter("ignore")  # the small number of epochs is intended
    if work.is_fit:
        return _FITS[contestant](work, X, y)
    predict = _PREDICTIONS[contestant](work, X, y)

    def job() -> None:
        for _ in range(work.repeat):
            predict()

    return job


def estimator(work: Workload, ours: bool) -> Any:
    """Return the estimator of skmlp or scikit-learn for a workload."""
    network = work.network
    params: dict[str, Any] = {
        "hidden_layer_sizes": network.hidden,
        "solver": network.solver,
        "learning_rate_init": network.learning_rate,
        "batch_size": network.batch_size,
        "alpha": network.alpha,
        "max_iter": work.epochs,
        "random_state": 0,
    }
    if not ours:
        from sklearn import neural_network as theirs

        if work.data == "diabetes":
            return theirs.MLPRegressor(**params)
        return theirs.MLPClassifier(**params)
    params["amp"] = network.amp
    from skmlp.neural_network import (
        CNNClassifier,
        MLPClassifier,
        MLPRegressor,
        SoftmaxRegression,
    )

    if work.data == "diabetes":
        return MLPRegressor(**params)

    if network.augmented:
        from skmlp.augmentation import RandomAffine

        # Row 10 of compare: rotation, shifts, zoom, shear.
        params["augmentation"] = RandomAffine(
            degrees=10,
            translate=0.2,
            shear=5.73,
            scale=(0.9, 1.1, 0.9, 1.1),
            padding_mode="edge",
        )
    if network.convolutions:
        return CNNClassifier(
            conv_channels=network.convolutions,
            kernel_size=network.kernel_size,
            conv_strides=network.strides,
            pool="max" if network.pool else None,
            **params,
        )
    if not network.hidden:
        del params["hidden_layer_sizes"]
        return SoftmaxRegression(**params)
    return MLPClassifier(**params)


def _fit_estimator(ours: bool) -> Callable[[Workload, np.ndarray, np.ndarray], Job]:
    return lambda work, X, y: lambda: estimator(work, ours).fit(X, y)


def _fit_without(setting: str) -> Callable[[Workload, np.ndarray, np.ndarray], Job]:
    """Return a fit of skmlp without a setting of the network."""

    def prepare(work: Workload, X: np.ndarray, y: np.ndarray) -> Job:
        plain = replace(work, network=replace(work.network, **{setting: False}))
        return lambda: estimator(plain, ours=True).fit(X, y)

    return prepare


def _predict_estimator(ours: bool) -> Callable[[Workload, np.ndarray, np.ndarray], Job]:
    def prepare(work: Workload, X: np.ndarray, y: np.ndarray) -> Job:
        fitted = estimator(work, ours).fit(*_first_samples(X, y))
        return lambda: fitted.predict_proba(X[: work.rows])

    return prepare


def _first_samples(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return enough samples to fit a network."""
    return X[:FITTED_ROWS], y[:FITTED_ROWS]


def _skorch(work: Workload, n_inputs: int) -> Any:
    import torch
    from skorch import NeuralNetClassifier

    from benchmarks.speed.torch_loops import make_module

    network = work.network
    settings: dict[str, Any] = {"optimizer": torch.optim.Adam}
    if network.solver == "sgd":
        settings = {
            "optimizer": torch.optim.SGD,
            "optimizer__momentum": 0.9,
            "optimizer__nesterov": True,
        }
    return NeuralNetClassifier(
        make_module(network, n_inputs),
        criterion=torch.nn.CrossEntropyLoss,
        lr=network.learning_rate,
        optimizer__weight_decay=network.alpha / network.batch_size,
        batch_size=network.batch_size,
        max_epochs=work.epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        **settings,
    )


def _fit_skorch(work: Workload, X: np.ndarray, y: np.ndarray) -> Job:
    from benchmarks.speed.torch_loops import as_images

    images = as_images(X, work.network)
    return lambda: _skorch(work, X.shape[1]).fit(images, y)


def _predict_skorch(work: Workload, X: np.ndarray, y: np.ndarray) -> Job:
    # Its criterion is a cross-entropy of logits, so skorch applies the softmax.
    fitted = _skorch(work, X.shape[1]).fit(*_first_samples(X, y))
    return lambda: fitted.predict_proba(X[: work.rows])


def _keras(work: Workload, n_inputs: int) -> Any:
    import keras

    network = work.network
    layers: list[Any] = [keras.Input((n_inputs,))]
    if network.convolutions:
        side = round(n_inputs**0.5)
        layers.append(keras.layers.Reshape((side, side, 1)))
    for filters, stride in zip(network.convolutions, network.strides, strict=True):
        layers.append(
            keras.layers.Conv2D(
                filters, network.kernel_size, stride, "same", activation="relu"
            )
        )
        if network.pool:
            layers.append(keras.layers.MaxPooling2D(2))
    if network.convolutions:
        layers.append(keras.layers.Flatten())
    layers += [keras.layers.Dense(size, activation="relu") for size in network.hidden]
    layers.append(keras.layers.Dense(10, activation="softmax"))
    model = keras.Sequential(layers)
    optimizer = (
        keras.optimizers.Adam(network.learning_rate)
        if network.solver == "adam"
        else keras.optimizers.SGD(network.learning_rate, momentum=0.9, nesterov=True)
    )
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def _fit_keras(work: Workload, X: np.ndarray, y: np.ndarray) -> Job:
    # Keras traces its graphs before the measurement, for a full batch and the rest,
    # although every new model needs that time. It also has no L2 penalty. Both favor
    # Keras.
    model, size = _keras(work, X.shape[1]), work.network.batch_size
    first = min(len(X), size + len(X) % size)
    model.fit(X[:first], y[:first], batch_size=size, verbose=0)
    return lambda: model.fit(X, y, batch_size=size, epochs=work.epochs, verbose=0)


def _predict_keras(work: Workload, X: np.ndarray, y: np.ndarray) -> Job:
    model, size = _keras(work, X.shape[1]), work.network.batch_size
    if work.rows == 1:
        # Keras's documentation recommends this for a few samples.
        row = X[:1]
        return lambda: np.asarray(model(row, training=False))
    model.predict(X[: 2 * size], batch_size=size, verbose=0)
    return lambda: model.predict(X[: work.rows], batch_size=size, verbose=0)


def _loop(name: str) -> Callable[[Workload, np.ndarray, np.ndarray], Job]:
    def prepare(work: Workload, X: np.ndarray, y: np.ndarray) -> Job:
        from benchmarks.speed import torch_loops

        train = {OBVIOUS: torch_loops.train_obvious, BEST: torch_loops.train_best}[name]
        return lambda: train(X, y, work.network, work.epochs)

    return prepare


def _fit_jax(work: Workload, X: np.ndarray, y: np.ndarray) -> Job:
    from benchmarks.speed import jax_loop

    network = work.network
    jax_loop.train(X, y, network, epochs=1)  # compiles; not measured
    return lambda: jax_loop.train(X, y, network, work.epochs)


def _predict_by_module(work: Workload, X: np.ndarray, y: np.ndarray) -> Job:
    import torch

    from benchmarks.speed.torch_loops import make_module

    module = make_module(work.network, X.shape[1]).eval()

    def predict() -> np.ndarray:
        with torch.inference_mode():
            logits = module(torch.from_numpy(X[: work.rows]))
            return torch.softmax(logits, dim=1).numpy()

    return predict


_FITS: dict[str, Callable[[Workload, np.ndarray, np.ndarray], Job]] = {
    OURS: _fit_estimator(ours=True),
    PLAIN: _fit_without("augmented"),
    SINGLE_PRECISION: _fit_without("amp"),
    SKLEARN: _fit_estimator(ours=False),
    SKORCH: _fit_skorch,
    KERAS: _fit_keras,
    OBVIOUS: _loop(OBVIOUS),
    BEST: _loop(BEST),
    JAX: _fit_jax,
}

_PREDICTIONS: dict[str, Callable[[Workload, np.ndarray, np.ndarray], Job]] = {
    OURS: _predict_estimator(ours=True),
    SKLEARN: _predict_estimator(ours=False),
    SKORCH: _predict_skorch,
    KERAS: _predict_keras,
    OBVIOUS: _predict_by_module,
}
