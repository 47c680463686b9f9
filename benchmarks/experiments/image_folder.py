"""`image-folder`: a folder of image files, and three networks.

No source reports figures for this protocol. By default scikit-learn's digits are
written to a folder of PNG files, one of them broken, and are read again. ``--dataset
FOLDER`` reads a folder of your own, where sub-folders (or file names up to the first
dot) are the classes. ``--image-size`` and ``--grey`` are the options of reading.
"""

from __future__ import annotations

from benchmarks.definitions.experiment import IMAGE_FILES, Experiment
from benchmarks.definitions.model import Component, Model
from benchmarks.experiments.fashion_mnist.fashion_mlp import (
    ADAM,
    MLP,
    SCALE,
    fixed_epochs,
)
from benchmarks.experiments.fashion_mnist.normalization import SOFTMAX

EPOCHS, BATCH_SIZE = 10, 128
LINEAR = fixed_epochs(EPOCHS, batch_size=BATCH_SIZE, **ADAM)
del LINEAR["hidden_layer_sizes"]

IMAGE_FOLDER = Experiment(
    name="image-folder",
    summary="a folder of image files, resized, for three networks",
    models=(
        Model("lr", Component(SOFTMAX, LINEAR), (SCALE,)),
        Model(
            "mlp-128",
            Component(MLP, fixed_epochs(EPOCHS, batch_size=BATCH_SIZE, **ADAM)),
            (SCALE,),
        ),
        Model(
            "cnn-8-16",
            Component(
                "skmlp.neural_network.CNNClassifier",
                fixed_epochs(
                    EPOCHS,
                    conv_channels=(8, 16),
                    kernel_size=3,
                    padding="same",
                    pool="max",
                    batch_size=BATCH_SIZE,
                    **ADAM,
                ),
            ),
            (SCALE,),
        ),
    ),
    dataset=IMAGE_FILES,
    quick_dataset=IMAGE_FILES,
)
