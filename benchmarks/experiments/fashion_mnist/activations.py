"""`activations`: one MLP with six activations, and with nine laws of initial weights.

784-128-64-10 on Fashion-MNIST, Adam, batches of 32, 10 epochs. The activations start
from Glorot's uniform weights, the initialisers are followed by ReLU; "relu" is their
common model. All-zero weights are there to show that units which start alike stay
alike.
"""

from __future__ import annotations

from benchmarks.definitions.experiment import Experiment, Picture
from benchmarks.definitions.model import Component, Model
from benchmarks.experiments.fashion_mnist.fashion_mlp import (
    ADAM,
    MLP,
    SCALE,
    fixed_epochs,
)

EPOCHS = 10
ACTIVATIONS = ("tanh", "logistic", "relu", "prelu", "elu", "softplus")
INITIALISERS = (
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
    "truncated_normal",
    "zeros",
)
# As many as a picture has colours.
PICTURED = ("glorot_normal", "he_uniform", "he_normal", "lecun_normal", "orthogonal")


def _model(name: str, activation: str, init: str) -> Model:
    params = {
        **fixed_epochs(EPOCHS, batch_size=32, **ADAM),
        "hidden_layer_sizes": (128, 64),
        "activation": activation,
        "init": init,
    }
    return Model(name, Component(MLP, params), (SCALE,), watch=("train", "test"))


LINES = {"lines": ("train_loss", "test_score")}

ACTIVATIONS_AND_INITIALISERS = Experiment(
    name="activations",
    summary="one MLP with six activations, and with nine laws of initial weights",
    models=(
        *(_model(name, name, "glorot_uniform") for name in ACTIVATIONS),
        *(_model(name.replace("_", "-"), "relu", name) for name in INITIALISERS),
    ),
    dataset="fashion-mnist",
    columns=(
        "model",
        "parameters",
        "epochs",
        "fit s",
        "train loss",
        "train accuracy",
        "test accuracy",
    ),
    pictures=(
        Picture("activations", models=ACTIVATIONS, options=LINES),
        Picture(
            "initialisers",
            models=(
                "relu",
                *(name.replace("_", "-") for name in PICTURED),
                "truncated-normal",
            ),
            options=LINES,
        ),
    ),
    notes=("relu is also the model with Glorot's uniform weights.",),
)
