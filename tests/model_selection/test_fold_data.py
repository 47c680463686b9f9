"""Transformers, weights and other metadata reach the networks of a fold."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from skmlp.model_selection import PackedGridSearchCV

pytestmark = pytest.mark.filterwarnings(
    # Tests train for few epochs.
    "ignore::sklearn.exceptions.ConvergenceWarning",
    # scikit-learn warns after every search in which a fit failed.
    "ignore:One or more of the test scores are non-finite:UserWarning",
)

RATES = [0.003, 0.03]


def test_sample_weights_are_split_with_the_samples(
    digits, mlp, fit_both, assert_same_search
):
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


def test_networks_of_pipelines_without_transformers_are_packed(
    digits, mlp, fit_both, assert_same_search, count_packed
):
    pipeline, grid = Pipeline([("mlp", mlp())]), {"mlp__alpha": [0, 0.1]}
    assert_same_search(*fit_both(pipeline, grid, *digits, cv=2))
    search = PackedGridSearchCV(pipeline, grid, cv=2, refit=False)
    assert count_packed(search, *digits) == (4, 4)


def test_transformers_of_a_pipeline_are_searched_too(digits, mlp, fit_both):
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


class CountingScaler(StandardScaler):
    """Scaler that counts its fits."""

    fits = 0

    def fit(self, X, y=None, sample_weight=None):
        CountingScaler.fits += 1
        return super().fit(X, y, sample_weight)


def test_transformers_are_fitted_once_for_every_fold_and_setting(
    digits, mlp, count_packed
):
    pipeline = make_pipeline(CountingScaler(), mlp())
    grid = {
        "countingscaler__with_mean": [False, True],
        "mlpclassifier__alpha": [0, 1, 2],
    }
    CountingScaler.fits = 0
    search = PackedGridSearchCV(pipeline, grid, cv=3, refit=False)
    assert count_packed(search, *digits) == (18, 18)
    assert CountingScaler.fits == 2 * 3


def test_transformers_that_cannot_be_pickled_are_fitted(
    digits, mlp, fit_both, assert_same_search
):
    pipeline = make_pipeline(FunctionTransformer(lambda X: X * 2), mlp())
    theirs, ours = fit_both(pipeline, {"mlpclassifier__alpha": [0, 1]}, *digits, cv=2)
    assert_same_search(theirs, ours)


def test_sample_weights_reach_the_network_of_a_pipeline(
    digits, mlp, fit_both, assert_same_search
):
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


def test_sample_weights_reach_several_steps(digits, mlp, fit_both, assert_same_search):
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


def test_metadata_are_routed_to_fit_scorer_and_splitter(
    digits, mlp, fit_both, assert_same_search
):
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


def test_validation_set_passes_through_the_transformers(
    digits, mlp, fit_both, assert_same_search
):
    X, y = digits
    with sklearn.config_context(enable_metadata_routing=True):
        network = mlp().set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline(
            [("scale", StandardScaler()), ("mlp", network)], transform_input=["X_val"]
        )
        given = {"X_val": X[:50], "y_val": y[:50]}
        theirs, ours = fit_both(pipeline, {"mlp__alpha": [0, 1]}, X, y, given, cv=3)
    assert_same_search(theirs, ours)


def test_groups_determine_the_folds(digits, mlp, fit_both, assert_same_search):
    X, y = digits
    given = {"groups": np.arange(len(y)) % 7}
    theirs, ours = fit_both(mlp(), {"alpha": [0, 1]}, X, y, given, cv=GroupKFold(3))
    assert_same_search(theirs, ours)
