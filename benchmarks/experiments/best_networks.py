"""`record-...`: the best figures of one network after some minutes on a CPU.

The recipes are ours; there is no source. Each recipe and its last epoch were written
down before the network was scored on a test sample. All training samples are trained
on, so there is no validation set.
"""

from __future__ import annotations

from typing import Any

from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.model import Component, Model
from benchmarks.experiments.recipes import (
    compose,
    one_cycle,
    random_affine,
    three_convolutions,
)

SCALE = Component("skmlp.preprocessing.PixelScaler")
FLIP = Component("skmlp.augmentation.RandomHorizontalFlip")
# Flips every image. Prediction averages the image and its mirror image.
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


BEST_NETWORKS = (
    _record(
        "fashion-mlp",
        "fashion-mnist",
        "784-512-256-10, also trained on flipped images",
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
        "a CNN with fewer than 600,000 parameters",
        "CNNClassifier",
        one_cycle(
            25,
            **three_convolutions(hidden_layer_sizes=(192,), dropout=0.5),
            batch_size=128,
            augmentation=compose(FLIP, random_affine(0, 0.07, 0.05, 0)),
            predict_augmentation=MIRROR,
            predict_views=1,
        ),
    ),
    _record(
        "mnist-cnn",
        "mnist",
        "a single CNN on all 60,000 samples",
        "CNNClassifier",
        one_cycle(
            20,
            **three_convolutions(hidden_layer_sizes=(128,), dropout=0.5),
            batch_size=128,
            augmentation=random_affine(12, 0.1, 0.15, 10),
        ),
    ),
)
