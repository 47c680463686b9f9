"""The contestants of `search`: one grid, searched with each package's own tools."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as TheirMLPClassifier

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import MLPClassifier

EPOCHS, BATCH, FOLDS = 10, 32, 5
LEARNING_RATES, ALPHAS = (1e-4, 1e-3, 1e-2, 1e-1), (1e-5, 1e-3, 1e-1)


def _search_estimator(estimator: type, search: type, units: int, **options: Any) -> Any:
    """Return a search over an estimator with scikit-learn's parameter names."""
    network = estimator(units, batch_size=BATCH, max_iter=EPOCHS, random_state=0)
    grid = {"learning_rate_init": LEARNING_RATES, "alpha": ALPHAS}
    return search(network, grid, cv=FOLDS, refit=False, **options)


def _search_skorch(units: int) -> Any:
    """Return a search over a network of skorch."""
    import torch
    from skorch import NeuralNetClassifier

    class Module(torch.nn.Sequential):
        def __init__(self) -> None:
            super().__init__(
                torch.nn.Linear(64, units), torch.nn.ReLU(), torch.nn.Linear(units, 10)
            )

    network = NeuralNetClassifier(
        Module,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        batch_size=BATCH,
        max_epochs=EPOCHS,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
    grid = {"lr": LEARNING_RATES, "optimizer__weight_decay": ALPHAS}
    return GridSearchCV(network, grid, cv=FOLDS, refit=False)


def _search_scikeras(units: int) -> Any:
    """Return a search over a network of Keras."""
    import keras
    from scikeras.wrappers import KerasClassifier

    def make(alpha: float) -> Any:
        penalty = keras.regularizers.L2(alpha)
        return keras.Sequential(
            [
                keras.Input((64,)),
                keras.layers.Dense(units, "relu", kernel_regularizer=penalty),
                keras.layers.Dense(10, "softmax", kernel_regularizer=penalty),
            ]
        )

    network = KerasClassifier(
        make,
        alpha=0.0,
        loss="sparse_categorical_crossentropy",
        optimizer="adam",
        batch_size=BATCH,
        epochs=EPOCHS,
        verbose=0,
    )
    grid = {"optimizer__learning_rate": LEARNING_RATES, "model__alpha": ALPHAS}
    return GridSearchCV(network, grid, cv=FOLDS, refit=False)


# Functions that take the number of hidden units and return a search.
CONTESTANTS: dict[str, Callable[[int], Any]] = {
    "packed": partial(_search_estimator, MLPClassifier, PackedGridSearchCV),
    "one by one": partial(_search_estimator, MLPClassifier, GridSearchCV),
    "scikit-learn": partial(_search_estimator, TheirMLPClassifier, GridSearchCV),
    "scikit-learn, 2 jobs": partial(
        _search_estimator, TheirMLPClassifier, GridSearchCV, n_jobs=2
    ),
    "skorch": _search_skorch,
    "scikeras": _search_scikeras,
}
