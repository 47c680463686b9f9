"""L-BFGS minimizes the penalized loss over the training set."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from skmlp.training import lbfgs, losses
from skmlp.training.data.batches import BatchLoader
from skmlp.training.data.device_data import DeviceData
from skmlp.training.modules.layers import build_mlp, initialize
from skmlp.training.net import Net
from skmlp.training.run import TrainingRun
from skmlp.training.schedules import Schedule
from skmlp.training.stopping import Monitor


@pytest.fixture
def linear_problem():
    random_state = np.random.RandomState(0)
    X = random_state.normal(size=(40, 3))
    y = X @ [1.0, -2.0, 0.5] + 3 + random_state.normal(size=40)
    return X, y, random_state.uniform(0.1, 2, size=40)


def make(X, y, weight=None, batch_size=None, alpha=0.0, index=None):
    network = build_mlp(X.shape[1], [], 1).double()
    initialize(network, "auto", "relu", np.random.RandomState(0))
    net = Net(
        network,
        losses.SquaredError(),
        solver="lbfgs",
        make_optimizer=None,
        schedule=Schedule("constant", 0.1),
        monitor=Monitor(),
        alpha=alpha,
    ).initialize()
    target = torch.from_numpy(y)[:, None]
    rows = DeviceData(X, target, weight, torch.float64, torch.device("cpu"), index)
    return net, BatchLoader(rows, batch_size or len(rows))


def minimize(problem, max_iter=200, tol=1e-10):
    """Minimize the loss of a net on its batches."""
    run = TrainingRun(*problem, None, max_iter)
    return lbfgs.minimize(run, max_fun=1000, tol=tol)


def ridge(X, y, weight, alpha):
    """Minimize sum of w (y - Xb)^2 / 2 + alpha / 2 |b|^2 in closed form."""
    design = np.column_stack([X, np.ones(len(X))])
    penalty = alpha * np.diag([1.0] * X.shape[1] + [0.0])
    weighted = design * weight[:, None]
    return np.linalg.solve(weighted.T @ design + penalty, weighted.T @ y)


@pytest.mark.parametrize("alpha", [0.0, 5.0])
@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize("weighted", [False, True])
def test_lbfgs_minimizes_a_penalized_linear_model(
    linear_problem, weighted, batch_size, alpha
):
    X, y, weight = linear_problem
    net, train = make(X, y, weight if weighted else None, batch_size, alpha)
    n_iter, loss = minimize((net, train))
    expected = ridge(X, y, weight if weighted else np.ones(40), alpha)
    output = net.module_.output
    solutions = np.append(output.weight.detach(), output.bias.detach())
    # It stops if the loss changes by 2e-9. The parameters then differ by its root.
    np.testing.assert_allclose(solutions, expected, rtol=5e-5)
    w = weight / weight.sum() if weighted else np.full(40, 1 / 40)
    total = weight.sum() if weighted else 40
    residual = y - X @ expected[:-1] - expected[-1]
    objective = 0.5 * (w @ residual**2 + alpha * expected[:-1] @ expected[:-1] / total)
    assert loss == pytest.approx(objective, rel=1e-8)
    assert 0 < n_iter < 200


def test_samples_without_weight_do_not_count(linear_problem):
    X, y, _ = linear_problem
    weight = (np.arange(40) >= 14).astype(float)  # two batches without weight
    solutions = []
    for net, train in (make(X, y, weight, 7, 1.0), make(X[14:], y[14:], alpha=1.0)):
        minimize((net, train))
        solutions.append(net.module_.output.weight.detach())
    torch.testing.assert_close(*solutions, rtol=1e-8, atol=1e-10)


def test_unfinished_minimization_warns(linear_problem):
    X, y, _ = linear_problem
    net, train = make(X, y)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        n_iter, _ = minimize((net, train), max_iter=1, tol=1e-12)
    assert n_iter == 1


def test_minimized_network_is_in_evaluation_mode(linear_problem):
    X, y, _ = linear_problem
    net, train = make(X, y)
    minimize((net, train), tol=1e-8)
    assert not net.module_.training


def test_loss_is_that_of_the_training_set(linear_problem):
    X, y, weight = linear_problem
    kept = np.arange(5, 30)
    _, loss = minimize(make(X, y, weight, alpha=1.0, index=kept))
    alone = make(X[kept], y[kept], weight[kept], alpha=1.0)
    assert loss == pytest.approx(minimize(alone)[1])
