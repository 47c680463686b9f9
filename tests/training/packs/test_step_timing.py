"""Steps that are timed before training do not change it."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from skmlp.neural_network import MLPClassifier
from skmlp.training.packs.step_timing import time_pack_step, time_single_step
from skmlp.training.trainer import train

X, Y = load_iris(return_X_y=True)


def make_members(solver):
    members = []
    for seed in range(3):
        estimator = MLPClassifier(
            5,
            solver=solver,
            dropout=0.5,
            batch_norm=True,
            batch_size=40,
            max_iter=3,
            random_state=seed,
            learning_rate="cosine",
        )
        inputs = estimator._check_fit_inputs(X, Y)
        members.append(estimator._prepare_training(inputs))
    return members


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_timed_steps_do_not_change_training(solver):
    timed, fresh = make_members(solver), make_members(solver)
    assert 0 < time_single_step(timed[0]) < 60
    assert 0 < time_pack_step(timed) < 60
    for one, other in zip(timed, fresh, strict=True):
        for member in (one, other):
            train(member)
        assert torch.equal(one.net.flat_.values, other.net.flat_.values)
        buffers = one.net.module_.buffers(), other.net.module_.buffers()
        assert all(map(torch.equal, *buffers))
        np.testing.assert_array_equal(
            one.net.monitor.loss_curve, other.net.monitor.loss_curve
        )
