"""`capacity`: too small a network, and too few rows for a large one.

Adam for 20 epochs on Fashion-MNIST. Softmax regression learns from 80% of the training
rows and can do no better; 784-64-64-10 learns from the first tenth of them and does far
better there than elsewhere. The last rows are for validation, as Keras takes them. The
gap between training and validation accuracy is the result.
"""

from __future__ import annotations

from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.model import Component, Model, Validation
from benchmarks.experiments.fashion_mnist.fashion_mlp import (
    ADAM,
    MLP,
    SCALE,
    fixed_epochs,
)
from benchmarks.experiments.fashion_mnist.normalization import SOFTMAX

EPOCHS = 20
UNDERFIT = fixed_epochs(EPOCHS, batch_size=32, **ADAM)
del UNDERFIT["hidden_layer_sizes"]
OVERFIT = fixed_epochs(EPOCHS, batch_size=32, hidden_layer_sizes=(64, 64), **ADAM)

CAPACITY = Experiment(
    name="capacity",
    summary="under- and overfitting on Fashion-MNIST: the gap is the result",
    models=(
        Model(
            "underfit",
            Component(SOFTMAX, UNDERFIT),
            (SCALE,),
            Validation(fraction=0.2),
            watch=("train",),
        ),
        Model(
            "overfit",
            Component(MLP, OVERFIT),
            (SCALE,),
            Validation(fraction=0.9),
            watch=("train",),
        ),
    ),
    dataset="fashion-mnist",
    columns=(
        "model",
        "parameters",
        "rows trained on",
        "epochs",
        "train accuracy",
        "validation accuracy",
        "gap",
        "test accuracy",
    ),
)
