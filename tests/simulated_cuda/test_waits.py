"""Bounds of the waits, the launches and the recordings of training on a GPU."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from simulated_cuda import SimulatedCuda, report, workloads
from simulated_cuda.workloads import MEMBERS, WORKLOADS
from skmlp.training.data.device_tensors import to_dense_aligned

count = cache(workloads.count)


@pytest.mark.parametrize("workload", [w for w in WORKLOADS if w.startswith("pack")])
def test_packs_wait_a_few_times_an_epoch_for_all_members(workload):
    counts = count(workload)
    assert counts.waits <= 3
    assert counts.waits_per_step == 0
    assert counts.graphs < MEMBERS


@pytest.mark.parametrize("workload", [w for w in WORKLOADS if w.startswith("MLP")])
def test_single_networks_wait_a_few_times_an_epoch(workload):
    counts = count(workload)
    assert counts.waits <= 3
    assert counts.waits_per_step == 0


# The members of the last one end in different epochs.
@pytest.mark.parametrize("workload", [w for w in WORKLOADS if "lengths" not in w])
def test_only_graphs_launch_the_work_of_a_step(workload):
    counts = count(workload)
    assert counts.launches_per_step == 0
    assert counts.graphs == 1


# README.md lists the operations.
@pytest.mark.parametrize("workload", ["MLP", "MLP, cosine", "MLP, early stopping"])
def test_step_of_one_network_has_few_operations(workload):
    assert count(workload).graph_operations <= 9


def test_augmentation_has_no_operations_of_a_step():
    plain, augmented = count("CNN"), count("CNN, RandomAffine")
    assert augmented.graph_operations == plain.graph_operations
    assert augmented.launches_per_step == plain.launches_per_step == 0


def test_step_of_a_pack_with_dropout_has_few_operations_whatever_the_members():
    plain, dropout = count("pack"), count("pack, dropout")
    n_layers = 2
    assert dropout.graph_operations <= 12 * n_layers
    assert dropout.graph_operations - plain.graph_operations <= 4


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_later_predictions_copy_samples_and_results_only(dtype):
    samples = workloads.X[:50].astype(dtype)
    with SimulatedCuda() as cuda:
        model = WORKLOADS["MLP"](2, workloads.STEPS)
        first = model.predict(samples)
        cuda.record.clear()
        assert (model.predict(samples) == first).all()
    # The samples, the predictions, and whether floats are finite.
    assert cuda.record.n_waits == (2 if dtype is np.uint8 else 3)


@pytest.mark.parametrize(
    ("dtype", "n_casts"), [(np.uint8, 1), (np.float32, 0), (np.float64, 0)]
)
def test_only_bytes_are_cast_on_the_device(dtype, n_casts):
    samples = workloads.X[:50].astype(dtype)
    with SimulatedCuda() as cuda:
        x = to_dense_aligned(samples, torch.float32, torch.device("cuda"))
        assert x.is_cuda
    assert x.dtype == torch.float32
    assert cuda.record.launches["_to_copy"] == n_casts
    assert cuda.record.n_waits == 1


def test_readme_has_the_stored_counts(capsys):
    report.main([])
    readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out in readme
