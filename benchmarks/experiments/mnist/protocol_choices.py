"""Choices that the protocol of `compare` leaves open, decided without its test set.

* `initial-weights`: three networks of `compare` start from every initializer of
  `MLPClassifier` and `CNNClassifier`, except zeros and identity. They end with the
  weights of the last epoch.
* `kept-weights`: the same networks, with the initializer of `compare`, end with the
  weights of the last epoch, with those of the best epoch by validation accuracy, or
  with an average over the last steps, which is then also validated.
* `moves`: the network that trains on augmented images sees them moved as in Keras until
  the end of 2017, or as in Keras since then.

All are scored on the 54,000 training samples that `compare` leaves out. `compare` uses
the choice with the highest mean over networks and seeds, even if its lead is small. The
first three initializers are equally good.

When these questions were asked, some test accuracies were known: those of Glorot's
initializer, of averaged weights in some models, and of He's initializer with last
weights. The answers depend on the left-out training samples alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.definitions.experiment import Experiment
from benchmarks.experiments.fashion_mnist.activations import INITIALIZERS
from benchmarks.experiments.mnist.compare import (
    AVERAGED,
    COMPARE,
    KERAS_AFFINE_2017,
    KERAS_AFFINE_NOW,
    LAST,
    ONE_VIEW,
    variant,
)

NETWORKS = ("mlp-500-500", "cnn-1", "cnn-3")
INITIALIZER_NAMES = (
    "auto",
    "glorot_uniform",
    *(name for name in INITIALIZERS if name != "zeros"),
)
FINAL_WEIGHTS: dict[str, Mapping[str, Any]] = {
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
        scores_left_out_samples=True,
    )


INITIAL_WEIGHTS = _experiment(
    "initial-weights",
    "networks of compare with nine initializers, scored on left-out samples",
    "initializers",
    {name.replace("_", "-"): {**LAST, "init": name} for name in INITIALIZER_NAMES},
)
KEPT_WEIGHTS = _experiment(
    "kept-weights",
    "networks of compare with last, best or averaged weights, scored so too",
    "final_weights",
    FINAL_WEIGHTS,
)
IMAGE_MOVES = _experiment(
    "moves",
    "a network of compare with images moved as in Keras until 2017, or since",
    "image_moves",
    {
        "of-2017": {"augmentation": KERAS_AFFINE_2017, **ONE_VIEW},
        "since": {"augmentation": KERAS_AFFINE_NOW, **ONE_VIEW},
    },
    ("cnn-3-moved",),
)
PROTOCOL_CHOICES = (INITIAL_WEIGHTS, KEPT_WEIGHTS, IMAGE_MOVES)
