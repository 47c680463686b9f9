import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from benchmarks.data.datasets import NAMES
from benchmarks.definitions.experiment import BUNDLED
from benchmarks.experiments import EXPERIMENTS

BEST_NETWORKS = [name for name in EXPERIMENTS if name.startswith("record-")]


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_experiment_is_well_defined(experiment):
    names = [model.name for model in experiment.models]
    assert len(set(names)) == len(names)
    assert experiment.dataset in (*NAMES, BUNDLED)
    assert "\n" not in experiment.summary
    reported = any(model.reported for model in experiment.models)
    assert reported == (experiment.reported_for is not None)


def test_registry_names_are_the_command_lines_names():
    for name, experiment in EXPERIMENTS.items():
        assert name == experiment.name


FIXED = ("fashion-mlp", "fashion-cnn", *BEST_NETWORKS)


@pytest.mark.parametrize("name", FIXED)
def test_fixed_epochs_end_with_the_last_weights(name):
    for model in EXPERIMENTS[name].models:
        params = model.estimator.params
        assert params["n_iter_no_change"] >= params["max_iter"]
        assert "early_stopping" not in params
        assert model.validation is None or not params["restore_best_weights"]


@pytest.mark.parametrize("name", BEST_NETWORKS)
def test_best_networks_have_no_validation_set(name):
    assert [model.validation for model in EXPERIMENTS[name].models] == [None]


def test_best_fashion_cnn_is_a_small_network():
    (model,) = EXPERIMENTS["record-fashion-cnn"].models
    network = model.estimator.build()
    rows = np.zeros((20, 784), np.float32)
    network.set_params(max_iter=1, batch_size=20)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        network.fit(rows, np.arange(20) % 10)
    assert network.n_parameters_ < 600_000
