"""`compare`: softmax regression, MLPs and CNNs on a tenth of MNIST.

Every tenth training row, pixels in [0, 1] (LR and MLP also less the training mean),
10% of these rows for validation with a fixed seed, batches of 50, SGD with Nesterov
momentum 0.9, at most 100 epochs, early stopping on validation accuracy (min_delta 1e-4,
patience 5).

The protocol does not say how weights begin: its rows begin by He's uniform law. Those
called `-last` add nothing to it: they keep the weights of the last epoch, as Keras does
by default, and see an image as it is. The others are ours in that they keep an average
over about the last ninth of the steps (no more than some 500), by which they are
validated too; `open_choices` tells why. The two rows that train on moved images are
also asked for the mean of 8 views of an image; called `-one-view` they are not.

A patience of 5 is used up when more than 5 epochs have brought nothing, as in
scikit-learn, and in Keras in 2017, which such figures were presumably made with.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.model import Component, Model, Validation
from benchmarks.experiments.recipes import (
    compose,
    moves,
    one_cycle,
    three_convolutions,
)

BATCH_SIZE = 50

# Keras adds 0.0001 * sum(w ** 2) to the batch's mean loss; scikit-learn's alpha adds
# 0.5 * alpha * sum(w ** 2) / batch size. Equal for this alpha.
KERAS_L2 = 2 * BATCH_SIZE * 1e-4

AVERAGED: dict[str, Any] = {"weight_averaging": 0.998}
LAST: dict[str, Any] = {"weight_averaging": None}

TRAINING: dict[str, Any] = {
    "solver": "sgd",
    "momentum": 0.9,
    "nesterovs_momentum": True,
    "batch_size": BATCH_SIZE,
    "max_iter": 100,
    "alpha": 0.0,
    "early_stopping": True,
    "scoring": "accuracy",
    "tol": 1e-4,
    "n_iter_no_change": 5,
    "restore_best_weights": False,
    "init": "he_uniform",
    **AVERAGED,
}

VALIDATION = Validation(fraction=0.1, random_state=4487)
SCALE = Component("skmlp.preprocessing.PixelScaler")
CENTRE = Component(
    "skmlp.preprocessing.PixelStandardizer", {"scope": "feature", "with_std": False}
)


def _row(
    name: str,
    network: str,
    preprocessing: tuple[Component, ...],
    reported: tuple[float, ...],
    **params: Any,
) -> Model:
    estimator = Component(f"skmlp.neural_network.{network}", {**TRAINING, **params})
    return Model(name, estimator, preprocessing, VALIDATION, reported)


def _lr(name: str, learning_rate: float, *reported: float) -> Model:
    return _row(
        name,
        "SoftmaxRegression",
        (SCALE, CENTRE),
        reported,
        learning_rate_init=learning_rate,
    )


def _mlp(name: str, hidden: tuple[int, ...], *reported: float, **more: Any) -> Model:
    return _row(
        name,
        "MLPClassifier",
        (SCALE, CENTRE),
        reported,
        learning_rate_init=0.1,
        hidden_layer_sizes=hidden,
        **more,
    )


def _cnn(
    name: str,
    channels: tuple[int, ...],
    strides: tuple[int, ...],
    *reported: float,
    **more: Any,
) -> Model:
    return _row(
        name,
        "CNNClassifier",
        (SCALE,),
        reported,
        learning_rate_init=0.02,
        conv_channels=channels,
        kernel_size=5,
        conv_strides=strides,
        padding="same",
        pool=None,
        hidden_layer_sizes=(50,),
        **more,
    )


DEEP = ((10, 40, 80), (2, 2, 1))
DROPOUT: dict[str, Any] = {"conv_dropout": (0.0, 0.0, 0.5), "dropout": 0.5}

# ImageDataGenerator(rotation_range=10, width_shift_range=0.2, height_shift_range=0.2,
# shear_range=0.1, zoom_range=0.1), which zooms each axis by its own factor and draws
# the border's pixels out. Until the end of 2017 its shear was in radians and a pixel
# the nearest one's value; since then the shear is in degrees and a pixel a mix of four
# (keras-team/keras#8868, #8849).
MOVES_OF_2017 = moves(10, 0.2, 0.1, 5.73, interpolation="nearest", padding_mode="edge")
MOVES_SINCE = moves(10, 0.2, 0.1, 0.1, interpolation="bilinear", padding_mode="edge")
MOVES = MOVES_OF_2017
NOISE = Component("skmlp.augmentation.GaussianNoise", {"sigma": 0.05})

# Ours: what a trained network says of an image and of small moves of it, averaged.
VIEWS: dict[str, Any] = {
    "predict_augmentation": moves(6, 0.05, 0.05, 5),
    "predict_views": 8,
}
ONE_VIEW: dict[str, Any] = {"predict_augmentation": None}

NOISY_FOR_ALL_EPOCHS: dict[str, Any] = {
    **DROPOUT,
    **VIEWS,
    "augmentation": compose(MOVES, NOISE),
    "early_stopping": False,
    "n_iter_no_change": 100,
}

# Ours, from the same rows: trained on all of them, validation rows too, to an epoch
# fixed beforehand. The recipe was written down before it met a test row.
BEST = Model(
    "best",
    Component(
        "skmlp.neural_network.CNNClassifier",
        one_cycle(
            40,
            **three_convolutions(hidden_layer_sizes=(128,), dropout=0.5),
            batch_size=100,
            weight_averaging=0.998,
            augmentation=moves(12, 0.1, 0.15, 10),
            **VIEWS,
        ),
    ),
    (SCALE,),
)

PROTOCOL = (
    _lr("lr", 0.05, 0.8921, 0.8890),
    _mlp("mlp-50", (50,), 0.9373),
    _mlp("mlp-200", (200,), 0.9434, 0.9431),
    _mlp("mlp-1000", (1000,), 0.9454, 0.9453),
    _mlp("mlp-500-500", (500, 500), 0.9517, 0.9523),
    _cnn("cnn-1", (10,), (2,), 0.9449, 0.9537),
    _cnn("cnn-3", *DEEP, 0.9687, 0.9693),
    _cnn("cnn-3-dropout", *DEEP, 0.9726, 0.9756, **DROPOUT),
    # One alpha for each layer of weights: three convolutions, dense, output.
    _cnn("cnn-3-l2", *DEEP, 0.9637, alpha=(0.0, 0.0, KERAS_L2, KERAS_L2, 0.0)),
    _cnn("cnn-3-moved", *DEEP, 0.9807, 0.9843, **DROPOUT, augmentation=MOVES, **VIEWS),
    _cnn("cnn-3-moved-noisy", *DEEP, 0.9851, 0.9911, **NOISY_FOR_ALL_EPOCHS),
)


MOVED = PROTOCOL[-2:]
OF_THE_LAST_EPOCH = (
    "at a rate that never falls single epochs end low, and the last one is kept"
)


def variant(model: Model, name: str, **params: Any) -> Model:
    """Return a model that differs in its name and in some parameters."""
    estimator = replace(model.estimator, params={**model.estimator.params, **params})
    return replace(model, name=f"{model.name}-{name}", estimator=estimator)


COMPARE = Experiment(
    name="compare",
    summary="softmax regression, MLPs and CNNs side by side",
    models=(
        *PROTOCOL,
        *(variant(model, "last", **LAST) for model in PROTOCOL if model not in MOVED),
        *(
            replace(variant(model, "last", **LAST, **ONE_VIEW), note=OF_THE_LAST_EPOCH)
            for model in MOVED
        ),
        *(variant(model, "one-view", **ONE_VIEW) for model in MOVED),
        BEST,
    ),
    dataset="digits",
    reported_for=("mnist", 0.1),
    first_look=("lr", "mlp-50", "mlp-500-500", "cnn-1", "cnn-3", "best"),
)
