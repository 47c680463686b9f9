"""Who takes part in `search`: one grid of networks, by every package's own means."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as TheirMLPClassifier

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import MLPClassifier

EPOCHS, BATCH, FOLDS = 10, 32, 5
RATES, ALPHAS = (1e-4, 1e-3, 1e-2, 1e-1), (1e-5, 1e-3, 1e-1)


def _scikit_learns(estimator: type, search: type, units: int, **options: Any) -> Any:
    """Search over a class with scikit-learn's names of parameters."""
    network = estimator(units, batch_size=BATCH, max_iter=EPOCHS, random_state=0)
    grid = {"learning_rate_init": RATES, "alpha": ALPHAS}
    return search(network, grid, cv=FOLDS, refit=False, **options)


def _over_skorch(units: int) -> Any:
    """Search over a network of skorch's."""
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
    grid = {"lr": RATES, "optimizer__weight_decay": ALPHAS}
    return GridSearchCV(network, grid, cv=FOLDS, refit=False)


def _over_scikeras(units: int) -> Any:
    """Search over a network of Keras's."""
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
    grid = {"optimizer__learning_rate": RATES, "model__alpha": ALPHAS}
    return GridSearchCV(network, grid, cv=FOLDS, refit=False)


# From the number of hidden units to a search over networks of so many.
CONTESTANTS: dict[str, Callable[[int], Any]] = {
    "packed": partial(_scikit_learns, MLPClassifier, PackedGridSearchCV),
    "one by one": partial(_scikit_learns, MLPClassifier, GridSearchCV),
    "scikit-learn": partial(_scikit_learns, TheirMLPClassifier, GridSearchCV),
    "scikit-learn, 2 jobs": partial(
        _scikit_learns, TheirMLPClassifier, GridSearchCV, n_jobs=2
    ),
    "skorch": _over_skorch,
    "scikeras": _over_scikeras,
}
