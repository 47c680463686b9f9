"""Small fitted networks, and figures that no screen shows."""

import warnings

import matplotlib as mpl
import pytest
from sklearn.datasets import load_digits

from skmlp.neural_network import CNNClassifier, MLPClassifier

mpl.use("Agg")


@pytest.fixture(scope="session")
def digits():
    """300 gray images of 8x8 pixels in [0, 1], and their labels."""
    data = load_digits()
    return data.images[:300] / 16, data.target[:300]


@pytest.fixture(scope="session")
def mlp(digits):
    """MLP of 12 hidden units on flat samples, with validation scores of 6 epochs."""
    X, y = digits
    model = MLPClassifier(
        12,
        max_iter=6,
        learning_rate_init=0.05,
        early_stopping=True,
        random_state=0,
    )
    with warnings.catch_warnings(action="ignore"):
        return model.fit(X.reshape(300, -1), y)


@pytest.fixture(scope="session")
def cnn(digits):
    """CNN of two convolutions, with pooling after each."""
    model = CNNClassifier((4, 6), hidden_layer_sizes=(10,), max_iter=3, random_state=0)
    with warnings.catch_warnings(action="ignore"):
        return model.fit(*digits)
