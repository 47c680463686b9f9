"""Fits whose waits and kernels are counted."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from simulated_cuda.simulation import SimulatedCuda
from skmlp.augmentation import RandomAffine
from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import CNNClassifier, MLPClassifier

# Steps of an epoch. The counts of a step are the difference of two lengths.
STEPS, _MORE_STEPS = 24, 40
_BATCH_SIZE = 20

_RNG = np.random.RandomState(0)
X = _RNG.randint(0, 256, (2 * _BATCH_SIZE * _MORE_STEPS, 16)).astype(np.uint8)
Y = _RNG.randint(0, 3, len(X))

# The counts of an epoch are the difference of two fits of these lengths.
_EPOCHS = 9, 11

MEMBERS = 8


class Counts(NamedTuple):
    """What training costs.

    Attributes
    ----------
    waits : float
        Copies between host and device, and waits for values, in an epoch.
    waits_per_step : float
        Those that one more step in an epoch adds.
    launches : float
        Kernels and graphs that Python launches in an epoch.
    launches_per_step : float
        Those that one more step in an epoch adds.
    graph_operations : float
        Kernels that one more step adds to the graphs.
    graphs : int
        Number of recorded graphs of the whole fit.
    """

    waits: float
    waits_per_step: float
    launches: float
    launches_per_step: float
    graph_operations: float
    graphs: int


# Fits for a number of epochs, with a number of steps in each.
Workload = Callable[[int, int], Any]


def _mlp(epochs: int, early_stopping: bool = False, **params: Any) -> MLPClassifier:
    return MLPClassifier(
        10,
        # Early stopping holds out a tenth of the samples.
        batch_size=_BATCH_SIZE * 9 // 10 if early_stopping else _BATCH_SIZE,
        max_iter=epochs,
        early_stopping=early_stopping,
        n_iter_no_change=1000,
        random_state=0,
        device="cuda",
        **params,
    )


def _fit_mlp(weighted: bool = False, **params: Any) -> Workload:
    def fit(epochs: int, steps: int) -> MLPClassifier:
        samples = slice(_BATCH_SIZE * steps)
        weight = 1.0 + Y[samples] if weighted else None
        return _mlp(epochs, **params).fit(X[samples], Y[samples], weight)

    return fit


def _fit_cnn(**params: Any) -> Workload:
    def fit(epochs: int, steps: int) -> CNNClassifier:
        samples = slice(_BATCH_SIZE * steps)
        model = CNNClassifier(
            4,
            image_shape=(4, 4),
            hidden_layer_sizes=(),
            batch_size=_BATCH_SIZE,
            max_iter=epochs,
            n_iter_no_change=1000,
            random_state=0,
            device="cuda",
            **params,
        )
        return model.fit(X[samples], Y[samples])

    return fit


def _alphas(epochs: int) -> dict[str, list[Any]]:
    return {"alpha": np.geomspace(1e-5, 1e-2, MEMBERS).tolist()}


def _fit_pack(
    make_grid: Callable[[int], dict[str, list[Any]]] = _alphas, **params: Any
) -> Workload:
    """Return a packed fit; `make_grid` gets the number of epochs."""

    def fit(epochs: int, steps: int) -> PackedGridSearchCV:
        train, test = np.split(np.arange(_BATCH_SIZE * steps + 80), [-80])
        search = PackedGridSearchCV(
            _mlp(epochs, **params),
            make_grid(epochs),
            cv=[(train, test)],
            refit=False,
            error_score="raise",
        )
        n = len(train) + len(test)
        return search.fit(X[:n], Y[:n])

    return fit


# The first epoch remains the best one, so that all other epochs have equal counts.
_EARLY_STOPPING = {"early_stopping": True, "learning_rate_init": 1e-12}

WORKLOADS: dict[str, Workload] = {
    "MLP": _fit_mlp(),
    "MLP, early stopping": _fit_mlp(**_EARLY_STOPPING),
    "MLP, cosine": _fit_mlp(learning_rate="cosine"),
    "MLP, dropout": _fit_mlp(dropout=0.5),
    "MLP, sample weights": _fit_mlp(weighted=True),
    "MLP, callback": _fit_mlp(callbacks=[Callback()]),
    "CNN": _fit_cnn(),
    "CNN, RandomAffine": _fit_cnn(augmentation=RandomAffine(10, translate=0.1)),
    "pack": _fit_pack(),
    "pack, early stopping": _fit_pack(**_EARLY_STOPPING),
    "pack, cosine": _fit_pack(learning_rate="cosine"),
    "pack, sgd cosine": _fit_pack(learning_rate="cosine", solver="sgd"),
    "pack, different betas": _fit_pack(
        lambda epochs: {"beta_1": np.linspace(0.8, 0.9, MEMBERS).tolist()}
    ),
    "pack, dropout": _fit_pack(dropout=0.5),
    # The members end one after the other, an epoch each.
    "pack, different lengths": _fit_pack(
        lambda epochs: {"max_iter": [epochs + i for i in range(MEMBERS)]}
    ),
}


def count(workload: str) -> Counts:
    """Return the counts of a workload."""
    epoch, n_graphs = _count_epoch(workload, STEPS)
    longer, _ = _count_epoch(workload, _MORE_STEPS)
    step = (longer - epoch) / (_MORE_STEPS - STEPS)
    return Counts(
        waits=epoch[0],
        waits_per_step=step[0],
        launches=epoch[1],
        launches_per_step=step[1],
        graph_operations=step[2],
        graphs=n_graphs,
    )


def _count_epoch(workload: str, steps: int) -> tuple[np.ndarray, int]:
    """Return waits, launches and kernels in graphs of an epoch, and the graphs."""
    totals = []
    for epochs in _EPOCHS:
        with SimulatedCuda() as cuda, warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            WORKLOADS[workload](epochs, steps)
        record = cuda.record
        launches = record.launches.total() + record.replays
        totals.append(np.array([record.n_waits, launches, record.replayed_kernels]))
    first, last = totals
    return (last - first) / (_EPOCHS[1] - _EPOCHS[0]), len(record.graphs)
