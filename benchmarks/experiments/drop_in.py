"""`dropin`: networks of scikit-learn and of skmlp with the same parameters.

There is no source: scikit-learn's own results are the reference.
"""

from __future__ import annotations

from typing import Any

from benchmarks.definitions.experiment import BUNDLED, Experiment
from benchmarks.definitions.model import Component, Model


def _model(
    name: str, dataset: str, params: dict[str, Any], kind: str = "MLPClassifier"
) -> Model:
    network = Component(f"skmlp.neural_network.{kind}", params)
    return Model(name, network, dataset=dataset)


NESTEROV = {"solver": "sgd", "learning_rate_init": 0.01}
EARLY_STOPPING = {"hidden_layer_sizes": (100, 50), "early_stopping": True}

DROP_IN = Experiment(
    name="dropin",
    summary="networks of scikit-learn and skmlp, compared weight by weight",
    models=(
        _model("digits-adam", "digits", {"max_iter": 50}),
        _model("digits-sgd", "digits", {**NESTEROV, "max_iter": 50}),
        _model("digits-early-stopping", "digits", {**EARLY_STOPPING, "max_iter": 50}),
        _model("digits-multilabel", "digits-multilabel", {"max_iter": 50}),
        _model("breast-cancer-adam", "breast-cancer-scaled", {"max_iter": 50}),
        _model("iris-lbfgs", "iris", {"solver": "lbfgs", "max_iter": 200}),
        _model("diabetes-adam", "diabetes", {"max_iter": 50}, "MLPRegressor"),
        _model("6000x784-adam", "6000x784", {"max_iter": 10}),
    ),
    dataset=BUNDLED,
    quick_dataset=BUNDLED,
    runner="benchmarks.running.side_by_side",
    layout="benchmarks.tables.side_by_side_table",
    pictures=(),
)
