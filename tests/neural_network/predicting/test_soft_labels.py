"""Networks fitted to probabilities predict, score and validate class numbers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.model_selection import PackedGridSearchCV, packed_cross_validate
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MLP = MLPClassifier(
    8, loss="kullback_leibler", max_iter=5, learning_rate_init=0.01, random_state=0
)
MODELS = {
    "MLPClassifier": MLP,
    "CNNClassifier": CNNClassifier(
        2, hidden_layer_sizes=4, loss="kullback_leibler", max_iter=3, random_state=0
    ),
    "SoftmaxRegression": SoftmaxRegression(
        loss="kullback_leibler", max_iter=5, random_state=0
    ),
    "Pipeline": make_pipeline(StandardScaler(), MLP),
    "EnsembleClassifier": EnsembleClassifier(MLP, 3, random_state=0),
    "bootstrap": EnsembleClassifier(MLP, 3, bootstrap=True, random_state=0),
    "of Pipelines": EnsembleClassifier(
        make_pipeline(StandardScaler(), MLP), 2, random_state=0
    ),
    "nested": EnsembleClassifier(
        EnsembleClassifier(MLP, 2, random_state=0), 2, random_state=0
    ),
}
NETWORKS = ("MLPClassifier", "CNNClassifier", "SoftmaxRegression")
models = pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))


@pytest.fixture(scope="module")
def soft(digits):
    """Digits, labels, and probabilities whose most probable class is the label."""
    X, y = digits
    noise = np.random.default_rng(0).dirichlet(np.ones(10), len(y))
    return X, y, 0.4 * noise + 0.6 * np.eye(10)[y]


@pytest.fixture(scope="module")
def certain(digits):
    """Digits, labels, and probabilities of 0 and 1."""
    X, y = digits
    return X, y, np.eye(10, dtype=int)[y]


@models
@pytest.mark.parametrize("targets", ["soft", "certain"])
def test_predictions_are_the_most_probable_class_numbers(model, targets, request):
    X, _, probabilities = request.getfixturevalue(targets)
    model.fit(X, probabilities)
    predicted = model.predict(X)
    assert_array_equal(predicted, model.predict_proba(X).argmax(axis=1))
    assert predicted.shape == (len(X),)


@models
def test_score_is_the_same_for_probabilities_and_class_numbers(model, soft):
    X, y, probabilities = soft
    model.fit(X, probabilities)
    accuracy = np.mean(model.predict(X) == y)
    weight = np.linspace(1, 2, len(y))
    for targets in (y, y.tolist(), probabilities, probabilities.tolist()):
        assert model.score(X, targets) == accuracy
    if "Pipeline" not in type(model).__name__:
        assert model.score(X, probabilities, weight) == model.score(X, y, weight)


@pytest.mark.parametrize("name", ["EnsembleClassifier", "of Pipelines", "nested"])
def test_member_scores_accept_probabilities(name, soft):
    X, y, probabilities = soft
    model = MODELS[name].fit(X, probabilities)
    assert_array_equal(model.member_scores(X, probabilities), model.member_scores(X, y))


@models
def test_cross_validation_scores_probabilities(model, soft):
    X, _, probabilities = soft
    scores = cross_val_score(model, X, probabilities, cv=2, error_score="raise")
    ours = packed_cross_validate(model, X, probabilities, cv=2, error_score="raise")
    assert_allclose(ours["test_score"], scores)


@pytest.mark.parametrize("Search", [GridSearchCV, PackedGridSearchCV])
def test_searches_rank_candidates_by_scores_of_probabilities(Search, soft):
    X, y, probabilities = soft
    grid = {"learning_rate_init": [1e-6, 0.03]}
    search = Search(MLP, grid, cv=2).fit(X, probabilities)
    assert search.best_params_ == {"learning_rate_init": 0.03}
    assert search.score(X, probabilities) == search.score(X, y)


@pytest.mark.parametrize("name", NETWORKS)
def test_validation_targets_may_be_class_numbers(name, soft):
    X, y, probabilities = soft
    model = MODELS[name]
    fits = [
        model.fit(X[:200], probabilities[:200], X_val=X[200:], y_val=y_val)
        and (model.validation_scores_, model.history_[:, "valid_loss"])
        for y_val in (y[200:], np.eye(10)[y[200:]])
    ]
    assert fits[0] == fits[1]
    assert fits[0][0][-1] == model.score(X[200:], probabilities[200:])


@pytest.mark.parametrize(
    ("y_val", "match"),
    [
        (np.full(100, 10), "`y_val` has classes not in `self.classes_`"),
        (np.full((100, 9), 1 / 9), r"y_val has shape \(100, 9\)"),
        (np.full((100, 10), 0.2), "y_val has to hold a row of probabilities"),
    ],
    ids=["class", "columns", "sums"],
)
def test_other_validation_targets_are_refused(y_val, match, soft):
    X, _, probabilities = soft
    with pytest.raises(ValueError, match=match):
        MLP.fit(X[:200], probabilities[:200], X_val=X[200:], y_val=y_val)


def test_temperature_accepts_class_numbers(certain):
    X, y, probabilities = certain
    MLP.fit(X, probabilities)
    expected = MLP.calibrate_temperature(X, probabilities).temperature_
    assert MLP.calibrate_temperature(X, y).temperature_ == expected


def test_score_of_other_columns_is_refused(soft):
    X, _, probabilities = soft
    MLP.fit(X, probabilities)
    with pytest.raises(ValueError, match=r"y has shape \(300, 9\), but fit"):
        MLP.score(X, probabilities[:, 1:])
