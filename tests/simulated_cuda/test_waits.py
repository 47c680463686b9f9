"""Bounds of the waits, the launches and the recordings of training on a GPU."""

import pytest

from simulated_cuda.workloads import MEMBERS, WORKLOADS, count


@pytest.mark.parametrize("workload", [w for w in WORKLOADS if w.startswith("pack")])
def test_packs_wait_a_few_times_an_epoch_for_all_members(workload):
    counts = count(workload)
    assert counts.waits <= 3
    # The steps of an epoch, and the launches of a step. Different betas need a kernel
    # of Adam for each member.
    steps, launches = 8, 17 if workload == "pack, different betas" else 15
    assert counts.launches <= steps * launches
    assert counts.graphs < MEMBERS


@pytest.mark.parametrize("workload", [w for w in WORKLOADS if w.startswith("MLP")])
def test_single_networks_wait_a_few_times_an_epoch(workload):
    assert count(workload).waits <= 3


def test_dropout_in_packs_adds_few_operations_whatever_the_members():
    plain, dropout = count("pack"), count("pack, dropout")
    assert dropout.graph_operations - plain.graph_operations <= 4
