"""Workers pack networks and fit other estimators one by one."""

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochTimer

from skmlp.model_selection import PackedGridSearchCV, _workers

pytestmark = pytest.mark.filterwarnings(
    # Tests train for few epochs.
    "ignore::sklearn.exceptions.ConvergenceWarning",
    # scikit-learn warns after every search in which a fit failed.
    "ignore:One or more of the test scores are non-finite:UserWarning",
)

RATES = [0.003, 0.03]


@pytest.mark.parametrize(
    ("constructor", "params", "grid", "expected"),
    [
        ("mlp", {}, {"learning_rate_init": RATES, "max_iter": [2, 4]}, 8),
        ("mlp", {"early_stopping": True}, {"random_state": [0, 1]}, 4),
        ("mlp", {}, {"hidden_layer_sizes": [3, 4]}, 4),
        ("softmax", {}, {"alpha": [0, 1]}, 4),
        ("mlp", {"dropout": 0.5}, {"class_weight": [None, "balanced"]}, 4),
        ("mlp", {"solver": "rmsprop"}, {"alpha": [0, 1]}, 0),
        ("mlp", {"batch_norm": True}, {"alpha": [0, 1]}, 4),
        ("mlp", {"batch_norm": True, "activation": "gelu"}, {"alpha": [0, 1]}, 0),
        ("mlp", {"weight_averaging": 0.9}, {"alpha": [0, 1]}, 0),
        ("mlp", {"callbacks": [EpochTimer()]}, {"alpha": [0, 1]}, 0),
        ("mlp", {"solver": "lbfgs"}, {"alpha": [0, 1]}, 0),
        ("cnn", {}, {"alpha": [0, 1]}, 4),
        ("cnn", {"batch_norm": True}, {"alpha": [0, 1]}, 0),
        ("cnn", {"block": "residual"}, {"alpha": [0, 1]}, 0),
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
    ],
)
def test_verbose_prints_how_many_fits_were_packed(
    constructor, params, grid, expected, digits, count_packed, request
):
    network = request.getfixturevalue(constructor)(**params)
    search = PackedGridSearchCV(network, grid, cv=2, refit=False)
    n_packed, n_fits = count_packed(search, *digits)
    assert n_packed == expected
    assert n_fits == 2 * len(search.cv_results_["params"])


def test_verbose_counts_networks_in_pipelines(digits, mlp, count_packed):
    pipeline = make_pipeline(StandardScaler(), mlp())
    grid = {"mlpclassifier__alpha": [0, 1]}
    search = PackedGridSearchCV(pipeline, grid, cv=2, refit=False)
    assert count_packed(search, *digits) == (4, 4)


def test_verbose_counts_no_other_estimators(digits, count_packed):
    search = PackedGridSearchCV(
        LogisticRegression(max_iter=500), {"C": [0.1, 1]}, cv=2, refit=False
    )
    assert count_packed(search, *digits) == (0, 4)


def test_networks_and_other_estimators_share_a_search(digits, mlp, count_packed):
    pipeline = Pipeline([("scale", StandardScaler()), ("last", mlp())])
    grid = [
        {"last": [LogisticRegression(max_iter=500)], "last__C": [0.1, 1.0]},
        {"last": [mlp()], "last__alpha": [0, 1]},
    ]
    theirs = GridSearchCV(pipeline, grid, cv=2).fit(*digits)
    ours = PackedGridSearchCV(pipeline, grid, cv=2)
    assert count_packed(ours, *digits) == (4, 8)
    assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_give_the_scores_of_one_process(
    backend, digits, mlp, assert_same_search
):
    grid = {"learning_rate_init": RATES, "alpha": [0, 0.1, 1]}
    search = PackedGridSearchCV(mlp(dropout=0.2), grid, cv=3, scoring="neg_log_loss")
    alone = clone(search).fit(*digits)
    with joblib.parallel_config(backend):
        shared = clone(search).set_params(n_jobs=2).fit(*digits)
    assert_same_search(alone, shared, atol=1e-12)


def test_packs_of_one_machine_need_no_workers(digits, mlp, monkeypatch):
    """A pack uses all threads, and processes take seconds to start."""
    monkeypatch.setattr(_workers, "Parallel", None)
    grid = {"learning_rate_init": RATES, "alpha": [0, 0.1]}
    search = PackedGridSearchCV(mlp(), grid, cv=2, n_jobs=2, refit=False)
    search.fit(*digits)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("pipeline", [False, True])
def test_workers_receive_fits_that_no_pack_trains(
    pipeline, digits, mlp, assert_same_search, monkeypatch
):
    sent = []

    class Recorded(_workers.Parallel):
        def __call__(self, calls):
            sent.extend(len(arguments[3]) for _, arguments, _ in calls)
            return super().__call__(calls)

    estimator, prefix = mlp(), ""
    if pipeline:
        estimator, prefix = (
            make_pipeline(StandardScaler(), estimator),
            "mlpclassifier__",
        )
    grid = [
        {prefix + "alpha": [0, 0.1, 1]},
        {prefix + "solver": ["lbfgs"], prefix + "alpha": [0, 0.1]},
        {prefix + "solver": ["rmsprop"]},
    ]
    search = PackedGridSearchCV(estimator, grid, cv=2)
    alone = clone(search).fit(*digits)
    monkeypatch.setattr(_workers, "Parallel", Recorded)
    shared = clone(search).set_params(n_jobs=2).fit(*digits)
    assert sent == [3, 3]  # of 12 fits, 6 are packed
    assert_same_search(alone, shared, atol=1e-12)


def test_workers_continue_a_checkpoint_of_postponed_fits(
    digits, mlp, tmp_path, assert_same_search
):
    grid = [{"alpha": [0, 0.1]}, {"solver": ["lbfgs"], "max_iter": [2, 3]}]
    search = PackedGridSearchCV(
        mlp(), grid, cv=2, n_jobs=2, checkpoint=tmp_path / "search"
    )
    whole, again = clone(search).fit(*digits), clone(search).fit(*digits)
    assert_same_search(whole, again, atol=0)


def test_estimators_without_targets_are_searched():
    X = np.random.RandomState(0).normal(size=(60, 3))
    theirs, ours = (
        Search(KMeans(random_state=0, n_init=1), {"n_clusters": [2, 3]}, cv=3).fit(X)
        for Search in (GridSearchCV, PackedGridSearchCV)
    )
    assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )
    assert_allclose(ours.transform(X), theirs.transform(X))


class OnlyScores(BaseEstimator):
    """Estimator without `predict`."""

    def __init__(self, score_=0.0):
        self.score_ = score_

    def fit(self, X, y=None):
        return self

    def score(self, X, y=None):
        return self.score_


def test_estimator_without_predict_is_searched(digits):
    search = PackedGridSearchCV(OnlyScores(), {"score_": [0.5, 0.7, 0.2]}, cv=2)
    assert search.fit(digits[0]).best_params_ == {"score_": 0.7}
