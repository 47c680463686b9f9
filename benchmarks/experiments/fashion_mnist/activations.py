"""`activations`: one MLP with six activations, and with nine initializers.

The network is 784-128-64-10 on Fashion-MNIST, with Adam, batches of 32 and 10 epochs.
No source reports figures for this protocol. The activations are combined with Glorot's
uniform initializer, the other initializers with ReLU. Model "relu" belongs to both
groups. All-zero weights are included to show that units which start equal stay equal.
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
INITIALIZERS = (
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
    "truncated_normal",
    "zeros",
)
# As many as a picture has colors.
PICTURED = ("glorot_normal", "he_uniform", "he_normal", "lecun_normal", "orthogonal")


def _model(name: str, activation: str, init: str) -> Model:
    params = {
        **fixed_epochs(EPOCHS, batch_size=32, **ADAM),
        "hidden_layer_sizes": (128, 64),
        "activation": activation,
        "init": init,
    }
    return Model(name, Component(MLP, params), (SCALE,), monitor=("train", "test"))


LINES = {"lines": ("train_loss", "test_score")}

ACTIVATIONS_AND_INITIALIZERS = Experiment(
    name="activations",
    summary="one MLP with six activations, and with nine initializers",
    models=(
        *(_model(name, name, "glorot_uniform") for name in ACTIVATIONS),
        *(_model(name.replace("_", "-"), "relu", name) for name in INITIALIZERS),
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
