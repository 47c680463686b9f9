"""Packed grid and randomized searches give scikit-learn's results."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform
from sklearn.base import is_regressor
from sklearn.datasets import load_diabetes
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
)

from skmlp.model_selection import PackedGridSearchCV, PackedRandomizedSearchCV
from skmlp.neural_network import MLPRegressor

pytestmark = pytest.mark.filterwarnings(
    # Tests train for few epochs.
    "ignore::sklearn.exceptions.ConvergenceWarning",
    # scikit-learn warns after every search in which a fit failed.
    "ignore:One or more of the test scores are non-finite:UserWarning",
)

RATES = [0.003, 0.03]


# Networks by fixture and parameters, and the grid of the search.
SETTINGS = {
    "adam": ("mlp", {}, {"learning_rate_init": RATES, "alpha": [0, 0.1]}),
    "adamw": (
        "mlp",
        {"solver": "adamw"},
        {"learning_rate_init": RATES, "alpha": [0, 0.1]},
    ),
    "adam's numbers": ("mlp", {}, {"beta_1": [0.8, 0.9], "epsilon": [1e-8, 1e-4]}),
    "second moment": ("mlp", {}, {"beta_2": [0.9, 0.999], "random_state": [0, 1]}),
    "sgd": (
        "mlp",
        {"solver": "sgd"},
        {"learning_rate_init": RATES, "momentum": [0, 0.9]},
    ),
    "plain momentum": (
        "mlp",
        {"solver": "sgd", "nesterovs_momentum": False},
        {"momentum": [0.5, 0.9]},
    ),
    "adaptive rate": (
        "mlp",
        {
            "solver": "sgd",
            "learning_rate": "adaptive",
            "n_iter_no_change": 1,
            "max_iter": 20,
        },
        {"learning_rate_init": [0.1, 1.0], "tol": [0.01, 0.1]},
    ),
    "inverse scaling": (
        "mlp",
        {"solver": "sgd", "learning_rate": "invscaling"},
        {"learning_rate_init": RATES, "power_t": [0.3, 0.5]},
    ),
    "schedules": (
        "mlp",
        {"solver": "sgd"},
        {"learning_rate": ["constant", "cosine", "onecycle"], "warmup_epochs": [0, 1]},
    ),
    "widths": ("mlp", {}, {"hidden_layer_sizes": [5, (6, 4), 8], "alpha": [0, 0.1]}),
    "activations": ("mlp", {}, {"activation": ["tanh", "logistic", "relu", "gelu"]}),
    "initial weights": ("mlp", {}, {"init": ["auto", "he_normal", "orthogonal"]}),
    "epochs": ("mlp", {}, {"max_iter": [1, 4, 6]}),
    "batches": ("mlp", {}, {"batch_size": [16, 50, "auto"]}),
    "full batches": ("mlp", {"batch_size": 1000}, {"alpha": [0, 0.1]}),
    "no shuffling": ("mlp", {"shuffle": False}, {"alpha": [0, 0.1]}),
    "early stopping": (
        "mlp",
        {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 30},
        {"learning_rate_init": RATES, "tol": [0.001, 0.05]},
    ),
    "last weights": (
        "mlp",
        {"early_stopping": True, "n_iter_no_change": 1, "restore_best_weights": False},
        {"learning_rate_init": RATES},
    ),
    "refit on all": (
        "mlp",
        {"early_stopping": True, "n_iter_no_change": 2, "refit_full": True},
        {"learning_rate_init": RATES},
    ),
    "train size": ("mlp", {"train_size": 0.5}, {"random_state": [0, 1]}),
    "clipped gradients": ("mlp", {"max_grad_norm": 0.1}, {"learning_rate_init": RATES}),
    "label smoothing": ("mlp", {}, {"label_smoothing": [0.0, 0.1], "alpha": [0, 0.1]}),
    "class weights": (
        "mlp",
        {"class_weight": "balanced"},
        {"class_weight": [None, "balanced", {0: 3.0}], "alpha": [0, 0.1]},
    ),
    "class weights, early stopping": (
        "mlp",
        {"class_weight": "balanced", "early_stopping": True, "n_iter_no_change": 2},
        {"max_iter": [30], "learning_rate_init": RATES},
    ),
    "dropout": ("mlp", {"dropout": 0.2}, {"dropout": [0.2, 0.5], "alpha": [0, 0.1]}),
    "batch norm": (
        "mlp",
        {"batch_norm": True},
        {"learning_rate_init": RATES, "alpha": [0, 0.1], "dropout": [0, 0.2]},
    ),
    "batch norm, by sgd": (
        "mlp",
        {"batch_norm": True, "solver": "sgd"},
        {"hidden_layer_sizes": [(8, 6), (5, 7)], "activation": ["tanh", "relu"]},
    ),
    # Training sets have 135, 135 and 136 samples: the last has a batch of one sample.
    "batch norm, one sample": (
        "mlp",
        {"batch_norm": True, "batch_size": 27},
        {"learning_rate_init": RATES, "class_weight": [None, {0: 0.0}]},
    ),
    "batch norm, stopped": (
        "mlp",
        {
            "batch_norm": True,
            "early_stopping": True,
            "n_iter_no_change": 2,
            "max_iter": 30,
        },
        {"learning_rate_init": RATES, "restore_best_weights": [True, False]},
    ),
    "batch norm, full batches": (
        "mlp",
        {"batch_norm": True, "batch_size": 1000},
        {"alpha": [0, 0.1]},
    ),
    "softmax": ("softmax", {}, {"learning_rate_init": RATES, "alpha": [0, 0.1]}),
    "hinge": ("softmax", {"loss": "squared_hinge"}, {"learning_rate_init": RATES}),
    "lbfgs": ("mlp", {"solver": "lbfgs"}, {"alpha": [0, 0.1]}),
    "convolutions": ("cnn", {}, {"learning_rate_init": RATES, "alpha": [0, 0.1]}),
    "convolutions' sgd": ("cnn", {"solver": "sgd"}, {"learning_rate_init": RATES}),
    "convolutions' epochs": (
        "cnn",
        {"early_stopping": True, "n_iter_no_change": 1, "max_iter": 8},
        {"learning_rate_init": RATES, "kernel_size": [2, 3]},
    ),
    "convolutions' dropout": ("cnn", {"dropout": 0.2}, {"conv_dropout": [0.2, 0.5]}),
}


@pytest.fixture
def make_setting(request):
    """Function that returns the estimator and the grid of a setting."""

    def make(name):
        constructor, params, grid = SETTINGS[name]
        return request.getfixturevalue(constructor)(**params), grid

    return make


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1:UserWarning")
def test_packed_search_gives_scikit_learns_scores_and_weights(
    name, make_setting, digits, fit_both, assert_same_search
):
    estimator, grid = make_setting(name)
    scoring = ["accuracy", "neg_log_loss"]
    if "hinge" in name:
        scoring = ["accuracy", "balanced_accuracy"]
    # 203 samples in 3 folds: the training sets differ in size.
    theirs, ours = fit_both(
        estimator, grid, *digits, cv=KFold(3), scoring=scoring, refit="accuracy"
    )
    assert_same_search(theirs, ours)


@pytest.mark.parametrize(
    "name",
    ["adam", "sgd", "early stopping", "softmax", "widths", "batch norm, stopped"],
)
def test_float32_search_gives_scikit_learns_mean_scores(
    name, make_setting, digits, fit_both
):
    X, y = digits
    theirs, ours = fit_both(*make_setting(name), X.astype(np.float32), y, cv=3)
    expected, actual = (
        search.cv_results_["mean_test_score"] for search in (theirs, ours)
    )
    assert_allclose(actual, expected, rtol=0, atol=1e-3)
    assert theirs.best_params_ == ours.best_params_


def test_networks_of_folds_equal_networks_trained_alone(digits, mlp, weights_of):
    weights = {}

    def record_weights(estimator, X, y):
        weights.setdefault(Search, []).append(weights_of(estimator))
        return accuracy_score(y, estimator.predict(X))

    grid = {"learning_rate_init": RATES, "dropout": [0.0, 0.3]}
    for Search in (GridSearchCV, PackedGridSearchCV):
        Search(mlp(), grid, cv=3, scoring=record_weights, refit=False).fit(*digits)
    # Packs end in another order than single fits.
    ours = sorted(weights[PackedGridSearchCV], key=lambda w: w[0].sum())
    theirs = sorted(weights[GridSearchCV], key=lambda w: w[0].sum())
    assert len(ours) == len(theirs) == 12
    for expected, actual in zip(theirs, ours, strict=True):
        for expected_array, actual_array in zip(expected, actual, strict=True):
            assert_allclose(actual_array, expected_array, rtol=0, atol=1e-12)


def test_string_labels_are_predicted(digits, mlp, fit_both, assert_same_search):
    X, y = digits
    names = np.array(["null", "one", "b", "c", "d", "e", "f", "g", "h", "nine"])
    theirs, ours = fit_both(mlp(), {"alpha": [0, 1]}, X, names[y], cv=3)
    assert_same_search(theirs, ours)
    assert_array_equal(ours.classes_, sorted(names))
    assert_array_equal(ours.predict(X), theirs.predict(X))


def test_fold_may_lack_a_class(iris, mlp, fit_both, assert_same_search):
    X, y = iris
    order = np.argsort(y)
    theirs, ours = fit_both(
        mlp(), {"alpha": [0, 1]}, X[order], y[order], cv=KFold(3), scoring="accuracy"
    )
    assert_same_search(theirs, ours)


def test_multilabel_targets_give_scikit_learns_scores(
    digits, mlp, fit_both, assert_same_search
):
    X, y = digits
    y = np.column_stack([y % 2, y > 4]).astype(int)
    theirs, ours = fit_both(mlp(), {"learning_rate_init": RATES}, X, y, cv=3)
    assert_same_search(theirs, ours)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_regressor_search_gives_scikit_learns_scores(
    n_targets, fit_both, assert_same_search
):
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:101] * 20, (y[:101] - 150) / 80
    if n_targets == 2:
        y = np.column_stack([y, y**2])
    network = MLPRegressor(hidden_layer_sizes=9, max_iter=6, random_state=0)
    grid = {"learning_rate_init": RATES, "batch_norm": [False, True]}
    theirs, ours = fit_both(
        network, grid, X, y, cv=3, scoring=["r2", "neg_mean_absolute_error"], refit="r2"
    )
    assert_same_search(theirs, ours)
    assert is_regressor(ours)


@pytest.mark.on_cuda_too
def test_batches_of_zero_weight_give_scikit_learns_scores(
    digits, mlp, fit_both, assert_same_search
):
    X, y = digits
    weight = np.ones(len(y))
    weight[40:110] = 0
    network = mlp(shuffle=False, solver="sgd", warmup_epochs=2)
    theirs, ours = fit_both(
        network, {"alpha": [0, 1]}, X, y, {"sample_weight": weight}, cv=KFold(3)
    )
    assert_same_search(theirs, ours)


def test_randomized_search_gives_scikit_learns_scores(digits, mlp, assert_same_search):
    distributions = {"learning_rate_init": loguniform(1e-4, 1e-1), "alpha": [0, 0.1]}
    theirs, ours = (
        Search(
            mlp(), distributions, n_iter=5, cv=3, random_state=0, scoring="neg_log_loss"
        ).fit(*digits)
        for Search in (RandomizedSearchCV, PackedRandomizedSearchCV)
    )
    assert_same_search(theirs, ours)


def test_list_of_grids_gives_scikit_learns_scores(digits, mlp, fit_both):
    grid = [
        {"solver": ["sgd"], "momentum": [0.5, 0.9]},
        {"solver": ["adam"], "beta_1": [0.8, 0.9]},
    ]
    theirs, ours = fit_both(mlp(), grid, *digits, cv=2)
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )


@pytest.mark.parametrize("grid", [{"alpha": [0.1]}, {}], ids=["one", "none"])
def test_single_candidate_is_evaluated(grid, digits, mlp, fit_both, assert_same_search):
    assert_same_search(*fit_both(mlp(), grid, *digits, cv=2))


def test_empty_grid_is_refused(digits, mlp):
    with pytest.raises(ValueError, match="non-empty sequence"):
        PackedGridSearchCV(mlp(), {"alpha": []}).fit(*digits)


def test_unknown_parameter_is_refused(digits, mlp):
    with pytest.raises(ValueError, match="Invalid parameter 'colour'"):
        PackedGridSearchCV(mlp(), {"colour": [1]}, cv=2).fit(*digits)


@pytest.mark.parametrize("container", ["frame", "list", "read-only", "sparse"])
def test_containers_of_any_kind_give_scikit_learns_scores(
    container, digits, mlp, fit_both, assert_same_search
):
    X, y = digits
    if container == "frame":
        X, y = pd.DataFrame(X).add_prefix("pixel"), pd.Series(y, name="digit")
    elif container == "list":
        X, y = X.tolist(), y.tolist()
    elif container == "sparse":
        X = scipy.sparse.csr_matrix(X)
    else:
        X = X.copy()
        X.flags.writeable = False
    assert_same_search(*fit_both(mlp(), {"alpha": [0, 1]}, X, y, cv=3))


def test_random_state_may_be_a_generator(digits, mlp, fit_both, assert_same_search):
    network = mlp(random_state=np.random.RandomState(0))
    assert_same_search(*fit_both(network, {"alpha": [0, 1]}, *digits, cv=3))


def test_global_generators_stay_unchanged(digits, mlp):
    before = torch.get_rng_state(), np.random.get_state()[1]
    search = PackedGridSearchCV(mlp(dropout=0.2), {"alpha": [0, 1]}, cv=2)
    search.fit(*digits)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert_array_equal(np.random.get_state()[1], before[1])


def test_unpackable_networks_give_scikit_learns_scores(digits, mlp, fit_both):
    grid = [
        {"solver": ["rmsprop", "lbfgs"], "alpha": [0, 1]},
        {"batch_norm": [True], "activation": ["gelu"]},
        {"weight_averaging": [0.5]},
    ]
    theirs, ours = fit_both(mlp(), grid, *digits, cv=2, scoring="neg_log_loss")
    assert_allclose(
        ours.cv_results_["mean_test_score"],
        theirs.cv_results_["mean_test_score"],
        rtol=0,
        atol=1e-8,
    )
