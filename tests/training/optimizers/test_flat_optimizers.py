"""Updates match scikit-learn's formulas in NumPy, or torch for other solvers."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skmlp.training.optimizers.factory import NAMES, make_optimizer
from skmlp.training.optimizers.flat_optimizers import adam_step, flush_to_zero


class NumpySGD:
    """Velocity is m * velocity - lr * g. Nesterov looks one step further ahead."""

    def __init__(self, momentum, nesterov):
        self.momentum, self.nesterov, self.velocity = momentum, nesterov, 0.0

    def move(self, g, lr):
        self.velocity = self.momentum * self.velocity - lr * g
        if self.nesterov:
            return self.momentum * self.velocity - lr * g
        return self.velocity


class NumpyAdam:
    """The step is lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon)."""

    def __init__(self, beta_1, beta_2, epsilon):
        self.betas, self.epsilon = (beta_1, beta_2), epsilon
        self.t, self.m, self.v = 0, 0.0, 0.0

    def move(self, g, lr):
        beta_1, beta_2 = self.betas
        self.t += 1
        self.m = beta_1 * self.m + (1 - beta_1) * g
        self.v = beta_2 * self.v + (1 - beta_2) * g**2
        rate = lr * np.sqrt(1 - beta_2**self.t) / (1 - beta_1**self.t)
        return -rate * self.m / (np.sqrt(self.v) + self.epsilon)


def make(solver, values, lr=0.1, **params):
    defaults = {
        "momentum": 0.9,
        "nesterov": True,
        "betas": (0.9, 0.999),
        "eps": 1e-8,
        "params": None,
    }
    flat = SimpleNamespace(values=values)
    return make_optimizer(solver, flat, lr=lr, **(defaults | params))


# 'muon' is tested with networks, which have matrices.
_OF_VECTORS = [name for name in NAMES if name != "muon"]


def vector(seed=0, n=5):
    values = torch.from_numpy(np.random.RandomState(seed).normal(size=n))
    values.grad = torch.zeros_like(values)
    return values


def agree(optimizer, values, reference, rates, rtol=1e-11):
    """Compare both on one sequence of gradients and learning rates."""
    expected = values.numpy().copy()
    random_state = np.random.RandomState(1)
    for rate in rates:
        gradient = random_state.normal(size=len(expected))
        optimizer.param_groups[0]["lr"] = rate
        values.grad.copy_(torch.from_numpy(gradient))
        optimizer.step()
        expected = expected + reference.move(gradient, rate)
        np.testing.assert_allclose(values.numpy(), expected, rtol=rtol, atol=1e-12)


rates = st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=12)


@given(rates, st.sampled_from([0.0, 0.5, 0.9]), st.booleans())
def test_sgd_matches_scikit_learn_at_changing_learning_rates(rates, momentum, nesterov):
    values = vector()
    optimizer = make("sgd", values, momentum=momentum, nesterov=nesterov)
    agree(optimizer, values, NumpySGD(momentum, nesterov), rates)


@given(
    rates,
    st.floats(0, 0.99),
    st.floats(0.1, 0.9999),
    st.sampled_from([1e-8, 1e-3, 1.0]),
)
def test_adam_matches_scikit_learn_at_changing_learning_rates(
    rates, beta_1, beta_2, epsilon
):
    values = vector()
    optimizer = make("adam", values, betas=(beta_1, beta_2), eps=epsilon)
    agree(optimizer, values, NumpyAdam(beta_1, beta_2, epsilon), rates, rtol=1e-9)


def test_adam_accepts_beta_2_of_zero():
    values = vector()
    optimizer = make("adam", values, betas=(0.9, 0.0))
    agree(optimizer, values, NumpyAdam(0.9, 0.0, 1e-8), [0.1] * 5, rtol=1e-9)


def test_adam_from_zero_ignores_the_values():
    group = {"lr": 1.0, "betas": (0.9, 0.999), "eps": 1e-8}
    gradient, moments = vector(1), [vector(2), vector(3).abs()]
    moved = []
    for values, overwrite_with_update in ((torch.zeros(5), False), (vector(), True)):
        values = values.to(gradient.dtype)
        both = tuple([moment.clone()] for moment in moments)
        step = torch.tensor(4.0), 4
        adam_step([values], [gradient], both, *step, group, 1, overwrite_with_update)
        moved.append(values)
    assert torch.equal(*moved)


@pytest.mark.parametrize(
    ("solver", "theirs"),
    [
        ("nadam", torch.optim.NAdam),
        ("rmsprop", torch.optim.RMSprop),
        ("adagrad", torch.optim.Adagrad),
        ("adadelta", torch.optim.Adadelta),
    ],
)
def test_other_solvers_match_torch(solver, theirs):
    ours, other = vector(), vector()
    steps = [(ours, make(solver, ours, lr=0.05)), (other, theirs([other], lr=0.05))]
    for seed in range(4):
        for values, optimizer in steps:
            values.grad.copy_(vector(seed + 10))
            optimizer.step()
    assert torch.equal(ours, other)
    assert not torch.equal(ours, vector())


def test_optimizer_params_reach_torch():
    optimizer = make("rmsprop", vector(), params={"alpha": 0.5, "centered": True})
    assert optimizer.param_groups[0]["alpha"] == 0.5
    assert optimizer.param_groups[0]["centered"]


@pytest.mark.parametrize("solver", _OF_VECTORS)
def test_loaded_state_continues_training(solver):
    # torch's NAdam does not continue exactly in float64: it loads a product in float32.
    values = vector().float()
    values.grad = torch.zeros_like(values)
    optimizer = make(solver, values)
    for seed in range(3):
        values.grad.copy_(vector(seed))
        optimizer.step()
    saved = copy.deepcopy(optimizer.state_dict())
    resumed = values.clone()
    resumed.grad = values.grad.clone()
    other = make(solver, resumed)
    other.load_state_dict(saved)
    for seed in range(3, 6):
        for v, o in ((values, optimizer), (resumed, other)):
            v.grad.copy_(vector(seed))
            o.step()
    assert torch.equal(values, resumed)


@pytest.mark.parametrize("solver", _OF_VECTORS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_solver_minimizes_a_quadratic(solver, dtype):
    values = torch.tensor([1.0, -2.0], dtype=dtype)
    values.grad = torch.zeros_like(values)
    optimizer = make(solver, values, lr=1.0 if solver == "adadelta" else 0.05)
    for _ in range(200):
        values.grad.copy_(values)
        optimizer.step()
    assert values.dtype == dtype
    assert values.norm() < 2


def test_adam_rarely_computes_with_subnormal_numbers():
    """A penalty decreases weights and moments of a constant feature without end."""
    values, tiny = torch.tensor([0.1, 0.1, -0.1]), torch.finfo(torch.float32).tiny
    optimizer = make("adam", values, lr=1e-3)
    n_steps, n_with_subnormals = 3000, 0
    for _ in range(n_steps):
        values.grad = 3e-6 * values
        values.grad[0] = 1.0
        optimizer.update()
        numbers = torch.cat([values, optimizer.state[values]["exp_avg"]]).abs()
        n_with_subnormals += bool(((numbers > 0) & (numbers < tiny)).any())
    assert n_with_subnormals < 0.01 * n_steps
    assert values[0] < -1.0
    assert values[1:].tolist() == [0.0, 0.0]


def test_flushing_to_zero_keeps_other_numbers():
    inf, nan = float("inf"), float("nan")
    numbers = torch.tensor([1e-20, -1e-20, 0.5, inf, -inf, nan, 0.0])
    flushed = torch.cat([numbers, torch.tensor([1e-27, -1e-38])])
    flush_to_zero(flushed)
    assert torch.equal(flushed[:5], numbers[:5])
    assert flushed[5].isnan()
    assert flushed[6:].tolist() == [0.0, 0.0, 0.0]
