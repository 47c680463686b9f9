"""Data, estimators, callbacks and comparisons that several tests share."""

import numpy as np
import pytest
import sklearn.neural_network
from numpy.testing import assert_allclose
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.preprocessing import scale
from skorch.callbacks import Callback

import skmlp.neural_network
from skmlp.neural_network import MLPClassifier
from skmlp.training.steps import selection


@pytest.fixture(autouse=True)
def fast_bfloat16(monkeypatch):
    """Let every processor pass for one with instructions for bfloat16."""
    monkeypatch.setattr(selection, "bfloat16_is_fast", lambda: True)


@pytest.fixture(scope="session")
def digits():
    """300 digits of 8x8 pixels in [0, 1], and their labels."""
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16, y[:300]


@pytest.fixture(scope="session")
def digits32(digits):
    """The same digits in float32."""
    X, y = digits
    return X.astype(np.float32), y


@pytest.fixture(scope="session")
def iris():
    """150 irises of standardized features, and their species."""
    X, y = load_iris(return_X_y=True)
    return scale(X), y


@pytest.fixture(scope="session")
def diabetes():
    """442 patients of standardized features, and their standardized target."""
    X, y = load_diabetes(return_X_y=True)
    return scale(X), scale(y)


@pytest.fixture(scope="session")
def mlp():
    """Constructor of a small classifier; its arguments replace the defaults."""

    def make(**params):
        defaults = {"hidden_layer_sizes": (8,), "max_iter": 6, "batch_size": 32}
        return MLPClassifier(**defaults | {"random_state": 0} | params)

    return make


@pytest.fixture(scope="session")
def make_both():
    """Constructor of scikit-learn's and our estimator of one name."""

    def make(name, **params):
        modules = sklearn.neural_network, skmlp.neural_network
        return [getattr(module, name)(**params) for module in modules]

    return make


@pytest.fixture(scope="session")
def assert_equal_weights():
    """Comparison of the weights and biases of two networks, to the bit by default."""

    def assert_equal(model, other, rtol=0.0, atol=0.0):
        for name in ("coefs_", "intercepts_"):
            for actual, expected in zip(
                getattr(model, name), getattr(other, name), strict=True
            ):
                assert_allclose(actual, expected, rtol=rtol, atol=atol)

    return assert_equal


@pytest.fixture(scope="session")
def interrupt_at():
    """Class of a callback that presses Ctrl-C when an epoch begins."""
    return InterruptAt


class InterruptAt(Callback):
    """Press Ctrl-C when epoch number `epoch` begins."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt
