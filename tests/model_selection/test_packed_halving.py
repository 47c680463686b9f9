"""Packed halving gives scikit-learn's iterations, candidates and scores."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    KFold,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.model_selection import (
    PackedHalvingGridSearchCV,
    PackedHalvingRandomSearchCV,
)
from skmlp.neural_network import MLPClassifier

pytestmark = pytest.mark.filterwarnings(
    # Tests train for few epochs.
    "ignore::sklearn.exceptions.ConvergenceWarning"
)

NETWORK = MLPClassifier(8, max_iter=4, batch_size=32, random_state=3)
RATES = [0.001, 0.003, 0.01, 0.03]


def assert_same_halving(theirs, ours):
    for name in ("n_resources_", "n_candidates_", "n_iterations_", "best_params_"):
        assert getattr(theirs, name) == getattr(ours, name), name
    for name in ("iter", "n_resources", "params"):
        assert_array_equal(theirs.cv_results_[name], ours.cv_results_[name])
    for name in ("mean_test_score", "mean_train_score"):
        assert_allclose(theirs.cv_results_[name], ours.cv_results_[name], atol=1e-8)
    assert_allclose(theirs.best_score_, ours.best_score_)


@pytest.mark.parametrize(
    "options",
    [
        {"resource": "max_iter", "max_resources": 16, "factor": 2},
        {"resource": "n_samples", "factor": 2, "min_resources": 75},
        {"resource": "max_iter", "max_resources": 6, "aggressive_elimination": True},
    ],
    ids=["epochs", "samples", "aggressive"],
)
def test_grid_halving_gives_scikit_learns_iterations_and_scores(options, more_digits):
    grid = {"learning_rate_init": RATES, "alpha": [0, 0.1]}
    theirs, ours = (
        Search(clone(NETWORK), grid, cv=2, random_state=0, **options).fit(*more_digits)
        for Search in (HalvingGridSearchCV, PackedHalvingGridSearchCV)
    )
    assert_same_halving(theirs, ours)
    assert_allclose(
        ours.best_estimator_.coefs_[0], theirs.best_estimator_.coefs_[0], atol=1e-8
    )


def test_random_halving_of_a_pipeline_gives_scikit_learns_scores(more_digits):
    theirs, ours = (
        Search(
            make_pipeline(StandardScaler(), clone(NETWORK)),
            {"mlpclassifier__learning_rate_init": loguniform(1e-3, 1e-1)},
            n_candidates=6,
            resource="mlpclassifier__max_iter",
            max_resources=9,
            cv=2,
            random_state=0,
        ).fit(*more_digits)
        for Search in (HalvingRandomSearchCV, PackedHalvingRandomSearchCV)
    )
    assert_same_halving(theirs, ours)


def test_folds_that_change_between_iterations_are_refused(more_digits):
    search = PackedHalvingGridSearchCV(
        NETWORK, {"alpha": [0, 1]}, cv=KFold(2, shuffle=True)
    )
    with pytest.raises(ValueError, match="consistent folds"):
        search.fit(*more_digits)


def test_last_iteration_contains_the_best_candidate(more_digits):
    search = PackedHalvingGridSearchCV(
        NETWORK,
        {"learning_rate_init": RATES},
        resource="max_iter",
        max_resources=9,
        cv=2,
    ).fit(*more_digits)
    last = np.flatnonzero(search.cv_results_["iter"] == search.n_iterations_ - 1)
    assert search.best_index_ in last
    assert search.best_estimator_.max_iter == search.n_resources_[-1]
