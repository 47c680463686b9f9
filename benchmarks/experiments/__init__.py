"""The registry of experiments, in the order in which they are listed."""

from benchmarks._experiment import Experiment
from benchmarks.experiments.compare import COMPARE
from benchmarks.experiments.ensemble import ENSEMBLE
from benchmarks.experiments.fashion_cnn import FASHION_CNN
from benchmarks.experiments.fashion_mlp import FASHION_MLP
from benchmarks.experiments.record import RECORDS

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (COMPARE, FASHION_MLP, FASHION_CNN, ENSEMBLE, *RECORDS)
}
