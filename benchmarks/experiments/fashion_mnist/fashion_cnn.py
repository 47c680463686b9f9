"""`fashion-cnn`: two convolutions of 2x2 with max-pooling on Fashion-MNIST.

The source pools with 'same' padding. 28 and 14 are even, so both paddings give 14x14
and 7x7. Test image 5 is predicted before and after training. The fitted models of seed
0 are saved next to the records, and the feature maps of that image are drawn from the
first of them.
"""

from __future__ import annotations

from typing import Any

from benchmarks.definitions.experiment import Experiment, Picture
from benchmarks.definitions.model import Component, Model
from benchmarks.experiments.fashion_mnist.fashion_mlp import ADAM, SCALE, fixed_epochs


def _model(name: str, **more: Any) -> Model:
    network = Component(
        "skmlp.neural_network.CNNClassifier",
        fixed_epochs(
            10,
            conv_channels=(32, 64),
            kernel_size=2,
            padding="same",
            pool="max",
            pool_size=2,
            batch_size=200,
            **ADAM,
            **more,
        ),
    )
    return Model(name, network, (SCALE,))


FASHION_CNN = Experiment(
    name="fashion-cnn",
    summary="conv 32, conv 64, dense 128 on Fashion-MNIST: Adam, 10 epochs",
    # The second model is ours. It differs in the average of the last weights.
    models=(_model("cnn-32-64"), _model("cnn-32-64-averaged", weight_averaging=0.999)),
    dataset="fashion-mnist",
    columns=(
        "model",
        "parameters",
        "train size",
        "epochs",
        "fit s",
        "test loss",
        "test accuracy",
        "micro F1",
    ),
    details=("confusion", "example"),
    pictures=(
        Picture("curves"),
        Picture("confusion", "confusion_matrix"),
        Picture("feature-maps", "feature_maps"),
    ),
    example=5,
    saves_models=True,
)
