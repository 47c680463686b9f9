"""`cifar10-mlp`: flattened 32x32x3 pixels, dense 512, Adam, 20 epochs; and a CNN.

The MLP follows its source, which names no batch size; 32 is Keras's default. The CNN is
ours. It has fewer parameters than the MLP and shows the cost of flattening.
"""

from __future__ import annotations

from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.model import Component, Model
from benchmarks.experiments.fashion_mnist.fashion_mlp import (
    ADAM,
    MLP,
    SCALE,
    fixed_epochs,
)

CNN = Component(
    "skmlp.neural_network.CNNClassifier",
    fixed_epochs(
        10,
        conv_channels=(16, 32, 64),
        kernel_size=3,
        padding="same",
        pool="max",
        batch_size=128,
        **ADAM,
    ),
)

CIFAR10_MLP = Experiment(
    name="cifar10-mlp",
    summary="CIFAR-10: dense 512 on flattened pixels, and a CNN",
    models=(
        Model(
            "mlp-512",
            Component(
                MLP,
                fixed_epochs(20, hidden_layer_sizes=(512,), batch_size=32, **ADAM),
            ),
            (SCALE,),
            monitor=("test",),
        ),
        Model("cnn-16-32-64", CNN, (SCALE,), monitor=("test",)),
    ),
    dataset="cifar10",
    notes=(
        "A data set read from JPEG files holds CIFAR-10's images and split, but its "
        "pixels are nearly, not exactly, the original ones.",
    ),
)
