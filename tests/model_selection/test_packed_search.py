"""Packed searches: scikit-learn's results, attributes and manners."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.cluster import KMeans
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    RandomizedSearchCV,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skmlp.model_selection import PackedGridSearchCV, PackedRandomizedSearchCV
from skmlp.neural_network import (
    CNNClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings(
    # A few epochs each are enough here.
    "ignore::sklearn.exceptions.ConvergenceWarning"
)

RATES = [0.003, 0.03]


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:203] / 16, y[:203]


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(y))
    return StandardScaler().fit_transform(X[order]), y[order]


def mlp(**params):
    defaults = {"max_iter": 6, "batch_size": 32, "random_state": 3}
    return MLPClassifier(12, **(defaults | params))


def softmax(**params):
    return SoftmaxRegression(**({"max_iter": 6, "random_state": 0} | params))


def fit_both(estimator, grid, X, y, fit_params=None, **options):
    """Run scikit-learn's search and the packed one."""
    return [
        Search(clone(estimator), grid, **options).fit(X, y, **(fit_params or {}))
        for Search in (GridSearchCV, PackedGridSearchCV)
    ]


def network_of(estimator):
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def weights_of(estimator):
    network = network_of(estimator)
    return [*network.coefs_, *network.intercepts_]


def assert_same_search(theirs, ours, rtol=0.0, atol=1e-8):
    """All but the times is equal."""
    assert list(theirs.cv_results_) == list(ours.cv_results_)
    for name, values in theirs.cv_results_.items():
        found = ours.cv_results_[name]
        if name.startswith(("split", "mean_test", "std_test", "mean_train")):
            assert_allclose(found, values, rtol=rtol, atol=atol, err_msg=name)
        elif not name.endswith("_time"):
            assert_array_equal(found, values, err_msg=name)
    assert theirs.best_params_ == ours.best_params_
    assert theirs.best_index_ == ours.best_index_
    for one, two in zip(
        weights_of(theirs.best_estimator_),
        weights_of(ours.best_estimator_),
        strict=True,
    ):
        assert_allclose(two, one, rtol=rtol, atol=atol)


def count_packed(search, X, y, capsys, **params):
    """Fit and return how many fits its line says were packed, and of how many."""
    search.set_params(verbose=1).fit(X, y, **params)
    found = re.search(r"(\d+) of (\d+) fits were trained in packs", capsys.readouterr().out)
    return int(found[1]), int(found[2])


# The same scores and weights as scikit-learn's search

SETTINGS = {
    "adam": (mlp(), {"learning_rate_init": RATES, "alpha": [0, 0.1]}),
    "adamw": (mlp(solver="adamw"), {"learning_rate_init": RATES, "alpha": [0, 0.1]}),
    "adam's numbers": (mlp(), {"beta_1": [0.8, 0.9], "epsilon": [1e-8, 1e-4]}),
    "second moment": (mlp(), {"beta_2": [0.9, 0.999], "random_state": [0, 1]}),
    "sgd": (mlp(solver="sgd"), {"learning_rate_init": RATES, "momentum": [0, 0.9]}),
    "plain momentum": (
        mlp(solver="sgd", nesterovs_momentum=False),
        {"momentum": [0.5, 0.9]},
    ),
    "adaptive rate": (
        mlp(solver="sgd", learning_rate="adaptive", n_iter_no_change=1, max_iter=20),
        {"learning_rate_init": [0.1, 1.0], "tol": [0.01, 0.1]},
    ),
    "inverse scaling": (
        mlp(solver="sgd", learning_rate="invscaling"),
        {"learning_rate_init": RATES, "power_t": [0.3, 0.5]},
    ),
    "schedules": (
        mlp(solver="sgd"),
        {"learning_rate": ["constant", "cosine", "onecycle"], "warmup_epochs": [0, 1]},
    ),
    "widths": (mlp(), {"hidden_layer_sizes": [5, (6, 4), 8], "alpha": [0, 0.1]}),
    "activations": (mlp(), {"activation": ["tanh", "logistic", "relu", "gelu"]}),
    "initial weights": (mlp(), {"init": ["auto", "he_normal", "orthogonal"]}),
    "epochs": (mlp(), {"max_iter": [1, 4, 6]}),
    "batches": (mlp(), {"batch_size": [16, 50, "auto"]}),
    "full batches": (mlp(batch_size=1000), {"alpha": [0, 0.1]}),
    "no shuffling": (mlp(shuffle=False), {"alpha": [0, 0.1]}),
    "early stopping": (
        mlp(early_stopping=True, n_iter_no_change=2, max_iter=30),
        {"learning_rate_init": RATES, "tol": [0.001, 0.05]},
    ),
    "last weights": (
        mlp(early_stopping=True, n_iter_no_change=1, restore_best_weights=False),
        {"learning_rate_init": RATES},
    ),
    "refit on all": (
        mlp(early_stopping=True, n_iter_no_change=2, refit_full=True),
        {"learning_rate_init": RATES},
    ),
    "train size": (mlp(train_size=0.5), {"random_state": [0, 1]}),
    "clipped gradients": (mlp(max_grad_norm=0.1), {"learning_rate_init": RATES}),
    "label smoothing": (mlp(), {"label_smoothing": [0.0, 0.1], "alpha": [0, 0.1]}),
    "class weights": (
        mlp(class_weight="balanced"),
        {"class_weight": [None, "balanced", {0: 3.0}], "alpha": [0, 0.1]},
    ),
    "dropout": (mlp(dropout=0.2), {"dropout": [0.2, 0.5], "alpha": [0, 0.1]}),
    "softmax": (softmax(), {"learning_rate_init": RATES, "alpha": [0, 0.1]}),
    "hinge": (softmax(loss="squared_hinge"), {"learning_rate_init": RATES}),
    "lbfgs": (mlp(solver="lbfgs"), {"alpha": [0, 0.1]}),
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1:UserWarning")
def test_search_equals_scikit_learns(name, digits):
    estimator, grid = SETTINGS[name]
    scoring = ["accuracy", "neg_log_loss"]
    if "hinge" in name:
        scoring = ["accuracy", "balanced_accuracy"]
    # 203 rows in 3 folds: none is as long as the next.
    theirs, ours = fit_both(
        estimator, grid, *digits, cv=KFold(3), scoring=scoring, refit="accuracy"
    )
    assert_same_search(theirs, ours)


@pytest.mark.parametrize("name", ["adam", "sgd", "early stopping", "softmax", "widths"])
def test_float32_search_gives_scikit_learns_mean_scores(name, digits):
    X, y = digits
    theirs, ours = fit_both(*SETTINGS[name], X.astype(np.float32), y, cv=3)
    expected, found = (
        search.cv_results_["mean_test_score"] for search in (theirs, ours)
    )
    assert_allclose(found, expected, rtol=0, atol=1e-3)
    assert theirs.best_params_ == ours.best_params_
