"""`fashion-mlp`: 784-128-10 on Fashion-MNIST, from raw pixels to Adam.

Each run ends at the epoch that the source gives, and is scored with the weights of that
epoch. `adam-5-averaged` is ours: it is scored with an average over the last steps. The
validation set of `adam-5` is scored after every epoch and decides nothing.
"""

from __future__ import annotations

from typing import Any

from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.model import Component, Model, Validation

MLP = "skmlp.neural_network.MLPClassifier"
SCALE = Component("skmlp.preprocessing.PixelScaler")


def fixed_epochs(epochs: int, **params: Any) -> dict[str, Any]:
    """Return Keras's defaults in skmlp's parameters, for exactly `epochs` epochs."""
    return {
        "hidden_layer_sizes": (128,),
        "alpha": 0.0,
        "init": "glorot_uniform",
        "max_iter": epochs,
        # The count of epochs without improvement never exceeds this.
        "n_iter_no_change": epochs,
        "restore_best_weights": False,
        **params,
    }


ADAM = {"solver": "adam", "learning_rate_init": 1e-3, "epsilon": 1e-7}

# Accuracy as Keras prints it: over an epoch's batches, each before its step.
REPORTED_CURVES = {
    "loss_curve": (0.5046, 0.3774, 0.3408, 0.3143, 0.2955),
    "running_score": (0.8241, 0.8635, 0.8766, 0.8848, 0.8919),
    "validation_scores": (0.8557, 0.8668, 0.8668, 0.8757, 0.8825),
}

FASHION_MLP = Experiment(
    name="fashion-mlp",
    summary="784-128-10 on Fashion-MNIST: raw pixels and SGD, scaled pixels and Adam",
    models=(
        Model(
            "raw-sgd",
            Component(
                MLP,
                fixed_epochs(
                    10,
                    activation="logistic",
                    solver="sgd",
                    momentum=0.0,
                    learning_rate_init=0.01,
                    batch_size=32,
                ),
            ),
        ),
        Model(
            "adam-20",
            Component(MLP, fixed_epochs(20, batch_size=32, **ADAM)),
            (SCALE,),
        ),
        Model(
            "adam-5",
            Component(MLP, fixed_epochs(5, batch_size=32, **ADAM)),
            (SCALE,),
            Validation(fraction=0.1),
            reported=(0.8751,),
            reported_curves=REPORTED_CURVES,
            monitor=("running",),
        ),
        # Ours: the same with an average of the last weights, which changes little in
        # the last few steps.
        Model(
            "adam-5-averaged",
            Component(
                MLP, fixed_epochs(5, batch_size=32, weight_averaging=0.999, **ADAM)
            ),
            (SCALE,),
            Validation(fraction=0.1),
            reported=(0.8751,),
        ),
    ),
    dataset="fashion-mnist",
    columns=(
        "model",
        "parameters",
        "train size",
        "epochs",
        "fit s",
        "test loss",
        "test accuracy",
    ),
    details=("epochs",),
    notes=("adam-5: its source prints a test loss of 0.3436.",),
    reported_for=("fashion-mnist", None),
)
