"""Fits whose waits and kernels are counted."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from simulated_cuda.simulation import SimulatedCuda
from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import MLPClassifier

_RNG = np.random.RandomState(0)
X = _RNG.randint(0, 256, (240, 16)).astype(np.uint8)
Y = _RNG.randint(0, 3, 240)

# The counts of an epoch are the difference of two fits of these lengths.
_EPOCHS = (3, 7)

MEMBERS = 8


class Counts(NamedTuple):
    """What one epoch costs.

    Attributes
    ----------
    waits : float
        Copies between host and device, and waits for values.
    launches : float
        Kernels and graphs that Python launches.
    graph_operations : int
        Kernels of the largest recorded graph.
    graphs : int
        Number of recorded graphs of the whole fit.
    """

    waits: float
    launches: float
    graph_operations: int
    graphs: int


def _mlp(epochs: int, **params: Any) -> MLPClassifier:
    return MLPClassifier(
        10,
        batch_size=20,
        max_iter=epochs,
        n_iter_no_change=1000,
        random_state=0,
        device="cuda",
        **params,
    )


def _fit_mlp(**params: Any) -> Callable[[int], Any]:
    return lambda epochs: _mlp(epochs, **params).fit(X, Y)


def _fit_pack(
    grid: dict[str, list[Any]] | None = None, **params: Any
) -> Callable[[int], Any]:
    grid = (
        {"alpha": np.geomspace(1e-5, 1e-2, MEMBERS).tolist()} if grid is None else grid
    )
    split = [(np.arange(160), np.arange(160, 240))]

    def fit(epochs: int) -> Any:
        search = PackedGridSearchCV(
            _mlp(epochs, **params), grid, cv=split, refit=False, error_score="raise"
        )
        return search.fit(X, Y)

    return fit


WORKLOADS: dict[str, Callable[[int], Any]] = {
    "MLP": _fit_mlp(),
    "MLP, early stopping": _fit_mlp(early_stopping=True),
    "MLP, cosine": _fit_mlp(learning_rate="cosine"),
    "MLP, dropout": _fit_mlp(dropout=0.5),
    "pack": _fit_pack(),
    "pack, early stopping": _fit_pack(early_stopping=True),
    "pack, cosine": _fit_pack(learning_rate="cosine"),
    "pack, sgd cosine": _fit_pack(learning_rate="cosine", solver="sgd"),
    "pack, different betas": _fit_pack(
        {"beta_1": np.linspace(0.8, 0.9, MEMBERS).tolist()}
    ),
    "pack, dropout": _fit_pack(dropout=0.5),
    "pack, different lengths": _fit_pack({"max_iter": list(range(3, 3 + MEMBERS))}),
}


def count(workload: str) -> Counts:
    """Return the counts of a workload."""
    fit = WORKLOADS[workload]
    waits, launches = [], []
    for epochs in _EPOCHS:
        with SimulatedCuda() as cuda, warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fit(epochs)
        waits.append(cuda.record.n_waits)
        launches.append(cuda.record.launches.total() + cuda.record.replays)
    n_epochs = _EPOCHS[1] - _EPOCHS[0]
    graphs = cuda.record.graphs
    return Counts(
        (waits[1] - waits[0]) / n_epochs,
        (launches[1] - launches[0]) / n_epochs,
        max(map(len, graphs), default=0),
        len(graphs),
    )
