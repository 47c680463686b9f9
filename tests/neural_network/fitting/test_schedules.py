"""Schedules, solvers and gradient clipping match torch's own."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skmlp.neural_network import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# These are the defaults of `make_model` and `train_with_torch`.
BATCH, EPOCHS, LEARNING_RATE = 32, 6, 0.05

X, y = load_digits(return_X_y=True)
X, y = X[:200] / 16, y[:200]
cross_entropy = partial(F.cross_entropy, reduction="none")


PER_EPOCH = -(-len(X) // BATCH)
STEPS = EPOCHS * PER_EPOCH


def step_per_epoch(make):
    """Return a scheduler that is called for every batch and steps after each epoch."""

    class Stepper:
        def __init__(self, optimizer):
            self.scheduler, self.calls = make(optimizer), 0

        def step(self):
            self.calls += 1
            if self.calls % PER_EPOCH == 0:
                self.scheduler.step()

    return Stepper


def warm_up(then, n_steps):
    """Return a linear rise to the learning rate, followed by another schedule."""

    def make(optimizer):
        rise = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: (step + 1) / (n_steps + 1)
        )
        return torch.optim.lr_scheduler.SequentialLR(
            optimizer, [rise, then(optimizer)], milestones=[n_steps]
        )

    return make


SCHEDULES = {
    "cosine": (
        {"learning_rate": "cosine"},
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS),
    ),
    "onecycle": (
        {"learning_rate": "onecycle"},
        lambda o: torch.optim.lr_scheduler.OneCycleLR(
            o, LEARNING_RATE, total_steps=STEPS, cycle_momentum=False
        ),
    ),
    "step": (
        {"learning_rate": "step", "step_size": 2, "gamma": 0.3},
        step_per_epoch(
            lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=2, gamma=0.3)
        ),
    ),
    "warm-up": (
        {"warmup_epochs": 2},
        warm_up(
            lambda o: torch.optim.lr_scheduler.ConstantLR(o, factor=1.0), 2 * PER_EPOCH
        ),
    ),
    "warm-up, then cosine": (
        {"warmup_epochs": 2, "learning_rate": "cosine"},
        warm_up(
            lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(
                o, STEPS - 2 * PER_EPOCH
            ),
            2 * PER_EPOCH,
        ),
    ),
}


@pytest.mark.parametrize("case", SCHEDULES.values(), ids=list(SCHEDULES))
def test_schedules_match_torch(case, make_model, train_with_torch, assert_matches):
    params, scheduler = case
    model = make_model(**params).fit(X, y)
    assert_matches(
        model, train_with_torch(X, y, cross_entropy, 10, scheduler=scheduler)
    )


@pytest.mark.parametrize("case", SCHEDULES.values(), ids=list(SCHEDULES))
def test_schedules_match_torch_with_rmsprop(
    case, make_model, train_with_torch, assert_matches
):
    params, scheduler = case
    model = make_model(
        solver="rmsprop", learning_rate_init=LEARNING_RATE, **params
    ).fit(X, y)
    reference = train_with_torch(
        X,
        y,
        cross_entropy,
        10,
        optimizer=lambda p: torch.optim.RMSprop(p, lr=LEARNING_RATE),
        scheduler=scheduler,
    )
    assert_matches(model, reference)


# Solvers that scikit-learn does not have

SOLVERS = {
    "nadam": lambda p: torch.optim.NAdam(p, lr=LEARNING_RATE),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=LEARNING_RATE / 10),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=LEARNING_RATE),
    "adadelta": lambda p: torch.optim.Adadelta(p, lr=LEARNING_RATE),
}


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_match_torch(solver, make_model, train_with_torch, assert_matches):
    rate = SOLVERS[solver]([torch.zeros(1)]).param_groups[0]["lr"]
    model = make_model(solver=solver, alpha=0.5, learning_rate_init=rate).fit(X, y)
    reference = train_with_torch(
        X, y, cross_entropy, 10, optimizer=SOLVERS[solver], alpha=0.5
    )
    assert_matches(model, reference)


def test_optimizer_params_reach_torch_optimizer(
    make_model, train_with_torch, assert_matches
):
    given = {"alpha": 0.9, "momentum": 0.5}
    model = make_model(solver="rmsprop", optimizer_params=given).fit(X, y)
    reference = train_with_torch(
        X,
        y,
        cross_entropy,
        10,
        optimizer=lambda p: torch.optim.RMSprop(p, lr=LEARNING_RATE, **given),
    )
    assert_matches(model, reference)


# Clipping


@pytest.mark.parametrize("norm", [0.05, 0.3, 1e6])
def test_gradient_clipping_matches_torch(
    norm, make_model, train_with_torch, assert_matches
):
    model = make_model(max_grad_norm=norm).fit(X, y)
    assert_matches(model, train_with_torch(X, y, cross_entropy, 10, clip=norm))


def test_gradient_clipping_keeps_training_finite(diabetes, make_model):
    model = make_model(MLPRegressor, learning_rate_init=0.5, max_grad_norm=0.1)
    X, y = (array[:200] for array in diabetes)
    assert np.isfinite(model.fit(X * 1000, y).loss_curve_).all()
    with pytest.raises(ValueError, match="lower learning_rate_init or scale X"):
        model.set_params(max_grad_norm=None).fit(X * 1000, y)


@pytest.mark.parametrize(
    ("schedule", "warns"),
    [("constant", True), ("step", True), ("cosine", False), ("onecycle", False)],
)
def test_finished_schedule_does_not_warn_about_convergence(schedule, warns):
    model = MLPClassifier(4, learning_rate=schedule, max_iter=2, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X[:50], y[:50])
    assert any(w.category is ConvergenceWarning for w in caught) is warns
