"""Fits that fail get the error score and change no other fit."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import MLPClassifier

pytestmark = pytest.mark.filterwarnings(
    # Tests train for few epochs.
    "ignore::sklearn.exceptions.ConvergenceWarning",
    # scikit-learn warns after every search in which a fit failed.
    "ignore:One or more of the test scores are non-finite:UserWarning",
)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_diverging_candidate_gets_the_error_score_and_changes_no_other(
    batch_norm, digits, mlp
):
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
    others = clone(search).set_params(param_grid={"learning_rate_init": [0.01, 0.02]})
    others.fit(X, y)
    for split in range(3):
        name = f"split{split}_test_score"
        scores = search.cv_results_[name]
        assert np.isnan(scores[1])
        assert_array_equal(scores[[0, 2]], others.cv_results_[name])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
def test_error_score_replaces_every_metric_of_training_and_test(digits, mlp):
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


def test_invalid_candidate_fails_alone(digits, mlp):
    grid = {"learning_rate_init": [0.01, -1.0, 1e-5]}
    search = PackedGridSearchCV(mlp(), grid, cv=2)
    message = r"2 fits failed out of a total of 6(.|\n)*InvalidParameterError"
    with pytest.warns(FitFailedWarning, match=message):
        search.fit(*digits)
    failed = np.isnan(search.cv_results_["mean_test_score"])
    assert_array_equal(failed, [False, True, False])
    assert search.best_params_ == {"learning_rate_init": 0.01}


def test_failing_transformer_fails_only_its_candidates(digits, mlp):
    pipeline = make_pipeline(PCA(), mlp())
    grid = {"pca__n_components": [5, 1000]}
    search = PackedGridSearchCV(pipeline, grid, cv=2)
    with pytest.warns(FitFailedWarning, match="2 fits failed"):
        search.fit(*digits)
    assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), [False, True])


def test_error_score_raise_raises_the_error_of_a_fit(digits, mlp):
    grid = {"learning_rate_init": [0.01, 1e200]}
    search = PackedGridSearchCV(mlp(solver="sgd"), grid, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="Training loss became non-finite at epoch 1"):
        search.fit(*digits)


def test_search_raises_if_all_fits_fail(digits, mlp):
    search = PackedGridSearchCV(mlp(), {"alpha": [-1.0]}, cv=2)
    with pytest.raises(ValueError, match="All the 2 fits failed"):
        search.fit(*digits)


def test_invalid_error_score_is_refused(digits, mlp):
    search = PackedGridSearchCV(mlp(), {"alpha": [0.0]}, cv=2, error_score="ignore")
    with pytest.raises(ValueError, match="error_score"):
        search.fit(*digits)


def test_unknown_fit_argument_is_refused(digits, mlp):
    search = PackedGridSearchCV(mlp(), {"alpha": [0.0]}, cv=2)
    with pytest.raises((TypeError, ValueError), match="colour"):
        search.fit(*digits, colour="red")


def test_warning_turned_into_an_error_fails_only_its_fit(digits, mlp):
    grid = {"max_iter": [1, 400], "tol": [1.0], "n_iter_no_change": [2]}
    search = PackedGridSearchCV(mlp(), grid, cv=2, refit=False)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.simplefilter("always", FitFailedWarning)
        search.fit(*digits)
    assert "2 fits failed" in str(warned[0].message)
    assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), [True, False])


class FailingScorer:
    """Scorer of the validation set that fails for the networks of one candidate."""

    def __call__(self, estimator, X, y):
        if estimator.alpha == 0.5:
            raise RuntimeError("no score")
        return estimator.score(X, y)


def test_error_in_a_pack_fails_only_its_candidate():
    X, y = load_iris(return_X_y=True)
    network = MLPClassifier(
        5, max_iter=3, early_stopping=True, scoring=FailingScorer(), random_state=0
    )
    grid = {"alpha": [0.1, 0.5]}
    scores = []
    for Search in (GridSearchCV, PackedGridSearchCV):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            search = Search(network, grid, cv=3, refit=False).fit(X, y)
        texts = [str(warning.message) for warning in caught]
        failed_packs = [text for text in texts if "A pack of 6 networks" in text]
        assert any("3 fits failed out of a total of 6" in text for text in texts)
        assert len(failed_packs) == (Search is PackedGridSearchCV)
        scores.append(search.cv_results_["mean_test_score"])
    assert np.isnan(scores[1]).tolist() == [False, True]
    np.testing.assert_allclose(*scores, atol=1e-8)
