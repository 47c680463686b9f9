"""What the protocol of `compare` leaves open, judged on rows that no run of it sees.

`initial-weights`: three of its networks begin with every law that `MLPClassifier` and
`CNNClassifier` know, zeros and identity aside, and keep their last weights.
`kept-weights`: begun by the law of `compare`, they keep the weights of the last epoch,
of the best one by validation accuracy, or an average over the last steps, which then
is what is validated too. `moves`: the network that sees augmented images sees them as
Keras moved them until the end of 2017, or since.

All score the 54,000 training rows that `compare` leaves out. The choice of the highest
mean over networks and seeds is what `compare` takes, however small its lead: of the
laws the first three are as good as one another. When these questions were put, test
accuracies of Glorot's law, of averaged weights in some rows, and of He's law with last
weights were known; the answers are those of the rows left out alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.definitions.experiment import Experiment
from benchmarks.experiments.fashion_mnist.activations import INITIALISERS
from benchmarks.experiments.mnist.compare import (
    AVERAGED,
    COMPARE,
    LAST,
    MOVES_OF_2017,
    MOVES_SINCE,
    ONE_VIEW,
    variant,
)

NETWORKS = ("mlp-500-500", "cnn-1", "cnn-3")
LAWS = ("auto", "glorot_uniform", *(law for law in INITIALISERS if law != "zeros"))
KEPT: dict[str, Mapping[str, Any]] = {
    "last": LAST,
    "best": {**LAST, "restore_best_weights": True},
    "averaged": AVERAGED,
}


def _experiment(
    name: str,
    summary: str,
    detail: str,
    choices: Mapping[str, Mapping[str, Any]],
    networks: tuple[str, ...] = NETWORKS,
) -> Experiment:
    return Experiment(
        name=name,
        summary=summary,
        models=tuple(
            replace(variant(network, choice, **params), reported=())
            for network in COMPARE.select(networks)
            for choice, params in choices.items()
        ),
        dataset="mnist",
        train_size=0.1,
        seeds=5,
        columns=(
            "model",
            "epochs",
            "validation accuracy",
            "accuracy on rows left out",
        ),
        details=(detail,),
        pictures=(),
        spares_test_rows=True,
    )


INITIAL_WEIGHTS = _experiment(
    "initial-weights",
    "networks of compare from nine laws, scored on rows that it leaves out",
    "laws",
    {law.replace("_", "-"): {**LAST, "init": law} for law in LAWS},
)
KEPT_WEIGHTS = _experiment(
    "kept-weights",
    "networks of compare that keep last, best or averaged weights, scored so too",
    "kept",
    KEPT,
)
MOVED_IMAGES = _experiment(
    "moves",
    "a network of compare whose images move as in Keras until 2017, or since",
    "moved",
    {
        "of-2017": {"augmentation": MOVES_OF_2017, **ONE_VIEW},
        "since": {"augmentation": MOVES_SINCE, **ONE_VIEW},
    },
    ("cnn-3-moved",),
)
OPEN_CHOICES = (INITIAL_WEIGHTS, KEPT_WEIGHTS, MOVED_IMAGES)
