"""`learning-rates`: the suggestion of LearningRateDisplay against a grid of ten rates.

There is no source: the best rate of the grid, chosen with the samples on which the
losses are measured, is the reference.
"""

from __future__ import annotations

from typing import Any

from benchmarks.definitions.experiment import BUNDLED, Experiment
from benchmarks.definitions.model import Component, Model

REGRESSIONS = ("diabetes",)

# Five tables of scikit-learn, a generated one, and two subsets of images.
DATASETS = (
    "iris",
    "wine",
    "breast-cancer",
    "digits",
    "diabetes",
    "california-like",
    "mnist",
    "fashion-mnist",
)

NETWORKS: dict[str, dict[str, Any]] = {
    "adam": {"hidden_layer_sizes": (50,)},
    "sgd": {"hidden_layer_sizes": (30, 30), "solver": "sgd"},
}


def _model(dataset: str, network: str) -> Model:
    """Return a network that keeps the weights of its best epoch."""
    kind = "MLPRegressor" if dataset in REGRESSIONS else "MLPClassifier"
    epochs = {"max_iter": 40, "n_iter_no_change": 40, "early_stopping": True}
    component = Component(f"skmlp.neural_network.{kind}", NETWORKS[network] | epochs)
    return Model(f"{dataset}-{network}", component, dataset=dataset)


LEARNING_RATES = Experiment(
    name="learning-rates",
    summary="the suggested learning rate compared with the best of ten rates",
    models=tuple(_model(d, n) for d in DATASETS for n in NETWORKS),
    dataset=BUNDLED,
    quick_dataset=BUNDLED,
    runner="benchmarks.running.learning_rates",
    layout="benchmarks.tables.learning_rate_table",
    pictures=(),
)
