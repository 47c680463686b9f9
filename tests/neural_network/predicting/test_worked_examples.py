"""Estimators reproduce examples that lectures work out by hand."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import nn

from skmlp.neural_network import MLPClassifier, SoftmaxRegression
from skmlp.training.modules.activations import make_activation

# Three irises of three classes, two features each. Row 0 of the weights is the biases.
X = np.array([[1.5, 0.2], [4.7, 1.6], [5.6, 2.2]])
Y = np.array([0, 1, 2])
HIDDEN = np.array([[0, 0], [0.86, -1.04], [0.41, -0.65]])
OUTPUT = np.array([[0, 0, 0], [0.32, 0.25, 0.14], [-0.47, -1.06, 0.063]])


def fitted(model, X, y):
    """Fit for one epoch to get a network of the right sizes."""
    with pytest.warns(UserWarning, match="hasn't converged"):
        return model.set_params(max_iter=1, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def example():
    model = fitted(MLPClassifier(2), X, Y)
    for layer, weights in enumerate((HIDDEN, OUTPUT)):
        model.intercepts_[layer][:] = weights[0]
        model.coefs_[layer][:] = weights[1:]
    return model


def expected_logits():
    hidden = np.maximum(X @ HIDDEN[1:] + HIDDEN[0], 0)
    return hidden @ OUTPUT[1:] + OUTPUT[0]


def cross_entropy(log_probabilities):
    return -log_probabilities[np.arange(3), Y].mean()


def test_forward_pass_matches_numpy(example):
    logits = expected_logits()
    output = example.hidden_activations(X, layer="output")
    np.testing.assert_allclose(output, logits, rtol=0, atol=1e-6)
    np.testing.assert_allclose(
        example.predict_proba(X), softmax(logits, axis=1), rtol=0, atol=1e-6
    )
    loss = cross_entropy(example.predict_log_proba(X))
    assert loss == pytest.approx(cross_entropy(log_softmax(logits, axis=1)), abs=1e-6)


def test_forward_pass_matches_results_of_printed_weights(example):
    logits = [[0.439, 0.343, 0.192], [1.503, 1.175, 0.658], [1.830, 1.430, 0.801]]
    probabilities = [
        [0.372, 0.338, 0.290],
        [0.465, 0.335, 0.200],
        [0.493, 0.331, 0.176],
    ]
    output = example.hidden_activations(X, layer="output")
    np.testing.assert_allclose(output, logits, rtol=0, atol=6e-4)
    np.testing.assert_allclose(
        example.predict_proba(X), probabilities, rtol=0, atol=6e-4
    )
    assert cross_entropy(example.predict_log_proba(X)) == pytest.approx(1.273, abs=6e-4)


def test_forward_pass_is_close_to_results_of_unrounded_weights(example):
    logits = [[0.439, 0.356, 0.195], [1.507, 1.220, 0.670], [1.835, 1.485, 0.816]]
    probabilities = [
        [0.369, 0.340, 0.289],
        [0.458, 0.343, 0.198],
        [0.484, 0.341, 0.174],
    ]
    output = example.hidden_activations(X, layer="output")
    np.testing.assert_allclose(output, logits, rtol=0, atol=0.06)
    np.testing.assert_allclose(
        example.predict_proba(X), probabilities, rtol=0, atol=0.06
    )
    assert cross_entropy(example.predict_log_proba(X)) == pytest.approx(1.269, abs=0.06)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("tanh", [0.761, 0.999, -0.999, 0.995, -0.964]),
        ("logistic", [0.731, 0.993, 0.018, 0.953, 0.119]),
        ("relu", [1, 5, 0, 3, 0]),
        (partial(nn.PReLU, init=0.1), [1, 5, -0.4, 3, -0.2]),
        (partial(nn.LeakyReLU, negative_slope=0.1), [1, 5, -0.4, 3, -0.2]),
        (partial(nn.ELU, alpha=0.1), [1, 5, -0.098, 3, -0.086]),
        ("softplus", [1.313, 5.006, 0.018, 3.048, 0.126]),
    ],
)
def test_activations_match_worked_values(activation, expected):
    z = torch.tensor([1.0, 5.0, -4.0, 3.0, -2.0], dtype=torch.float64)
    module = make_activation(activation).double()
    np.testing.assert_allclose(module(z).detach(), expected, rtol=0, atol=1.1e-3)


@pytest.mark.parametrize(
    ("n_features", "hidden", "n_classes", "expected"),
    [(4, (3,), 3, 27), (4, (3, 2), 3, 32), (784, (128,), 10, 101_770)],
)
def test_parameter_counts_match_worked_values(n_features, hidden, n_classes, expected):
    X = np.zeros((n_classes, n_features))
    model = fitted(MLPClassifier(hidden), X, np.arange(n_classes))
    assert model.n_parameters_ == expected
    counted = sum(a.size for a in [*model.coefs_, *model.intercepts_])
    assert counted == expected


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [(0.5, [0.02, 0.12, 0.86]), (1, [0.09, 0.24, 0.67]), (2, [0.19, 0.31, 0.50])],
)
def test_softmax_with_temperature_matches_worked_values(temperature, expected):
    model = fitted(SoftmaxRegression(temperature=temperature), X, Y)
    model.coefs_[0][:] = 0
    model.intercepts_[0][:] = [1.5, 2.5, 3.5]
    probabilities = model.predict_proba(X)
    exact = softmax(np.array([1.5, 2.5, 3.5]) / temperature)
    np.testing.assert_allclose(probabilities, np.tile(exact, (3, 1)), rtol=0, atol=1e-7)
    # The lecture truncates its figures after two digits.
    np.testing.assert_allclose(probabilities[0], expected, rtol=0, atol=0.01)
    assert model.predict(X).tolist() == [2, 2, 2]


def test_cross_entropy_of_one_sample_matches_worked_value():
    model = fitted(SoftmaxRegression(), X, Y)
    model.coefs_[0][:] = 0
    model.intercepts_[0][:] = np.log([0.2, 0.2, 0.6])
    assert -model.predict_log_proba(X)[0, 2] == pytest.approx(0.511, abs=5e-4)
