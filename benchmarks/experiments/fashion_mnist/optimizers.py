"""`optimizers`: one MLP on Fashion-MNIST with seven optimizers; three batch sizes.

The MLP is 784-128-10. No source reports figures for this protocol. Every optimizer has
the constants of its paper or of Keras, which were chosen before any run:

* SGD 0.01 (momentum 0.9), RMSprop 0.001 with rho 0.9, Adam 0.001
* Adagrad 0.01, and Adadelta 1 with rho 0.95 (Zeiler 2012, arXiv:1212.5701), which
  scales its steps itself. Keras's 0.001 would hardly change the weights with these two.
* All have batches of 32, 10 epochs and, for each seed, the same initial weights.

Batch, mini-batch and stochastic gradient descent (all samples, 32 and 1 per step) train
on 1,000 samples with one learning rate for 50 epochs. The test set is scored after
every epoch, and decides nothing.
"""

from __future__ import annotations

from typing import Any

from benchmarks.definitions.experiment import Experiment, Picture
from benchmarks.definitions.model import Component, Model
from benchmarks.experiments.fashion_mnist.fashion_mlp import (
    ADAM,
    MLP,
    SCALE,
    fixed_epochs,
)

EPOCHS, BATCH_SIZE = 10, 32
FEW_ROWS, FEW_ROWS_EPOCHS = 1_000, 50
WATCH = ("train", "test")

SGD: dict[str, Any] = {"solver": "sgd", "learning_rate_init": 0.01}
PLAIN: dict[str, Any] = {**SGD, "momentum": 0.0}
MOMENTUM: dict[str, Any] = {**SGD, "momentum": 0.9, "nesterovs_momentum": False}
NESTEROV: dict[str, Any] = {**SGD, "momentum": 0.9, "nesterovs_momentum": True}
# Epsilon as in Keras. The parameter rho is called alpha in torch's RMSprop.
ADAGRAD: dict[str, Any] = {
    "solver": "adagrad",
    "learning_rate_init": 0.01,
    "optimizer_params": {"eps": 1e-7},
}
RMSPROP: dict[str, Any] = {
    "solver": "rmsprop",
    "learning_rate_init": 1e-3,
    "optimizer_params": {"alpha": 0.9, "eps": 1e-7},
}
ADADELTA: dict[str, Any] = {
    "solver": "adadelta",
    "learning_rate_init": 1.0,
    "optimizer_params": {"rho": 0.95, "eps": 1e-6},
}

OPTIMIZERS_BY_NAME: dict[str, dict[str, Any]] = {
    "sgd": PLAIN,
    "momentum": MOMENTUM,
    "nesterov": NESTEROV,
    "adagrad": ADAGRAD,
    "rmsprop": RMSPROP,
    "adadelta": ADADELTA,
    "adam": ADAM,
}
BATCH_SIZES = {"batch": FEW_ROWS, "mini-batch": BATCH_SIZE, "stochastic": 1}

OPTIMIZERS = Experiment(
    name="optimizers",
    summary="one MLP with seven optimizers; batch, mini-batch and stochastic descent",
    models=(
        *(
            Model(
                name,
                Component(MLP, fixed_epochs(EPOCHS, batch_size=BATCH_SIZE, **params)),
                (SCALE,),
                monitor=WATCH,
            )
            for name, params in OPTIMIZERS_BY_NAME.items()
        ),
        *(
            Model(
                name,
                Component(MLP, fixed_epochs(FEW_ROWS_EPOCHS, batch_size=size, **PLAIN)),
                (SCALE,),
                monitor=WATCH,
                train_size=FEW_ROWS,
            )
            for name, size in BATCH_SIZES.items()
        ),
    ),
    dataset="fashion-mnist",
    columns=(
        "model",
        "train size",
        "epochs",
        "fit s",
        "train loss",
        "train accuracy",
        "test accuracy",
    ),
    pictures=(
        Picture(
            "optimizers",
            models=tuple(OPTIMIZERS_BY_NAME),
            options={"lines": ("train_loss", "test_score")},
        ),
        Picture("batch-sizes", models=tuple(BATCH_SIZES)),
    ),
)
