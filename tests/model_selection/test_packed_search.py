"""Packed searches: scikit-learn's results, attributes and manners."""

import pickle
import re
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.cluster import KMeans
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, NotFittedError
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
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from skorch.callbacks import EpochTimer

from skmlp.model_selection import PackedGridSearchCV, PackedRandomizedSearchCV
from skmlp.neural_network import (
    CNNClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings(
    # A few epochs each are enough here.
    "ignore::sklearn.exceptions.ConvergenceWarning",
    # scikit-learn says it after every search in which a fit failed.
    "ignore:One or more of the test scores are non-finite:UserWarning",
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


def cnn(**params):
    defaults = {"conv_channels": (3, 4), "hidden_layer_sizes": 6, "max_iter": 3}
    return CNNClassifier(**(defaults | {"batch_size": 32, "random_state": 3} | params))


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
        if re.search("_(test|train)_", name) and "rank" not in name:
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
    found = re.search(
        r"(\d+) of (\d+) fits were trained in packs(, the others one by one)?",
        capsys.readouterr().out,
    )
    packed, of = int(found[1]), int(found[2])
    assert bool(found[3]) == (packed < of)
    return packed, of


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
    "class weights, early stopping": (
        mlp(class_weight="balanced", early_stopping=True, n_iter_no_change=2),
        {"max_iter": [30], "learning_rate_init": RATES},
    ),
    "dropout": (mlp(dropout=0.2), {"dropout": [0.2, 0.5], "alpha": [0, 0.1]}),
    "batch norm": (
        mlp(batch_norm=True),
        {"learning_rate_init": RATES, "alpha": [0, 0.1], "dropout": [0, 0.2]},
    ),
    "batch norm, by sgd": (
        mlp(batch_norm=True, solver="sgd"),
        {"hidden_layer_sizes": [(8, 6), (5, 7)], "activation": ["tanh", "relu"]},
    ),
    # Folds have 135, 135 and 136 rows: one network has a last batch of one row.
    "batch norm, one row": (
        mlp(batch_norm=True, batch_size=27),
        {"learning_rate_init": RATES, "class_weight": [None, {0: 0.0}]},
    ),
    "batch norm, stopped": (
        mlp(batch_norm=True, early_stopping=True, n_iter_no_change=2, max_iter=30),
        {"learning_rate_init": RATES, "restore_best_weights": [True, False]},
    ),
    "batch norm, full batches": (
        mlp(batch_norm=True, batch_size=1000),
        {"alpha": [0, 0.1]},
    ),
    "softmax": (softmax(), {"learning_rate_init": RATES, "alpha": [0, 0.1]}),
    "hinge": (softmax(loss="squared_hinge"), {"learning_rate_init": RATES}),
    "lbfgs": (mlp(solver="lbfgs"), {"alpha": [0, 0.1]}),
    "convolutions": (cnn(), {"learning_rate_init": RATES, "alpha": [0, 0.1]}),
    "convolutions' sgd": (cnn(solver="sgd"), {"learning_rate_init": RATES}),
    "convolutions' epochs": (
        cnn(early_stopping=True, n_iter_no_change=1, max_iter=8),
        {"learning_rate_init": RATES, "kernel_size": [2, 3]},
    ),
    "convolutions' dropout": (cnn(dropout=0.2), {"conv_dropout": [0.2, 0.5]}),
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


@pytest.mark.parametrize(
    "name",
    ["adam", "sgd", "early stopping", "softmax", "widths", "batch norm, stopped"],
)
def test_float32_search_gives_scikit_learns_mean_scores(name, digits):
    X, y = digits
    theirs, ours = fit_both(*SETTINGS[name], X.astype(np.float32), y, cv=3)
    expected, found = (
        search.cv_results_["mean_test_score"] for search in (theirs, ours)
    )
    assert_allclose(found, expected, rtol=0, atol=1e-3)
    assert theirs.best_params_ == ours.best_params_


def test_folds_networks_equal_those_trained_alone(digits):
    kept = {}

    def keep(estimator, X, y):
        kept.setdefault(current, []).append(weights_of(estimator))
        return accuracy_score(y, estimator.predict(X))

    grid = {"learning_rate_init": RATES, "dropout": [0.0, 0.3]}
    for current in (GridSearchCV, PackedGridSearchCV):
        current(mlp(), grid, cv=3, scoring=keep, refit=False).fit(*digits)
    ours = sorted(kept[PackedGridSearchCV], key=lambda w: w[0].sum())
    theirs = sorted(kept[GridSearchCV], key=lambda w: w[0].sum())
    assert len(ours) == len(theirs) == 12
    for one, two in zip(theirs, ours, strict=True):
        for expected, found in zip(one, two, strict=True):
            assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_string_labels(digits):
    X, y = digits
    names = np.array(["null", "one", "b", "c", "d", "e", "f", "g", "h", "nine"])
    theirs, ours = fit_both(mlp(), {"alpha": [0, 1]}, X, names[y], cv=3)
    assert_same_search(theirs, ours)
    assert_array_equal(ours.classes_, sorted(names))
    assert_array_equal(ours.predict(X), theirs.predict(X))


def test_a_fold_without_one_of_the_classes(iris):
    X, y = iris
    order = np.argsort(y)
    theirs, ours = fit_both(
        mlp(), {"alpha": [0, 1]}, X[order], y[order], cv=KFold(3), scoring="accuracy"
    )
    assert_same_search(theirs, ours)


def test_several_labels_a_row(digits):
    X, y = digits
    y = np.column_stack([y % 2, y > 4]).astype(int)
    theirs, ours = fit_both(mlp(), {"learning_rate_init": RATES}, X, y, cv=3)
    assert_same_search(theirs, ours)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_regressor(n_targets):
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


def test_sample_weights_are_split_with_the_rows(digits):
    X, y = digits
    weight = np.random.RandomState(0).uniform(size=len(y))
    weight[::7] = 0
    grid = {"learning_rate_init": RATES, "solver": ["adam", "sgd"]}
    theirs, ours = fit_both(
        mlp(class_weight="balanced"),
        grid,
        X,
        y,
        {"sample_weight": weight},
        cv=3,
    )
    assert_same_search(theirs, ours)


def test_batches_of_rows_without_weight(digits):
    X, y = digits
    weight = np.ones(len(y))
    weight[40:110] = 0
    network = mlp(shuffle=False, solver="sgd", warmup_epochs=2)
    theirs, ours = fit_both(
        network, {"alpha": [0, 1]}, X, y, {"sample_weight": weight}, cv=KFold(3)
    )
    assert_same_search(theirs, ours)


def test_pipeline_with_its_preprocessing_searched_too(digits):
    X, y = digits
    pipeline = Pipeline([("scale", StandardScaler()), ("pca", PCA(10)), ("mlp", mlp())])
    grid = {
        "scale": [MinMaxScaler(), StandardScaler(), "passthrough"],
        "pca__n_components": [5, 20],
        "mlp__alpha": [0, 0.1],
    }
    theirs, ours = fit_both(pipeline, grid, X, y, cv=3)
    for name in ("scale", "pca__n_components", "mlp__alpha"):
        assert str(ours.best_params_[name]) == str(theirs.best_params_[name])
    assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )
    assert_array_equal(ours.predict(X), theirs.predict(X))


class Counted(StandardScaler):
    """Counts its fits."""

    fits = 0

    def fit(self, X, y=None, sample_weight=None):
        Counted.fits += 1
        return super().fit(X, y, sample_weight)


def test_steps_before_the_network_are_fitted_once_a_fold_and_setting(digits, capsys):
    pipeline = make_pipeline(Counted(), mlp())
    grid = {"counted__with_mean": [False, True], "mlpclassifier__alpha": [0, 1, 2]}
    Counted.fits = 0
    search = PackedGridSearchCV(pipeline, grid, cv=3, refit=False)
    assert count_packed(search, *digits, capsys) == (18, 18)
    assert Counted.fits == 2 * 3


def test_steps_that_cannot_be_pickled(digits):
    pipeline = make_pipeline(FunctionTransformer(lambda X: X * 2), mlp())
    theirs, ours = fit_both(pipeline, {"mlpclassifier__alpha": [0, 1]}, *digits, cv=2)
    assert_same_search(theirs, ours)


def test_weights_reach_the_pipelines_network(digits):
    X, y = digits
    weight = np.random.RandomState(0).uniform(size=len(y))
    theirs, ours = fit_both(
        make_pipeline(StandardScaler(), mlp()),
        {"mlpclassifier__alpha": [0, 1]},
        X,
        y,
        {"mlpclassifier__sample_weight": weight},
        cv=3,
    )
    assert_same_search(theirs, ours)


def test_weights_for_several_steps(digits):
    X, y = digits
    weight = np.random.RandomState(0).uniform(size=len(y))
    fit_params = {
        "standardscaler__sample_weight": weight,
        "mlpclassifier__sample_weight": weight,
    }
    pipeline = make_pipeline(StandardScaler(), mlp())
    grid = {"mlpclassifier__alpha": [0, 1]}
    theirs, ours = fit_both(pipeline, grid, X, y, fit_params, cv=3)
    assert_same_search(theirs, ours)


def test_metadata_are_routed(digits):
    X, y = digits
    weight = np.random.RandomState(0).uniform(size=len(y))
    groups = np.arange(len(y)) % 7
    with sklearn.config_context(enable_metadata_routing=True):
        network = mlp(early_stopping=True).set_fit_request(
            sample_weight=True, X_val=True, y_val=True
        )
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        given = {
            "sample_weight": weight,
            "groups": groups,
            "X_val": X[:50],
            "y_val": y[:50],
        }
        theirs, ours = fit_both(
            network,
            {"learning_rate_init": RATES},
            X,
            y,
            given,
            cv=GroupKFold(3),
            scoring=scorer,
        )
    assert_same_search(theirs, ours)


def test_validation_rows_pass_through_the_pipelines_steps(digits):
    X, y = digits
    with sklearn.config_context(enable_metadata_routing=True):
        network = mlp().set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline(
            [("scale", StandardScaler()), ("mlp", network)], transform_input=["X_val"]
        )
        given = {"X_val": X[:50], "y_val": y[:50]}
        theirs, ours = fit_both(pipeline, {"mlp__alpha": [0, 1]}, X, y, given, cv=3)
    assert_same_search(theirs, ours)


def test_groups_choose_the_folds(digits):
    X, y = digits
    given = {"groups": np.arange(len(y)) % 7}
    theirs, ours = fit_both(mlp(), {"alpha": [0, 1]}, X, y, given, cv=GroupKFold(3))
    assert_same_search(theirs, ours)


# Candidates that fail


@pytest.mark.parametrize("batch_norm", [False, True])
def test_divergence_gets_the_error_score_and_harms_no_neighbour(batch_norm, digits):
    X, y = digits
    network = mlp(solver="sgd", dropout=0.2, batch_norm=batch_norm)
    rates = [0.01, 1e200, 0.02]
    search = PackedGridSearchCV(
        network,
        {"learning_rate_init": rates},
        cv=3,
        scoring="neg_log_loss",
        refit=False,
    )
    with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 9"):
        search.fit(X, y)
    unharmed = clone(search).set_params(param_grid={"learning_rate_init": [0.01, 0.02]})
    unharmed.fit(X, y)
    for split in range(3):
        name = f"split{split}_test_score"
        scores = search.cv_results_[name]
        assert np.isnan(scores[1])
        assert_array_equal(scores[[0, 2]], unharmed.cv_results_[name])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
def test_error_score_is_given_to_every_metric_of_training_and_test(digits):
    search = PackedGridSearchCV(
        mlp(solver="sgd"),
        {"learning_rate_init": [0.01, 1e200]},
        cv=2,
        scoring=["accuracy", "f1_macro"],
        refit=False,
        return_train_score=True,
        error_score=-7.0,
    ).fit(*digits)
    for name in ("test_accuracy", "test_f1_macro", "train_accuracy", "train_f1_macro"):
        assert search.cv_results_[f"mean_{name}"][1] == -7.0
        assert search.cv_results_[f"mean_{name}"][0] > 0


def test_an_invalid_candidate_fails_alone(digits):
    grid = {"learning_rate_init": [0.01, -1.0, 1e-5]}
    search = PackedGridSearchCV(mlp(), grid, cv=2)
    message = r"2 fits failed out of a total of 6(.|\n)*InvalidParameterError"
    with pytest.warns(FitFailedWarning, match=message):
        search.fit(*digits)
    failed = np.isnan(search.cv_results_["mean_test_score"])
    assert_array_equal(failed, [False, True, False])
    assert search.best_params_ == {"learning_rate_init": 0.01}


def test_a_failing_step_fails_its_candidates_alone(digits):
    pipeline = make_pipeline(PCA(), mlp())
    grid = {"pca__n_components": [5, 1000]}
    search = PackedGridSearchCV(pipeline, grid, cv=2)
    with pytest.warns(FitFailedWarning, match="2 fits failed"):
        search.fit(*digits)
    assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), [False, True])


def test_errors_are_raised_on_request(digits):
    grid = {"learning_rate_init": [0.01, 1e200]}
    search = PackedGridSearchCV(mlp(solver="sgd"), grid, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="Training loss became non-finite at epoch 1"):
        search.fit(*digits)


def test_all_failing_is_an_error(digits):
    search = PackedGridSearchCV(mlp(), {"alpha": [-1.0]}, cv=2)
    with pytest.raises(ValueError, match="All the 2 fits failed"):
        search.fit(*digits)


def test_an_error_score_that_is_none(digits):
    search = PackedGridSearchCV(mlp(), {"alpha": [0.0]}, cv=2, error_score="ignore")
    with pytest.raises(ValueError, match="error_score"):
        search.fit(*digits)


def test_an_unknown_argument_of_fit_fails(digits):
    search = PackedGridSearchCV(mlp(), {"alpha": [0.0]}, cv=2)
    with pytest.raises((TypeError, ValueError), match="colour"):
        search.fit(*digits, colour="red")


def test_warnings_that_are_errors_are_a_fits_own(digits):
    grid = {"max_iter": [1, 400], "tol": [1.0], "n_iter_no_change": [2]}
    search = PackedGridSearchCV(mlp(), grid, cv=2, refit=False)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.simplefilter("always", FitFailedWarning)
        search.fit(*digits)
    assert "2 fits failed" in str(said[0].message)
    assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), [True, False])


# scikit-learn's manners


def test_attributes_before_and_after_fit(digits):
    X, y = digits
    search = PackedGridSearchCV(mlp(), {"alpha": [0, 1]}, cv=2)
    assert is_classifier(search)
    with pytest.raises(NotFittedError):
        search.predict(X)
    assert not hasattr(search, "classes_")
    search.fit(pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)]), y)
    theirs = GridSearchCV(mlp(), {"alpha": [0, 1]}, cv=2).fit(X, y)
    expected = {name for name in vars(theirs) if name.endswith("_")}
    assert {name for name in vars(search) if name.endswith("_")} == (
        expected | {"feature_names_in_"}
    )
    assert search.n_features_in_ == 64
    assert search.feature_names_in_[3] == "pixel 3"
    assert search.n_splits_ == 2
    assert search.scorer_ is not None
    assert not search.multimetric_
    assert search.refit_time_ > 0


def test_parameters_are_cloned_and_set_through_the_search(digits):
    search = PackedGridSearchCV(mlp(), {"alpha": [0, 1]}, cv=2)
    search.set_params(estimator__max_iter=2, cv=3)
    assert search.estimator.max_iter == 2
    copy = clone(search)
    assert copy.get_params()["estimator__max_iter"] == 2
    assert copy.estimator is not search.estimator
    copy.fit(*digits)
    assert not hasattr(search.estimator, "net_")
    assert not hasattr(copy.estimator, "net_")
    assert copy.best_estimator_.n_iter_ == 2


def test_all_that_predicts_is_the_best_estimators(digits):
    X, y = digits
    search = PackedGridSearchCV(mlp(), {"alpha": [0, 1]}, cv=2).fit(X, y)
    best = search.best_estimator_
    assert_array_equal(search.predict(X), best.predict(X))
    assert_array_equal(search.predict_proba(X), best.predict_proba(X))
    assert_array_equal(search.predict_log_proba(X), best.predict_log_proba(X))
    assert search.score(X, y) == best.score(X, y)
    assert_array_equal(search.classes_, best.classes_)


def test_without_refit_there_is_nothing_to_predict_with(digits):
    X, y = digits
    search = PackedGridSearchCV(mlp(), {"alpha": [0, 1]}, cv=2, refit=False).fit(X, y)
    assert search.best_params_ in [{"alpha": 0}, {"alpha": 1}]
    assert not hasattr(search, "best_estimator_")
    assert not hasattr(search, "predict")


def test_several_metrics_and_training_scores(digits):
    theirs, ours = fit_both(
        mlp(),
        {"learning_rate_init": RATES},
        *digits,
        cv=3,
        scoring={"right": "accuracy", "loss": "neg_log_loss"},
        refit="loss",
        return_train_score=True,
    )
    assert_same_search(theirs, ours)
    assert ours.multimetric_
    assert set(ours.scorer_) == {"right", "loss"}


def test_several_metrics_need_a_metric_to_refit(digits):
    search = PackedGridSearchCV(
        mlp(), {"alpha": [0]}, cv=2, scoring=["accuracy", "f1_macro"]
    )
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        search.fit(*digits)


def test_a_callable_chooses_what_is_refitted(digits):
    search = PackedGridSearchCV(
        mlp(), {"alpha": [0, 1, 2]}, cv=2, refit=lambda results: 1
    ).fit(*digits)
    assert search.best_index_ == 1
    assert search.best_params_ == {"alpha": 1}
    assert not hasattr(search, "best_score_")
    assert search.best_estimator_.alpha == 1


def test_a_scorer_that_returns_several_scores(digits):
    def scores(estimator, X, y):
        right = accuracy_score(y, estimator.predict(X))
        return {"right": right, "wrong": 1 - right}

    theirs, ours = fit_both(
        mlp(), {"alpha": [0, 1]}, *digits, cv=2, scoring=scores, refit="right"
    )
    assert_same_search(theirs, ours)


@pytest.mark.parametrize(
    "cv",
    [
        KFold(3, shuffle=True, random_state=0),
        ShuffleSplit(2, test_size=0.3, random_state=0),
        PredefinedSplit(np.arange(203) % 4 - 1),
        [(np.arange(100), np.arange(100, 203)), (np.arange(80, 203), np.arange(80))],
    ],
    ids=["k-fold", "shuffle", "predefined", "list"],
)
def test_any_splits(cv, digits):
    assert_same_search(*fit_both(mlp(), {"alpha": [0, 1]}, *digits, cv=cv))


@pytest.mark.parametrize("Search", [GridSearchCV, PackedGridSearchCV])
def test_a_splitter_that_miscounts(Search, digits):
    class Miscounting(KFold):
        def get_n_splits(self, X=None, y=None, groups=None):
            return 7

    with pytest.raises(ValueError, match="Expected 7 splits, got 2"):
        Search(mlp(), {"alpha": [0]}, cv=Miscounting(2)).fit(*digits)


def test_estimators_without_targets():
    X = np.random.RandomState(0).normal(size=(60, 3))
    theirs, ours = (
        Search(KMeans(random_state=0, n_init=1), {"n_clusters": [2, 3]}, cv=3).fit(X)
        for Search in (GridSearchCV, PackedGridSearchCV)
    )
    assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )
    assert_allclose(ours.transform(X), theirs.transform(X))


def test_search_inside_cross_validation(digits):
    X, y = digits
    grid = {"learning_rate_init": RATES}
    theirs, ours = (
        cross_val_score(Search(mlp(), grid, cv=2), X, y, cv=3)
        for Search in (GridSearchCV, PackedGridSearchCV)
    )
    assert_array_equal(ours, theirs)


def test_search_inside_a_search(digits):
    inner = PackedGridSearchCV(mlp(), {"alpha": [0, 1]}, cv=2)
    outer = PackedGridSearchCV(inner, {"estimator__max_iter": [1, 3]}, cv=2)
    outer.fit(*digits)
    assert set(outer.best_params_) == {"estimator__max_iter"}
    assert set(outer.best_estimator_.best_params_) == {"alpha"}


def test_search_at_the_end_of_a_pipeline(digits):
    X, y = digits
    pipeline = make_pipeline(
        StandardScaler(), PackedGridSearchCV(mlp(), {"alpha": [0, 1]}, cv=2)
    )
    assert pipeline.fit(X, y).predict(X).shape == y.shape


def test_randomized_search(digits):
    distributions = {"learning_rate_init": loguniform(1e-4, 1e-1), "alpha": [0, 0.1]}
    theirs, ours = (
        Search(
            mlp(), distributions, n_iter=5, cv=3, random_state=0, scoring="neg_log_loss"
        ).fit(*digits)
        for Search in (RandomizedSearchCV, PackedRandomizedSearchCV)
    )
    assert_same_search(theirs, ours)


def test_several_grids(digits):
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
def test_one_candidate(grid, digits):
    assert_same_search(*fit_both(mlp(), grid, *digits, cv=2))


def test_an_empty_grid_is_refused(digits):
    with pytest.raises(ValueError, match="non-empty sequence"):
        PackedGridSearchCV(mlp(), {"alpha": []}).fit(*digits)


def test_an_unknown_parameter_is_refused(digits):
    with pytest.raises(ValueError, match="Invalid parameter 'colour'"):
        PackedGridSearchCV(mlp(), {"colour": [1]}, cv=2).fit(*digits)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_jobs_share_the_candidates(backend, digits):
    grid = {"learning_rate_init": RATES, "alpha": [0, 0.1, 1]}
    search = PackedGridSearchCV(mlp(dropout=0.2), grid, cv=3, scoring="neg_log_loss")
    alone = clone(search).fit(*digits)
    with joblib.parallel_config(backend):
        shared = clone(search).set_params(n_jobs=2).fit(*digits)
    assert_same_search(alone, shared, atol=1e-12)


def test_pickled_search_predicts(digits):
    X, y = digits
    search = PackedGridSearchCV(mlp(), {"alpha": [0, 1]}, cv=2).fit(X, y)
    again = pickle.loads(pickle.dumps(search))
    assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    assert again.cv_results_["params"] == search.cv_results_["params"]


def test_html_shows_search_and_estimator():
    html = PackedGridSearchCV(mlp(), {"alpha": [0, 1]})._repr_html_()
    assert "PackedGridSearchCV" in html
    assert "MLPClassifier" in html


@pytest.mark.parametrize("container", ["frame", "list", "read-only", "sparse"])
def test_rows_of_any_kind(container, digits):
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


def test_seeds_that_are_generators(digits):
    network = mlp(random_state=np.random.RandomState(0))
    assert_same_search(*fit_both(network, {"alpha": [0, 1]}, *digits, cv=3))


def test_global_generators_are_left_alone(digits):
    before = torch.get_rng_state(), np.random.get_state()[1]
    search = PackedGridSearchCV(mlp(dropout=0.2), {"alpha": [0, 1]}, cv=2)
    search.fit(*digits)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert_array_equal(np.random.get_state()[1], before[1])


# What is packed


@pytest.mark.parametrize(
    ("estimator", "grid", "packed"),
    [
        (mlp(), {"learning_rate_init": RATES, "max_iter": [2, 4]}, 8),
        (mlp(early_stopping=True), {"random_state": [0, 1]}, 4),
        (mlp(), {"hidden_layer_sizes": [3, 4]}, 4),
        (softmax(), {"alpha": [0, 1]}, 4),
        (mlp(dropout=0.5), {"class_weight": [None, "balanced"]}, 4),
        (mlp(solver="rmsprop"), {"alpha": [0, 1]}, 0),
        (mlp(batch_norm=True), {"alpha": [0, 1]}, 4),
        (mlp(batch_norm=True, activation="gelu"), {"alpha": [0, 1]}, 0),
        (mlp(weight_averaging=0.9), {"alpha": [0, 1]}, 0),
        (mlp(callbacks=[EpochTimer()]), {"alpha": [0, 1]}, 0),
        (mlp(solver="lbfgs"), {"alpha": [0, 1]}, 0),
        (cnn(), {"alpha": [0, 1]}, 4),
        (cnn(batch_norm=True), {"alpha": [0, 1]}, 0),
        (cnn(block="residual"), {"alpha": [0, 1]}, 0),
        (LogisticRegression(max_iter=500), {"C": [0.1, 1]}, 0),
        (make_pipeline(StandardScaler(), mlp()), {"mlpclassifier__alpha": [0, 1]}, 4),
    ],
    ids=[
        "numbers",
        "early stopping",
        "widths",
        "softmax",
        "dropout",
        "other solver",
        "batch norm",
        "other activation",
        "averaged weights",
        "callback",
        "lbfgs",
        "convolutions",
        "convolutions with batch norm",
        "residual blocks",
        "foreign",
        "pipeline",
    ],
)
def test_verbose_says_what_was_packed(estimator, grid, packed, digits, capsys):
    search = PackedGridSearchCV(estimator, grid, cv=2, refit=False)
    found, total = count_packed(search, *digits, capsys)
    assert found == packed
    assert total == 2 * len(search.cv_results_["params"])


def test_what_cannot_be_packed_equals_scikit_learns_search(digits):
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


def test_foreign_and_own_estimators_in_one_search(digits, capsys):
    pipeline = Pipeline([("scale", StandardScaler()), ("last", mlp())])
    grid = [
        {"last": [LogisticRegression(max_iter=500)], "last__C": [0.1, 1.0]},
        {"last": [mlp()], "last__alpha": [0, 1]},
    ]
    theirs = GridSearchCV(pipeline, grid, cv=2).fit(*digits)
    ours = PackedGridSearchCV(pipeline, grid, cv=2)
    assert count_packed(ours, *digits, capsys) == (4, 8)
    assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )


def test_a_network_with_the_callbacks_of_scikit_learn_is_followed(digits):
    pytest.importorskip(
        "sklearn.callback", reason="scikit-learn has callbacks since 1.9"
    )
    from sklearn.callback import ScoringMonitor

    network = mlp().set_callbacks(ScoringMonitor(scoring="accuracy"))
    theirs, ours = fit_both(network, {"alpha": [0, 1]}, *digits, cv=2)
    assert_same_search(theirs, ours)


class Scored(BaseEstimator):
    """An estimator that only scores."""

    def __init__(self, score_=0.0):
        self.score_ = score_

    def fit(self, X, y=None):
        return self

    def score(self, X, y=None):
        return self.score_


def test_the_smallest_of_foreign_estimators(digits):
    search = PackedGridSearchCV(Scored(), {"score_": [0.5, 0.7, 0.2]}, cv=2)
    assert search.fit(digits[0]).best_params_ == {"score_": 0.7}


class _Fails:
    """A scorer of validation rows that fails for one candidate's networks."""

    def __call__(self, estimator, X, y):
        if estimator.alpha == 0.5:
            raise RuntimeError("no score")
        return estimator.score(X, y)


def test_an_error_while_packed_is_that_candidates_own():
    X, y = load_iris(return_X_y=True)
    network = MLPClassifier(
        5, max_iter=3, early_stopping=True, scoring=_Fails(), random_state=0
    )
    grid = {"alpha": [0.1, 0.5]}
    scores = []
    for search in (GridSearchCV, PackedGridSearchCV):
        with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 6"):
            found = search(network, grid, cv=3, refit=False).fit(X, y)
        scores.append(found.cv_results_["mean_test_score"])
    assert np.isnan(scores[1]).tolist() == [False, True]
    np.testing.assert_allclose(*scores, atol=1e-8)
