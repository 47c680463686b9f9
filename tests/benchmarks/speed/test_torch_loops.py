"""The hand-written loops train the networks that they are compared with."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from benchmarks.speed.torch_loops import make_module, train_best, train_obvious
from benchmarks.speed.workloads import (
    COMPARE_ROW_7,
    FASHION_CNN,
    MLP,
    WORKLOADS,
    Network,
)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y.astype(np.int64)


@pytest.mark.parametrize("loop", [train_obvious, train_best])
@pytest.mark.parametrize(
    "network",
    [
        Network(),
        Network(hidden=()),
        Network(solver="sgd", alpha=0.0),
        Network(convolutions=(4, 8), strides=(1, 1), pool=True),
        Network((16,), (4, 8), 3, (2, 1), solver="sgd"),
    ],
    ids=["mlp", "softmax", "sgd", "pooled", "strided"],
)
def test_loss_decreases_on_digits(loop, network, digits):
    torch.manual_seed(0)
    rate = 0.01 if network.solver == "adam" else 0.1
    eager = replace(network, learning_rate=rate, batch_size=32)
    curve = loop(*digits, eager, 4)
    assert len(curve) == 4
    assert curve[-1] < 0.5 * curve[0] < 0.5 * 2.5


def test_both_loops_reach_similar_losses(digits):
    curves = []
    for loop in (train_obvious, train_best):
        torch.manual_seed(0)
        curves.append(loop(*digits, MLP, 5))
    # The batches differ, and only one of the losses includes the penalty.
    np.testing.assert_allclose(*curves, rtol=0.15)


def test_networks_have_the_parameters_of_their_experiments():
    def count(network):
        return sum(p.numel() for p in make_module(network, 784).parameters())

    assert count(MLP) == 101_770
    assert count(COMPARE_ROW_7) == 286_940
    assert count(FASHION_CNN) == 160 + 8_256 + 3_137 * 128 + 1_290


def test_pooling_before_relu_gives_the_same_result():
    X = torch.randn(5, 1, 28, 28)
    usual, early = (make_module(FASHION_CNN, 784, first) for first in (False, True))
    for ours, theirs in zip(early.parameters(), usual.parameters(), strict=True):
        ours.data.copy_(theirs.data)
    torch.testing.assert_close(early(X), usual(X))


def test_workload_names_are_unique():
    names = [work.name for work in WORKLOADS]
    assert len(set(names)) == len(names)
    for work in WORKLOADS:
        assert set(work.targets) <= set(work.contestants)
