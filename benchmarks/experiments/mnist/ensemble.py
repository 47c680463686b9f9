"""`ensemble`: five networks with different seeds, and their average member.

Members and protocol are models of `compare`. Every run draws five seeds from its own.
"""

from __future__ import annotations

from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.model import Component, Model
from benchmarks.experiments.mnist.compare import COMPARE

SIZE = 5
MEMBERS = ("mlp-200", "cnn-3-dropout")


def _ensemble(member: Model) -> Model:
    return Model(
        f"{SIZE}-{member.name}",
        Component(
            "skmlp.neural_network.EnsembleClassifier",
            {"estimator": member.estimator, "n_estimators": SIZE},
        ),
        member.preprocessing,
        member.validation,
    )


ENSEMBLE = Experiment(
    name="ensemble",
    summary="averaged probabilities of five networks, and their average member",
    models=tuple(_ensemble(model) for model in COMPARE.select(MEMBERS)),
    dataset="digits",
    pictures=(),
)
