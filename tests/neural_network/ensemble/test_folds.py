"""Members that are validated on their own folds."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skmlp.neural_network import (
    EnsembleClassifier,
    EnsembleRegressor,
    MLPClassifier,
    MLPRegressor,
)
from skmlp.neural_network._packs.fold_fit import make_folds

QUIET = {"max_iter": 8, "n_iter_no_change": np.inf, "learning_rate": "cosine"}


def test_folds_are_disjoint_and_cover_all_samples():
    y = np.repeat([0, 1, 2], [50, 30, 20])
    rng = np.random.RandomState(0)
    folds = make_folds(y, np.arange(100), 5, 0.2, rng)
    valid = np.concatenate([fold.valid for fold in folds])
    assert sorted(valid) == list(range(100))
    for fold in folds:
        assert set(fold.train) | set(fold.valid) == set(range(100))
        assert np.bincount(y[fold.valid]).tolist() == [10, 6, 4]


def test_more_members_than_parts_are_validated_on_new_parts():
    folds = make_folds(None, np.arange(10), 5, 0.5, np.random.RandomState(0))
    assert len(folds) == 5
    assert {len(fold.valid) for fold in folds} == {5}


def test_members_keep_one_epoch_that_their_mean_score_selects(digits):
    X, y = digits
    network = MLPClassifier(12, scoring="loss", learning_rate_init=0.03, **QUIET)
    model = EnsembleClassifier(network, 3, random_state=0, validation="folds")
    members = model.fit(X, y).estimators_
    scores = np.mean([member.validation_scores_ for member in members], axis=0)
    assert {member.best_epoch_ for member in members} == {int(scores.argmax()) + 1}
    assert model.score(X, y) > 0.5


def test_regressors_are_validated_on_folds(diabetes):
    X, y = diabetes
    network = MLPRegressor(hidden_layer_sizes=9, **QUIET)
    model = EnsembleRegressor(network, 2, random_state=0, validation="folds").fit(X, y)
    assert all(len(m.validation_scores_) == 8 for m in model.estimators_)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"bootstrap": True}, "combined with bootstrap=True"),
        ({"n_jobs": 2}, "combined with n_jobs=2"),
        ({"estimator": LogisticRegression()}, "needs a network of skmlp"),
        ({"estimator": MLPClassifier(solver="lbfgs")}, "solver that has epochs"),
    ],
)
def test_contradictions_raise(digits, params, message):
    model = EnsembleClassifier(validation="folds", **params)
    with pytest.raises(ValueError, match=message):
        model.fit(*digits)
