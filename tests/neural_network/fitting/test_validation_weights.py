"""`sample_weight_val`: weights of the validation set, in every way to fit."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import config_context
from sklearn.model_selection import GridSearchCV

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def parts(digits):
    """Training set, validation set, and weights of the validation samples."""
    X, y = digits
    weight = np.random.RandomState(0).uniform(0.0, 3.0, 100)
    weight[:30] = 0.0
    return X[:200], y[:200], X[200:], y[200:], weight


@pytest.fixture
def classifiers(mlp):
    return {
        "MLPClassifier": mlp(),
        "SoftmaxRegression": SoftmaxRegression(max_iter=3, random_state=0),
        "CNNClassifier": CNNClassifier(2, max_iter=3, random_state=0),
    }


@pytest.mark.parametrize(
    "name", ["MLPClassifier", "SoftmaxRegression", "CNNClassifier"]
)
def test_weights_count_in_validation_loss_and_score(name, classifiers, parts):
    X, y, X_val, y_val, weight = parts
    model = classifiers[name].set_params(restore_best_weights=False)
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    score = model.score(X_val, y_val, weight)
    assert model.validation_scores_[-1] == pytest.approx(score)
    p = model.predict_proba(X_val)[np.arange(100), y_val]
    loss = np.average(-np.log(p), weights=weight)
    assert model.history_[-1]["valid_loss"] == pytest.approx(loss)


def test_weights_count_in_score_of_regressor(diabetes):
    X, y = diabetes
    weight = np.arange(100.0)
    model = MLPRegressor(max_iter=3, random_state=0, restore_best_weights=False)
    model.fit(X[:300], y[:300], None, X[300:400], y[300:400], weight)
    score = model.score(X[300:400], y[300:400], weight)
    assert model.validation_scores_[-1] == pytest.approx(score)


def test_zero_weight_equals_removed_sample(mlp, parts, assert_equal_weights):
    X, y, X_val, y_val, weight = parts
    weight = (weight > 0).astype(int)
    kept = weight == 1
    weighted = mlp().fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    removed = mlp().fit(X, y, X_val=X_val[kept], y_val=y_val[kept])
    assert_allclose(weighted.validation_scores_, removed.validation_scores_)
    assert_equal_weights(weighted, removed)


def test_class_weights_multiply_validation_weights(mlp, parts):
    X, y, X_val, y_val, weight = parts
    classes = dict.fromkeys(range(10), 1.0) | {3: 5.0}
    model = mlp(class_weight=classes, restore_best_weights=False)
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    both = weight * np.where(y_val == 3, 5.0, 1.0)
    assert model.validation_scores_[-1] == pytest.approx(
        model.score(X_val, y_val, both)
    )


def test_scorer_gets_validation_weights(mlp, parts):
    X, y, X_val, y_val, weight = parts
    model = mlp(scoring="accuracy", restore_best_weights=False)
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    assert model.validation_scores_[-1] == pytest.approx(
        model.score(X_val, y_val, weight)
    )


def test_packed_search_weighs_validation_set(mlp, parts):
    X, y, X_val, y_val, weight = parts
    grid = {"learning_rate_init": [0.001, 0.01, 0.1]}
    given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": weight}
    model = mlp().set_params(dtype="float64")
    searches = [
        cls(model, grid, cv=2).fit(X, y, **given)
        for cls in (PackedGridSearchCV, GridSearchCV)
    ]
    packed, alone = (s.cv_results_["mean_test_score"] for s in searches)
    assert_allclose(packed, alone)
    curves = [s.best_estimator_.validation_scores_ for s in searches]
    assert_allclose(*curves)


def test_routed_search_passes_validation_weights(mlp, parts):
    X, y, X_val, y_val, weight = parts
    given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": weight}
    with config_context(enable_metadata_routing=True):
        model = mlp().set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
        search = GridSearchCV(model, {"alpha": [0.1]}, cv=2).fit(X, y, **given)
    best = search.best_estimator_
    assert best.best_validation_score_ == pytest.approx(
        best.score(X_val, y_val, weight)
    )


def test_ensemble_passes_validation_weights_to_members(mlp, parts):
    X, y, X_val, y_val, weight = parts
    model = EnsembleClassifier(mlp(), n_estimators=2, random_state=0)
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    for member in model.estimators_:
        score = member.score(X_val, y_val, weight)
        assert member.best_validation_score_ == pytest.approx(score)


def test_checkpoint_of_other_validation_weights_is_refused(mlp, parts, tmp_path):
    X, y, X_val, y_val, weight = parts
    model = mlp(checkpoint=tmp_path / "fit")
    given = {"X_val": X_val, "y_val": y_val}
    model.fit(X, y, **given, sample_weight_val=weight)
    with pytest.raises(ValueError, match="another fit: sample_weight_val was"):
        model.fit(X, y, **given, sample_weight_val=weight[::-1])
    with pytest.raises(ValueError, match="another fit: sample_weight_val was"):
        model.fit(X, y, **given)


@pytest.mark.parametrize(
    ("weight", "error"),
    [
        (np.ones(99), r"Of sample_weight_val: .*\(99,\)"),
        (np.full(100, np.nan), "Of sample_weight_val: .*NaN"),
        (np.full(100, -1.0), "Of sample_weight_val: Negative values"),
        (np.zeros(100), "Of sample_weight_val: Sample weights must contain"),
    ],
    ids=["length", "NaN", "negative", "zero"],
)
def test_invalid_validation_weights_are_refused(weight, error, mlp, parts):
    X, y, X_val, y_val, _ = parts
    with pytest.raises(ValueError, match=error):
        mlp().fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)


def test_validation_weights_without_validation_set_are_refused(mlp, digits):
    with pytest.raises(ValueError, match="given without X_val and y_val"):
        mlp().fit(*digits, sample_weight_val=np.ones(300))


def test_class_weight_that_leaves_no_validation_sample_is_refused(mlp, parts):
    X, y, X_val, y_val, _ = parts
    weight = (y_val == 3).astype(float)
    model = mlp(class_weight=dict.fromkeys(range(10), 1.0) | {3: 0.0})
    with pytest.raises(ValueError, match="leaves no row of X_val"):
        model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
