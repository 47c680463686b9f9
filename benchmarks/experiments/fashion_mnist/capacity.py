"""`capacity`: too small a network, and too few samples for a large one.

Adam trains for 20 epochs on Fashion-MNIST. Softmax regression trains on 80% of the
training samples and underfits. 784-64-64-10 trains on the first tenth of them and
overfits. The last samples are the validation set, as in Keras. The gap between training
and validation accuracy is the result.
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
            monitor=("train",),
        ),
        Model(
            "overfit",
            Component(MLP, OVERFIT),
            (SCALE,),
            Validation(fraction=0.9),
            monitor=("train",),
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
