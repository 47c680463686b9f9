"""`initial-weights`: which law of initial weights `compare` begins with.

Its protocol leaves the law open. Three of its networks begin with every law that
`MLPClassifier` and `CNNClassifier` know, zeros and identity aside, and are scored on
the 54,000 training rows that no run of `compare` ever sees. The law of the highest
mean over networks and seeds is what `compare` takes, for all of its rows.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks._experiment import Component, Experiment, Model
from benchmarks.experiments.compare import COMPARE

NETWORKS = ("mlp-500-500", "cnn-1", "cnn-3")
LAWS = (
    "auto",
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
    "truncated_normal",
)


def _model(network: Model, law: str) -> Model:
    params = {**network.estimator.params, "init": law}
    return replace(
        network,
        name=f"{network.name}-{law.replace('_', '-')}",
        estimator=Component(network.estimator.path, params),
        reported=(),
        note="",
    )


INITIAL_WEIGHTS = Experiment(
    name="initial-weights",
    summary="networks of compare from nine laws, scored on rows that it leaves out",
    models=tuple(
        _model(network, law) for network in COMPARE.select(NETWORKS) for law in LAWS
    ),
    dataset="mnist",
    train_size=0.1,
    seeds=5,
    columns=("model", "epochs", "validation accuracy", "accuracy on rows left out"),
    details=("laws",),
    pictures=(),
    spares_test_rows=True,
)
