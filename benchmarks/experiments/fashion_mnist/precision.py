"""`precision`: networks in float32, and the same ones in mixed precision.

A tenth of Fashion-MNIST, ten seeds. Both networks of a pair have the same initial
weights and batches, and train for a fixed number of epochs. The test accuracies should
differ by at most their standard error. With batches of 200, the products of the MLP are
large enough for bfloat16. "row-7" is the network of three convolutions of `compare`. On
a processor without instructions for bfloat16, both networks of a pair are equal.
"""

from __future__ import annotations

from typing import Any

from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.model import Component, Model
from benchmarks.experiments.fashion_mnist.fashion_mlp import (
    ADAM,
    MLP,
    SCALE,
    fixed_epochs,
)

CNN = "skmlp.neural_network.CNNClassifier"
EPOCHS = 10


def _pair(name: str, network: str, **params: Any) -> tuple[Model, Model]:
    """Return a network in float32 and in mixed precision."""
    params = fixed_epochs(EPOCHS, **params)
    return (
        Model(name, Component(network, params), (SCALE,)),
        Model(f"{name}-amp", Component(network, {**params, "amp": True}), (SCALE,)),
    )


PRECISION = Experiment(
    name="precision",
    summary="float32 and mixed precision on Fashion-MNIST: the accuracies of ten seeds",
    models=(
        *_pair("mlp", MLP, batch_size=200, **ADAM),
        *_pair(
            "cnn",
            CNN,
            conv_channels=(32, 64),
            kernel_size=2,
            pool="max",
            batch_size=200,
            **ADAM,
        ),
        *_pair(
            "row-7",
            CNN,
            conv_channels=(10, 40, 80),
            kernel_size=5,
            conv_strides=(2, 2, 1),
            pool=None,
            hidden_layer_sizes=(50,),
            solver="sgd",
            learning_rate_init=0.02,
            batch_size=50,
        ),
    ),
    dataset="fashion-mnist",
    train_size=0.1,
    seeds=10,
    pictures=(),
)
