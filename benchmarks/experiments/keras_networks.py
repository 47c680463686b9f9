"""`compare-in-keras`, `fashion-in-keras`: the same protocols, with Keras itself.

A figure that a source prints is that of a single run of Keras. These figures are means
over several runs. The networks have the layers, initializers, optimizers and stopping
rules of the models of `compare`, `fashion-mlp` and `fashion-cnn` that add nothing to
the protocol. The figures therefore show what the source's recipe gives with either
package. Keras uses its own random numbers, so a seed gives other runs than in skmlp.
The extra `peers` installs Keras.
"""

from __future__ import annotations

from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.model import Component, Model
from benchmarks.experiments.fashion_mnist.fashion_cnn import FASHION_CNN
from benchmarks.experiments.fashion_mnist.fashion_mlp import FASHION_MLP
from benchmarks.experiments.mnist.compare import COMPARE, PROTOCOL

NEEDS = ("keras", "tensorflow")

# Parameters of skmlp's networks that Keras's networks also have.
KERAS_PARAMETERS = (
    "conv_channels",
    "kernel_size",
    "conv_strides",
    "pool",
    "pool_size",
    "conv_dropout",
    "hidden_layer_sizes",
    "dropout",
    "alpha",
    "init",
    "solver",
    "learning_rate_init",
    "momentum",
    "nesterovs_momentum",
    "batch_size",
    "max_iter",
    "early_stopping",
    "tol",
    "n_iter_no_change",
)

COLUMNS = ("model", "architecture", "parameters", "epochs", "fit s", "test accuracy")


def in_keras(model: Model) -> Model:
    """Return the same network, trained by Keras and without monitoring."""
    params = {k: v for k, v in model.estimator.params.items() if k in KERAS_PARAMETERS}
    return Model(
        model.name,
        Component("benchmarks.running.keras_classifier.KerasClassifier", params),
        model.preprocessing,
        model.validation,
        model.reported,
    )


COMPARE_IN_KERAS = Experiment(
    name="compare-in-keras",
    summary="networks of compare, trained by Keras",
    # Without augmentation: Keras has removed the generator that the protocol names.
    models=tuple(
        in_keras(model)
        for model in PROTOCOL
        if "augmentation" not in model.estimator.params
    ),
    dataset=COMPARE.dataset,
    reported_for=COMPARE.reported_for,
    seeds=5,
    columns=COLUMNS,
    needs=NEEDS,
)

FASHION_IN_KERAS = Experiment(
    name="fashion-in-keras",
    summary="networks of fashion-mlp and fashion-cnn, trained by Keras",
    models=(
        *map(in_keras, FASHION_MLP.select(("adam-5",))),
        *map(in_keras, FASHION_CNN.select(("cnn-32-64",))),
    ),
    dataset=FASHION_MLP.dataset,
    reported_for=FASHION_MLP.reported_for,
    seeds=5,
    columns=COLUMNS,
    needs=NEEDS,
)

KERAS_EXPERIMENTS = (COMPARE_IN_KERAS, FASHION_IN_KERAS)
