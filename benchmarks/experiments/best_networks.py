"""`record-...`: the best figures of one network in some minutes on a CPU.

Each recipe and its last epoch were written down before they met a test row. Training is
on all training rows, so that nothing is left to validate on.
"""

from __future__ import annotations

from typing import Any

from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.model import Component, Model
from benchmarks.experiments.recipes import (
    compose,
    moves,
    one_cycle,
    three_convolutions,
)

SCALE = Component("skmlp.preprocessing.PixelScaler")
FLIP = Component("skmlp.augmentation.RandomHorizontalFlip")
# Every image flipped: with the image itself the two views that prediction averages.
MIRROR = Component("skmlp.augmentation.RandomHorizontalFlip", {"p": 1.0})


def _record(
    name: str, dataset: str, summary: str, estimator: str, params: dict[str, Any]
) -> Experiment:
    network = Component(f"skmlp.neural_network.{estimator}", params)
    return Experiment(
        name=f"record-{name}",
        summary=summary,
        models=(Model(name, network, (SCALE,)),),
        dataset=dataset,
    )


RECORDS = (
    _record(
        "fashion-mlp",
        "fashion-mnist",
        "784-512-256-10, trained on flipped images too",
        "MLPClassifier",
        one_cycle(
            30,
            hidden_layer_sizes=(512, 256),
            dropout=0.3,
            batch_size=256,
            augmentation=FLIP,
        ),
    ),
    _record(
        "fashion-cnn",
        "fashion-mnist",
        "a CNN of less than 600,000 parameters",
        "CNNClassifier",
        one_cycle(
            25,
            **three_convolutions(hidden_layer_sizes=(192,), dropout=0.5),
            batch_size=128,
            augmentation=compose(FLIP, moves(0, 0.07, 0.05, 0)),
            predict_augmentation=MIRROR,
            predict_views=1,
        ),
    ),
    _record(
        "mnist-cnn",
        "mnist",
        "a single CNN on all 60,000 rows",
        "CNNClassifier",
        one_cycle(
            20,
            **three_convolutions(hidden_layer_sizes=(128,), dropout=0.5),
            batch_size=128,
            augmentation=moves(12, 0.1, 0.15, 10),
        ),
    ),
)
