"""`normalization`: softmax regression with pixels scaled in four ways; an MLP.

Plain gradient descent trains on batches of 1,024 of Fashion-MNIST, with:

* raw pixels and two learning rates
* pixels scaled to [0, 1], and to [-1, 1]
* z-scores by the training mean and deviation of all pixels
* an MLP of 256 units on z-scores

The source gives learning rates and the batch size. It prints one training accuracy for
softmax regression, which the table shows for z-scores. Plain descent and 200 epochs are
our choices. Training set and test set are scored after every epoch to draw both curves.
The scores decide nothing.
"""

from __future__ import annotations

from typing import Any

from benchmarks.definitions.experiment import Experiment, Picture
from benchmarks.definitions.model import Component, Model
from benchmarks.experiments.fashion_mnist.fashion_mlp import MLP, fixed_epochs

SOFTMAX = "skmlp.neural_network.SoftmaxRegression"
EPOCHS = 200
TRAINING: dict[str, Any] = {"solver": "sgd", "momentum": 0.0, "batch_size": 1024}
SOFTMAX_REPORTED, MLP_REPORTED = 0.86, 0.90

RAW: tuple[Component, ...] = ()
UNIT = (Component("skmlp.preprocessing.PixelScaler"),)
SIGNED = (Component("skmlp.preprocessing.PixelScaler", {"feature_range": (-1.0, 1.0)}),)
Z_SCORE = (Component("skmlp.preprocessing.PixelStandardizer", {"scope": "global"}),)


def _softmax(
    name: str, steps: tuple[Component, ...], learning_rate: float, *reported: float
) -> Model:
    params = fixed_epochs(EPOCHS, learning_rate_init=learning_rate, **TRAINING)
    del params["hidden_layer_sizes"]
    return Model(
        name,
        Component(SOFTMAX, params),
        steps,
        reported=reported,
        monitor=("train", "test"),
    )


NORMALIZATION = Experiment(
    name="normalization",
    summary="softmax regression on pixels that are raw or scaled in three ways; an MLP",
    models=(
        _softmax("raw-0.01", RAW, 0.01),
        _softmax("raw-0.00001", RAW, 0.00001),
        _softmax("unit", UNIT, 0.01),
        _softmax("signed", SIGNED, 0.01),
        _softmax("z-score", Z_SCORE, 0.01, SOFTMAX_REPORTED),
        Model(
            "mlp-256",
            Component(
                MLP,
                fixed_epochs(
                    EPOCHS,
                    hidden_layer_sizes=(256,),
                    learning_rate_init=0.01,
                    **TRAINING,
                ),
            ),
            Z_SCORE,
            reported=(MLP_REPORTED,),
            monitor=("train", "test"),
        ),
    ),
    dataset="fashion-mnist",
    reported_for=("fashion-mnist", None),
    figure="train_accuracy",
    columns=(
        "model",
        "architecture",
        "parameters",
        "train size",
        "epochs",
        "fit s",
        "train accuracy",
        "test accuracy",
    ),
    pictures=(Picture("curves", options={"log_loss_axis": True}),),
)
