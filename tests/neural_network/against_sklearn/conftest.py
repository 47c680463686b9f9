"""Data sets by name, and scikit-learn's and our estimator for each of them."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

CLASSES = ("digits", "iris", "breast cancer", "digits, three labels each")


def _load(name):
    """Return X and y of a data set."""
    if name == "iris":
        return load_iris(return_X_y=True)
    if name.startswith("digits"):
        X, y = load_digits(return_X_y=True)
        X, y = X[:500] / 16, y[:500]
        if name == "digits":
            return X, y
        return X, np.column_stack([y % 2 == 0, y > 4, y == 0]).astype(int)
    if name == "breast cancer":
        X, y = load_breast_cancer(return_X_y=True)
        return scale(X), y
    X, y = load_diabetes(return_X_y=True)
    if name == "counts":
        return scale(X), np.round(y / 50)
    X, y = scale(X), scale(y)
    return X, (y if name == "diabetes" else np.column_stack([y, np.abs(y)]))


@pytest.fixture(scope="session")
def load():
    """Function that returns X and y of a data set by its name."""
    return _load


@pytest.fixture(scope="session")
def make_models(make_both):
    """Constructor of scikit-learn's and our estimator for a data set."""

    def make(data, **params):
        if data == "counts":
            params["loss"] = "poisson"
        name = "MLPClassifier" if data in CLASSES else "MLPRegressor"
        return make_both(name, **params)

    return make


@pytest.fixture(scope="session")
def fit_both(make_models):
    """Function that fits scikit-learn's and our estimator for 20 epochs."""

    def fit(data, X, y, sample_weight=None, **params):
        weight = () if sample_weight is None else (sample_weight,)
        models = make_models(data, max_iter=20, random_state=3, **params)
        # Twenty epochs are few; test_messages.py compares the warnings.
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            return [model.fit(X, y, *weight) for model in models]

    return fit
