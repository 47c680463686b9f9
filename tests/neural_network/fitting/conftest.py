"""A training loop in plain torch, with which fits are compared."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skmlp.neural_network import MLPClassifier

HIDDEN, BATCH, EPOCHS, LEARNING_RATE = 9, 32, 6, 0.05


@pytest.fixture(scope="session")
def make_model():
    """Constructor of an estimator that trains as `train_with_torch` does."""
    return _make_model


@pytest.fixture(scope="session")
def train_with_torch():
    """Training loop that uses nothing of skmlp.

    It draws initial weights as scikit-learn does, then trains with autograd and torch's
    optimizers and learning-rate schedulers.
    """
    return _train


@pytest.fixture(scope="session")
def assert_matches():
    """Comparison of a fitted estimator with the result of `train_with_torch`."""
    return _assert_matches


def _draw_parameters(n_in, n_out):
    """Return weights and biases as scikit-learn draws them with random_state=0."""
    random_state = np.random.RandomState(0)
    drawn = []
    for fan_in, fan_out in ((n_in, HIDDEN), (HIDDEN, n_out)):
        bound = np.sqrt(6 / (fan_in + fan_out))
        drawn.append(random_state.uniform(-bound, bound, (fan_in, fan_out)))
        drawn.append(random_state.uniform(-bound, bound, fan_out))
    return [torch.tensor(array, requires_grad=True) for array in drawn]


def _train(
    features,
    target,
    loss,
    n_out,
    weight=None,
    optimizer=lambda p: torch.optim.SGD(p, lr=LEARNING_RATE),
    scheduler=None,
    clip=None,
    alpha=0.0,
):
    """Train with per-sample losses of `loss`. Return the parameters and loss curve."""
    parameters = _draw_parameters(features.shape[1], n_out)
    w1, b1, w2, b2 = parameters
    optimizer = optimizer(parameters)
    scheduler = scheduler and scheduler(optimizer)
    features, target = torch.tensor(features), torch.as_tensor(target)
    n_samples = len(features)
    weight = torch.ones(n_samples) if weight is None else torch.tensor(weight)
    curve = []
    for _ in range(EPOCHS):
        total = 0.0
        for start in range(0, n_samples, BATCH):
            batch = slice(start, start + BATCH)
            logits = torch.relu(features[batch] @ w1 + b1) @ w2 + b2
            normalized = weight[batch] / weight[batch].sum()
            value = loss(logits, target[batch]) @ normalized.double()
            penalty = 0.5 * alpha * (w1.square().sum() + w2.square().sum())
            value = value + penalty / weight[batch].sum()
            optimizer.zero_grad()
            value.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(parameters, clip)
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            total += value.item() * len(features[batch])
        curve.append(total / n_samples)
    return [p.detach().numpy() for p in parameters], curve


def _assert_matches(model, reference, curve=True):
    parameters, losses = reference
    for name, expected in (
        ("coefs_", parameters[::2]),
        ("intercepts_", parameters[1::2]),
    ):
        for a, b in zip(getattr(model, name), expected, strict=True):
            assert_allclose(a, b, rtol=1e-8, atol=1e-11)
    if curve:
        assert_allclose(model.loss_curve_, losses, rtol=1e-8)


def _make_model(kind=MLPClassifier, **params):
    common = {
        "hidden_layer_sizes": HIDDEN,
        "solver": "sgd",
        "momentum": 0.0,
        "learning_rate_init": LEARNING_RATE,
        "batch_size": BATCH,
        "max_iter": EPOCHS,
        "shuffle": False,
        "alpha": 0.0,
        "random_state": 0,
    }
    return kind(**common | params)
