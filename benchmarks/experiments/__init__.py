"""The registry of experiments and programs, in the order in which they are listed."""

from benchmarks._experiment import Experiment, Program
from benchmarks.experiments.activations import ACTIVATIONS_AND_INITIALISERS
from benchmarks.experiments.capacity import CAPACITY
from benchmarks.experiments.cifar10_mlp import CIFAR10_MLP
from benchmarks.experiments.compare import COMPARE
from benchmarks.experiments.continual import CONTINUAL
from benchmarks.experiments.dropin import DROPIN
from benchmarks.experiments.ensemble import ENSEMBLE
from benchmarks.experiments.fashion_cnn import FASHION_CNN
from benchmarks.experiments.fashion_mlp import FASHION_MLP
from benchmarks.experiments.hidden_units import HIDDEN_UNITS
from benchmarks.experiments.image_folder import IMAGE_FOLDER
from benchmarks.experiments.in_keras import IN_KERAS
from benchmarks.experiments.normalization import NORMALIZATION
from benchmarks.experiments.open_choices import OPEN_CHOICES
from benchmarks.experiments.optimizers import OPTIMIZERS
from benchmarks.experiments.record import RECORDS
from benchmarks.experiments.tabular import TABULAR

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        COMPARE,
        *OPEN_CHOICES,
        FASHION_MLP,
        FASHION_CNN,
        NORMALIZATION,
        HIDDEN_UNITS,
        CAPACITY,
        OPTIMIZERS,
        ACTIVATIONS_AND_INITIALISERS,
        CONTINUAL,
        CIFAR10_MLP,
        IMAGE_FOLDER,
        TABULAR,
        ENSEMBLE,
        *RECORDS,
        *IN_KERAS,
        DROPIN,
    )
}

PROGRAMS: dict[str, Program] = {
    program.name: program
    for program in (
        Program(
            "search",
            "packed grid searches beside those that fit one by one",
            "benchmarks.search._command",
        ),
        Program(
            "speed",
            "seconds and memory beside peers' and hand-written loops'",
            "benchmarks.speed._command",
        ),
    )
}

# Programs that measure nothing: they show.
TOOLS: dict[str, Program] = {
    tool.name: tool
    for tool in (
        Program(
            "report",
            "every stored run on one HTML page; of --out, or the committed ones",
            "benchmarks.report._command",
        ),
        Program(
            "pictures",
            "every display, drawn of models of compare",
            "benchmarks.pictures._command",
        ),
    )
}
