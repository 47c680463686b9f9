"""Bounds of the waits, the launches and the recordings of training on a GPU."""

from functools import cache
from pathlib import Path

import pytest

from simulated_cuda import report, workloads
from simulated_cuda.workloads import MEMBERS, WORKLOADS

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


def test_step_of_a_pack_with_dropout_has_few_operations_whatever_the_members():
    plain, dropout = count("pack"), count("pack, dropout")
    n_layers = 2
    assert dropout.graph_operations <= 12 * n_layers
    assert dropout.graph_operations - plain.graph_operations <= 4


def test_readme_has_the_stored_counts(capsys):
    report.main([])
    readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out in readme
