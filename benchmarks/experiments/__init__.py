"""The registry of experiments and programs, in the order of ``--list``."""

from benchmarks.definitions.experiment import Experiment, Program
from benchmarks.experiments.best_networks import BEST_NETWORKS
from benchmarks.experiments.cifar10_mlp import CIFAR10_MLP
from benchmarks.experiments.drop_in import DROP_IN
from benchmarks.experiments.fashion_mnist.activations import (
    ACTIVATIONS_AND_INITIALIZERS,
)
from benchmarks.experiments.fashion_mnist.capacity import CAPACITY
from benchmarks.experiments.fashion_mnist.continual import CONTINUAL
from benchmarks.experiments.fashion_mnist.fashion_cnn import FASHION_CNN
from benchmarks.experiments.fashion_mnist.fashion_mlp import FASHION_MLP
from benchmarks.experiments.fashion_mnist.hidden_units import HIDDEN_UNITS
from benchmarks.experiments.fashion_mnist.normalization import NORMALIZATION
from benchmarks.experiments.fashion_mnist.optimizers import OPTIMIZERS
from benchmarks.experiments.fashion_mnist.precision import PRECISION
from benchmarks.experiments.image_folder import IMAGE_FOLDER
from benchmarks.experiments.keras_networks import KERAS_EXPERIMENTS
from benchmarks.experiments.learning_rates import LEARNING_RATES
from benchmarks.experiments.mnist.autoencoder import AUTOENCODER
from benchmarks.experiments.mnist.compare import COMPARE
from benchmarks.experiments.mnist.ensemble import ENSEMBLE
from benchmarks.experiments.mnist.protocol_choices import PROTOCOL_CHOICES
from benchmarks.experiments.signals import SIGNALS
from benchmarks.experiments.tabular import TABULAR

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        COMPARE,
        *PROTOCOL_CHOICES,
        FASHION_MLP,
        FASHION_CNN,
        NORMALIZATION,
        HIDDEN_UNITS,
        CAPACITY,
        OPTIMIZERS,
        ACTIVATIONS_AND_INITIALIZERS,
        CONTINUAL,
        PRECISION,
        CIFAR10_MLP,
        IMAGE_FOLDER,
        TABULAR,
        SIGNALS,
        ENSEMBLE,
        AUTOENCODER,
        *BEST_NETWORKS,
        *KERAS_EXPERIMENTS,
        DROP_IN,
        LEARNING_RATES,
    )
}

PROGRAMS: dict[str, Program] = {
    program.name: program
    for program in (
        Program(
            "search",
            "packed grid searches compared with searches that fit one by one",
            "benchmarks.search.command",
        ),
        Program(
            "tables",
            "the estimators for tables compared with gradient boosting and other "
            "networks",
            "benchmarks.frames.command",
        ),
        Program(
            "speed",
            "seconds and memory compared with peers and hand-written loops",
            "benchmarks.speed.command",
        ),
        Program(
            "gpu",
            "correctness, waits, speed and memory on a GPU",
            "benchmarks.gpu.command",
        ),
    )
}

# Programs that show results and measure nothing.
TOOLS: dict[str, Program] = {
    tool.name: tool
    for tool in (
        Program(
            "report",
            "every stored run on one HTML page",
            "benchmarks.report.command",
        ),
        Program(
            "pictures",
            "every display, drawn for models of compare",
            "benchmarks.pictures.command",
        ),
    )
}
