"""`record_train_score` records the score of the training set after every epoch."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_multilabel_classification

from skmlp.augmentation import RandomAffine
from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import (
    CNNClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
X, Y = X[:200] / 16, Y[:200]
MULTILABEL = make_multilabel_classification(100, 8, n_classes=3, random_state=0)


def train_scores(model):
    return [record["train_score"] for record in model.history_]


@pytest.mark.parametrize(
    ("model", "X", "y"),
    [
        (SoftmaxRegression(), X, Y),
        (MLPClassifier(9, dropout=0.5, batch_norm=True), X, Y),
        (MLPClassifier(9, weight_averaging=0.9), X, Y > 4),
        (MLPClassifier(9), *MULTILABEL),
        (CNNClassifier((3,), augmentation=RandomAffine(degrees=40)), X, Y),
        (MLPRegressor(hidden_layer_sizes=9), X, Y),
        (MLPClassifier(9, scoring="neg_log_loss"), X, Y),
    ],
    ids=["softmax", "dropout", "averaged", "multilabel", "augmented", "r2", "scoring"],
)
def test_train_score_equals_score_after_same_epochs(model, X, y):
    model.set_params(record_train_score=True, random_state=0)
    scores = train_scores(model.set_params(max_iter=5).fit(X, y))
    assert len(scores) == 5
    for epochs in (1, 5):
        model.set_params(max_iter=epochs).fit(X, y)
        expected = model.score(X, y)
        if model.scoring is not None:
            expected = np.log(model.predict_proba(X)[np.arange(len(y)), y]).mean()
        assert scores[epochs - 1] == pytest.approx(expected, rel=1e-6)


def test_train_score_excludes_validation_and_unused_samples():
    params = {"max_iter": 3, "record_train_score": True, "random_state": 0}
    model = MLPClassifier(9, early_stopping=True, restore_best_weights=False, **params)
    scores = train_scores(model.fit(X, Y))
    score_of_all = model.score(X, Y)
    assert scores[-1] * 180 == pytest.approx(round(scores[-1] * 180), abs=1e-9)
    assert scores[-1] * 180 + model.validation_scores_[-1] * 20 == pytest.approx(
        score_of_all * 200
    )
    half = MLPClassifier(9, train_size=100, **params).fit(X, Y)
    assert train_scores(half)[-1] * 100 == pytest.approx(
        round(train_scores(half)[-1] * 100), abs=1e-9
    )


def test_train_score_uses_sample_weights():
    weight = np.where(Y == 3, 1.0, 0.0) + 1e-9
    model = MLPClassifier(9, max_iter=3, record_train_score=True, random_state=0)
    model.fit(X, Y, sample_weight=weight)
    assert train_scores(model)[-1] == pytest.approx(model.score(X, Y, weight))


def test_recording_train_score_does_not_change_results(assert_equal_weights):
    quiet, recorded = (
        CNNClassifier(
            (3,),
            dropout=0.3,
            batch_norm=True,
            early_stopping=True,
            max_iter=4,
            record_train_score=record,
            random_state=0,
        ).fit(X, Y)
        for record in (False, True)
    )
    assert not any("train_score" in record for record in quiet.history_)
    assert quiet.loss_curve_ == recorded.loss_curve_
    assert quiet.validation_scores_ == recorded.validation_scores_
    assert_equal_weights(recorded, quiet)


def test_partial_fit_records_score_of_its_batch():
    model = MLPClassifier(9, record_train_score=True, random_state=0)
    for batch in (slice(0, 80), slice(80, 200)):
        model.partial_fit(X[batch], Y[batch], classes=np.unique(Y))
        assert model.history_[-1]["train_score"] == model.score(X[batch], Y[batch])


def test_search_records_train_score():
    model = MLPClassifier(9, max_iter=3, record_train_score=True, random_state=0)
    search = PackedGridSearchCV(model, {"alpha": [0, 1]}, cv=2).fit(X, Y)
    best = search.best_estimator_
    assert train_scores(best)[-1] == best.score(X, Y)


def test_lbfgs_records_no_train_score():
    model = MLPClassifier(3, solver="lbfgs", tol=1, record_train_score=True)
    with warnings.catch_warnings(action="error"):
        assert model.fit(X, Y).history_ == []
