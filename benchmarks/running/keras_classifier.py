"""A classifier that Keras trains, with skmlp's parameter names.

Parameters that are not given have Keras's defaults. A protocol that was written for
Keras can therefore be repeated with Keras itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin


class KerasClassifier(ClassifierMixin, BaseEstimator):
    """Convolutions, dense layers and softmax, trained by Keras as skmlp trains them.

    Parameters
    ----------
    conv_channels, conv_strides, conv_dropout : sequence
        One entry for each convolution, which has 'same' padding and ReLU.
    kernel_size, pool_size : int
        Size of all convolutions, and of the pooling after each.
    pool : 'max' or None
        The pooling.
    hidden_layer_sizes, dropout
        Units of the dense layers, and the dropout after each.
    alpha : float or sequence of float
        Strength of the L2 penalty in scikit-learn's sense: one value for all layers or
        one value for each layer.
    init : str
        Keras's name of the initializer.
    solver, learning_rate_init, momentum, nesterovs_momentum
        'sgd' or 'adam'. The optimizer's other parameters have Keras's defaults.
    batch_size, max_iter : int
        Samples per step, and the largest number of epochs.
    early_stopping : bool
        Whether training stops when the accuracy on ``X_val, y_val`` did not increase by
        more than `tol` for more than `n_iter_no_change` epochs. The last weights stay.
    image_shape : tuple of int, optional
        Height, width and channels.
    random_state : int, optional
        Seed of Keras and of the order of the samples.
    """

    def __init__(
        self,
        *,
        conv_channels: Sequence[int] = (),
        kernel_size: int = 3,
        conv_strides: Sequence[int] = (),
        pool: str | None = None,
        pool_size: int = 2,
        conv_dropout: float | Sequence[float] = 0.0,
        hidden_layer_sizes: Sequence[int] = (),
        dropout: float = 0.0,
        alpha: float | Sequence[float] = 0.0,
        init: str = "glorot_uniform",
        solver: str = "adam",
        learning_rate_init: float = 0.001,
        momentum: float = 0.0,
        nesterovs_momentum: bool = False,
        batch_size: int = 32,
        max_iter: int = 1,
        early_stopping: bool = False,
        tol: float = 0.0,
        n_iter_no_change: int = 0,
        image_shape: tuple[int, ...] | None = None,
        random_state: int | None = None,
    ) -> None:
        self.conv_channels = conv_channels
        self.kernel_size = kernel_size
        self.conv_strides = conv_strides
        self.pool = pool
        self.pool_size = pool_size
        self.conv_dropout = conv_dropout
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.alpha = alpha
        self.init = init
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.image_shape = image_shape
        self.random_state = random_state

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        X_val: np.ndarray | None = None,
        y_val: np.ndarray | None = None,
    ) -> Self:
        """Train. The result has the weights of the last epoch."""
        keras = _import_keras()
        if self.random_state is not None:
            keras.utils.set_random_seed(self.random_state)
        self.classes_, encoded = np.unique(y, return_inverse=True)
        self.network_ = self._build(keras, X.shape[1])
        held_out = None
        if X_val is not None:
            held_out = X_val, np.searchsorted(self.classes_, y_val)
        stopping = keras.callbacks.EarlyStopping(
            "val_accuracy", min_delta=self.tol, patience=self.n_iter_no_change + 1
        )
        trained = self.network_.fit(
            _make_shuffled_batches(
                keras, X, encoded, self.batch_size, self.random_state
            ),
            shuffle=False,
            epochs=self.max_iter,
            validation_data=held_out,
            callbacks=[stopping] if self.early_stopping and held_out else [],
            verbose=0,
        )
        self.n_iter_ = len(trained.epoch)
        self.loss_curve_ = trained.history["loss"]
        self.validation_scores_ = trained.history.get("val_accuracy")
        weights = self.network_.get_weights()
        self.coefs_, self.intercepts_ = weights[::2], weights[1::2]
        return self

    def _build(self, keras: Any, n_features: int) -> Any:
        """Return the compiled network."""
        layers = keras.layers
        n_convolutions = len(self.conv_channels)
        n_weights = n_convolutions + len(self.hidden_layer_sizes) + 1
        alphas = iter(np.broadcast_to(self.alpha, n_weights))
        dropout_rates = np.broadcast_to(self.conv_dropout, n_convolutions)
        strides = self.conv_strides or (1,) * n_convolutions

        def layer_options() -> dict[str, Any]:
            # Keras adds l2 * sum(w ** 2) to a mean loss. scikit-learn adds half of that
            # with alpha, divided by the number of samples in a batch.
            strength = float(next(alphas)) / 2 / self.batch_size
            penalty = keras.regularizers.L2(strength) if strength else None
            return {"kernel_initializer": self.init, "kernel_regularizer": penalty}

        network = keras.Sequential([keras.Input((n_features,))])
        if n_convolutions:
            network.add(layers.Reshape((*(self.image_shape or ()), 1)[:3]))
        for channels, stride, p in zip(
            self.conv_channels, strides, dropout_rates, strict=True
        ):
            network.add(
                layers.Conv2D(
                    channels,
                    self.kernel_size,
                    stride,
                    "same",
                    activation="relu",
                    **layer_options(),
                )
            )
            if self.pool is not None:
                network.add(layers.MaxPooling2D(self.pool_size, padding="same"))
            if p:
                network.add(layers.Dropout(float(p)))
        if n_convolutions:
            network.add(layers.Flatten())
        for units in self.hidden_layer_sizes:
            network.add(layers.Dense(units, activation="relu", **layer_options()))
            if self.dropout:
                network.add(layers.Dropout(self.dropout))
        network.add(
            layers.Dense(len(self.classes_), activation="softmax", **layer_options())
        )
        optimizer = keras.optimizers.Adam(self.learning_rate_init)
        if self.solver == "sgd":
            optimizer = keras.optimizers.SGD(
                self.learning_rate_init, self.momentum, self.nesterovs_momentum
            )
        network.compile(
            optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        return network

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probabilities of the classes."""
        return self.network_.predict(X, batch_size=1_000, verbose=0)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the most probable classes."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def _make_shuffled_batches(
    keras: Any, X: np.ndarray, y: np.ndarray, batch_size: int, seed: int | None
) -> Any:
    """Return batches in a new order every epoch; a seeded Keras repeats the first."""

    class Shuffled(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__()
            self.random_state = np.random.RandomState(seed)
            self.on_epoch_end()

        def __len__(self) -> int:
            return -(-len(y) // batch_size)

        def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
            rows = self.order[i * batch_size : (i + 1) * batch_size]
            return X[rows], y[rows]

        def on_epoch_end(self) -> None:
            self.order = self.random_state.permutation(len(y))

    return Shuffled()


def _import_keras() -> Any:
    """Import Keras on TensorFlow, with as many threads as torch has."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow

    threads = tensorflow.config.threading
    if not threads.get_intra_op_parallelism_threads():  # they can be set only once
        threads.set_intra_op_parallelism_threads(torch.get_num_threads())
        threads.set_inter_op_parallelism_threads(1)
    return keras
