"""A packed search has the interface of scikit-learn's searches."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    PredefinedSplit,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.model_selection import PackedGridSearchCV

pytestmark = pytest.mark.filterwarnings(
    # Tests train for few epochs.
    "ignore::sklearn.exceptions.ConvergenceWarning",
    # scikit-learn warns after every search in which a fit failed.
    "ignore:One or more of the test scores are non-finite:UserWarning",
)

RATES = [0.003, 0.03]


def test_search_has_scikit_learns_attributes_after_fit(digits, mlp):
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


def test_estimator_parameters_are_set_and_cloned_through_the_search(digits, mlp):
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


def test_search_predicts_with_the_best_estimator(digits, mlp):
    X, y = digits
    search = PackedGridSearchCV(mlp(), {"alpha": [0, 1]}, cv=2).fit(X, y)
    best = search.best_estimator_
    assert_array_equal(search.predict(X), best.predict(X))
    assert_array_equal(search.predict_proba(X), best.predict_proba(X))
    assert_array_equal(search.predict_log_proba(X), best.predict_log_proba(X))
    assert search.score(X, y) == best.score(X, y)
    assert_array_equal(search.classes_, best.classes_)


def test_search_without_refit_has_no_predict(digits, mlp):
    X, y = digits
    search = PackedGridSearchCV(mlp(), {"alpha": [0, 1]}, cv=2, refit=False).fit(X, y)
    assert search.best_params_ in [{"alpha": 0}, {"alpha": 1}]
    assert not hasattr(search, "best_estimator_")
    assert not hasattr(search, "predict")


def test_several_metrics_and_training_scores_equal_scikit_learns(
    digits, mlp, fit_both, assert_same_search
):
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


def test_several_metrics_require_a_refit_metric(digits, mlp):
    search = PackedGridSearchCV(
        mlp(), {"alpha": [0]}, cv=2, scoring=["accuracy", "f1_macro"]
    )
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        search.fit(*digits)


def test_refit_callable_selects_the_best_candidate(digits, mlp):
    search = PackedGridSearchCV(
        mlp(), {"alpha": [0, 1, 2]}, cv=2, refit=lambda results: 1
    ).fit(*digits)
    assert search.best_index_ == 1
    assert search.best_params_ == {"alpha": 1}
    assert not hasattr(search, "best_score_")
    assert search.best_estimator_.alpha == 1


def test_scorer_may_return_several_scores(digits, mlp, fit_both, assert_same_search):
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
def test_any_splitter_gives_scikit_learns_scores(
    cv, digits, mlp, fit_both, assert_same_search
):
    assert_same_search(*fit_both(mlp(), {"alpha": [0, 1]}, *digits, cv=cv))


@pytest.mark.parametrize("Search", [GridSearchCV, PackedGridSearchCV])
def test_inconsistent_number_of_splits_is_refused(Search, digits, mlp):
    class Miscounting(KFold):
        def get_n_splits(self, X=None, y=None, groups=None):
            return 7

    with pytest.raises(ValueError, match="Expected 7 splits, got 2"):
        Search(mlp(), {"alpha": [0]}, cv=Miscounting(2)).fit(*digits)


def test_search_runs_inside_cross_validation(digits, mlp):
    X, y = digits
    grid = {"learning_rate_init": RATES}
    theirs, ours = (
        cross_val_score(Search(mlp(), grid, cv=2), X, y, cv=3)
        for Search in (GridSearchCV, PackedGridSearchCV)
    )
    assert_array_equal(ours, theirs)


def test_search_runs_inside_a_search(digits, mlp):
    inner = PackedGridSearchCV(mlp(), {"alpha": [0, 1]}, cv=2)
    outer = PackedGridSearchCV(inner, {"estimator__max_iter": [1, 3]}, cv=2)
    outer.fit(*digits)
    assert set(outer.best_params_) == {"estimator__max_iter"}
    assert set(outer.best_estimator_.best_params_) == {"alpha"}


def test_search_may_end_a_pipeline(digits, mlp):
    X, y = digits
    pipeline = make_pipeline(
        StandardScaler(), PackedGridSearchCV(mlp(), {"alpha": [0, 1]}, cv=2)
    )
    assert pipeline.fit(X, y).predict(X).shape == y.shape


def test_pickled_search_predicts(digits, mlp):
    X, y = digits
    search = PackedGridSearchCV(mlp(), {"alpha": [0, 1]}, cv=2).fit(X, y)
    again = pickle.loads(pickle.dumps(search))
    assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    assert again.cv_results_["params"] == search.cv_results_["params"]


def test_html_shows_search_and_estimator(mlp):
    html = PackedGridSearchCV(mlp(), {"alpha": [0, 1]})._repr_html_()
    assert "PackedGridSearchCV" in html
    assert "MLPClassifier" in html


def test_network_with_scikit_learns_callbacks_gives_its_scores(
    digits, mlp, fit_both, assert_same_search
):
    pytest.importorskip(
        "sklearn.callback", reason="scikit-learn has callbacks since 1.9"
    )
    from sklearn.callback import ScoringMonitor

    network = mlp().set_callbacks(ScoringMonitor(scoring="accuracy"))
    theirs, ours = fit_both(network, {"alpha": [0, 1]}, *digits, cv=2)
    assert_same_search(theirs, ours)
