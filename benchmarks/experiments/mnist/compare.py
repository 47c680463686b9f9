"""`compare`: softmax regression, MLPs and CNNs on a tenth of MNIST.

The protocol of the source:

* every tenth training sample, and 10% of these for validation with a fixed seed
* pixels in [0, 1]; for LR and MLP the training mean is subtracted
* batches of 50, SGD with Nesterov momentum 0.9, at most 100 epochs
* early stopping on validation accuracy (min_delta 1e-4, patience 5)

The patience is exhausted after more than 5 epochs without improvement, as in
scikit-learn and in the Keras of 2017, which presumably made the reported figures.

The protocol does not say how weights are initialized. Our choice is He's uniform
initializer.

* Models whose name ends in `-last` add nothing else to the protocol. They end with the
  weights of the last epoch, which is Keras's default, and predict each image once.
* The other models also average the weights over about the last ninth of the steps (at
  most some 500). The average is what is validated. `protocol_choices` gives the reason.
* The two models that train on augmented images also average their predictions over 8
  views of an image. Those with `-one-view` do not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.model import Component, Model, Validation
from benchmarks.experiments.recipes import (
    compose,
    one_cycle,
    random_affine,
    three_convolutions,
)

BATCH_SIZE = 50

# Keras adds 0.0001 * sum(w ** 2) to the batch's mean loss. scikit-learn's alpha adds
# 0.5 * alpha * sum(w ** 2) / batch size. Both are equal for this alpha.
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
CENTER = Component(
    "skmlp.preprocessing.PixelStandardizer", {"scope": "feature", "with_std": False}
)


def _protocol_model(
    name: str,
    network: str,
    preprocessing: tuple[Component, ...],
    reported: tuple[float, ...],
    **params: Any,
) -> Model:
    estimator = Component(f"skmlp.neural_network.{network}", {**TRAINING, **params})
    return Model(name, estimator, preprocessing, VALIDATION, reported)


def _lr(name: str, learning_rate: float, *reported: float) -> Model:
    return _protocol_model(
        name,
        "SoftmaxRegression",
        (SCALE, CENTER),
        reported,
        learning_rate_init=learning_rate,
    )


def _mlp(name: str, hidden: tuple[int, ...], *reported: float, **more: Any) -> Model:
    return _protocol_model(
        name,
        "MLPClassifier",
        (SCALE, CENTER),
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
    return _protocol_model(
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
# shear_range=0.1, zoom_range=0.1) zooms each axis by its own factor and repeats the
# pixels of the border. Until the end of 2017 its shear was in radians and it took the
# nearest pixel. Since then the shear is in degrees and a pixel is interpolated between
# four (keras-team/keras#8868, #8849).
KERAS_AFFINE_2017 = random_affine(
    10, 0.2, 0.1, 5.73, interpolation="nearest", padding_mode="edge"
)
KERAS_AFFINE_NOW = random_affine(
    10, 0.2, 0.1, 0.1, interpolation="bilinear", padding_mode="edge"
)
KERAS_AFFINE = KERAS_AFFINE_2017
NOISE = Component("skmlp.augmentation.GaussianNoise", {"sigma": 0.05})

# Ours: the average prediction for an image and for small moves of it.
VIEWS: dict[str, Any] = {
    "predict_augmentation": random_affine(6, 0.05, 0.05, 5),
    "predict_views": 8,
}
ONE_VIEW: dict[str, Any] = {"predict_augmentation": None}

NOISY_FOR_ALL_EPOCHS: dict[str, Any] = {
    **DROPOUT,
    **VIEWS,
    "augmentation": compose(KERAS_AFFINE, NOISE),
    "early_stopping": False,
    "n_iter_no_change": 100,
}

# Ours: trained on the same samples, including the validation set, up to an epoch that
# was fixed in advance. The recipe was written down before any test sample was scored.
BEST = Model(
    "best",
    Component(
        "skmlp.neural_network.CNNClassifier",
        one_cycle(
            40,
            **three_convolutions(hidden_layer_sizes=(128,), dropout=0.5),
            batch_size=100,
            weight_averaging=0.998,
            augmentation=random_affine(12, 0.1, 0.15, 10),
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
    _cnn(
        "cnn-3-moved",
        *DEEP,
        0.9807,
        0.9843,
        **DROPOUT,
        augmentation=KERAS_AFFINE,
        **VIEWS,
    ),
    _cnn("cnn-3-moved-noisy", *DEEP, 0.9851, 0.9911, **NOISY_FOR_ALL_EPOCHS),
)


AUGMENTED = PROTOCOL[-2:]
LAST_EPOCH_NOTE = (
    "with a constant learning rate single epochs score low, and the last one counts"
)


def variant(model: Model, name: str, **params: Any) -> Model:
    """Return a model with another name and some other parameters."""
    estimator = replace(model.estimator, params={**model.estimator.params, **params})
    return replace(model, name=f"{model.name}-{name}", estimator=estimator)


COMPARE = Experiment(
    name="compare",
    summary="softmax regression, MLPs and CNNs side by side",
    models=(
        *PROTOCOL,
        *(
            variant(model, "last", **LAST)
            for model in PROTOCOL
            if model not in AUGMENTED
        ),
        *(
            replace(variant(model, "last", **LAST, **ONE_VIEW), note=LAST_EPOCH_NOTE)
            for model in AUGMENTED
        ),
        *(variant(model, "one-view", **ONE_VIEW) for model in AUGMENTED),
        BEST,
    ),
    dataset="digits",
    reported_for=("mnist", 0.1),
    default_models=("lr", "mlp-50", "mlp-500-500", "cnn-1", "cnn-3", "best"),
)
