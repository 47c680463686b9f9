"""Data, networks and comparisons of searches that several tests share."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import CNNClassifier, MLPClassifier, SoftmaxRegression


@pytest.fixture(scope="session")
def digits():
    """203 digits of 8x8 pixels in [0, 1]; 203 is no multiple of usual fold numbers."""
    X, y = load_digits(return_X_y=True)
    return X[:203] / 16, y[:203]


@pytest.fixture(scope="session")
def more_digits():
    """300 digits for searches by successive halving."""
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16, y[:300]


@pytest.fixture(scope="session")
def iris():
    """150 irises of standardized features in random order."""
    X, y = load_iris(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(y))
    return StandardScaler().fit_transform(X[order]), y[order]


@pytest.fixture(scope="session")
def mlp():
    """Constructor of a small MLP; its arguments replace the defaults."""

    def make(**params):
        defaults = {"max_iter": 6, "batch_size": 32, "random_state": 3}
        return MLPClassifier(12, **(defaults | params))

    return make


@pytest.fixture(scope="session")
def softmax():
    """Constructor of a softmax regression; its arguments replace the defaults."""

    def make(**params):
        return SoftmaxRegression(**({"max_iter": 6, "random_state": 0} | params))

    return make


@pytest.fixture(scope="session")
def cnn():
    """Constructor of a small CNN; its arguments replace the defaults."""

    def make(**params):
        defaults = {"conv_channels": (3, 4), "hidden_layer_sizes": 6, "max_iter": 3}
        defaults |= {"batch_size": 32, "random_state": 3}
        return CNNClassifier(**(defaults | params))

    return make


@pytest.fixture(scope="session")
def fit_both():
    """Function that fits scikit-learn's grid search and the packed one."""

    def fit(estimator, grid, X, y, fit_params=None, **options):
        return [
            Search(clone(estimator), grid, **options).fit(X, y, **(fit_params or {}))
            for Search in (GridSearchCV, PackedGridSearchCV)
        ]

    return fit


@pytest.fixture(scope="session")
def weights_of():
    """Function that returns weights and biases of a network, also in a Pipeline."""
    return _weights_of


def _weights_of(estimator):
    network = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    return [*network.coefs_, *network.intercepts_]


@pytest.fixture(scope="session")
def assert_same_search():
    """Comparison of two fitted searches; everything except times must be equal."""

    def assert_same(expected, actual, rtol=0.0, atol=1e-8):
        assert list(actual.cv_results_) == list(expected.cv_results_)
        for name, values in expected.cv_results_.items():
            if re.search("_(test|train)_", name) and "rank" not in name:
                assert_allclose(
                    actual.cv_results_[name], values, rtol, atol, err_msg=name
                )
            elif not name.endswith("_time"):
                assert_array_equal(actual.cv_results_[name], values, err_msg=name)
        assert actual.best_params_ == expected.best_params_
        assert actual.best_index_ == expected.best_index_
        for actual_weights, expected_weights in zip(
            _weights_of(actual.best_estimator_),
            _weights_of(expected.best_estimator_),
            strict=True,
        ):
            assert_allclose(actual_weights, expected_weights, rtol, atol)

    return assert_same


@pytest.fixture
def count_packed(capsys):
    """Function that fits a search and returns the numbers of packed and of all fits."""

    def count(search, X, y):
        search.set_params(verbose=1).fit(X, y)
        line = re.search(
            r"(\d+) of (\d+) fits were trained in packs(, the others one by one)?",
            capsys.readouterr().out,
        )
        n_packed, n_fits = int(line[1]), int(line[2])
        assert bool(line[3]) == (n_packed < n_fits)
        return n_packed, n_fits

    return count
