"""Behaviour at the edges, where it has to equal scikit-learn's."""

import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import neural_network as theirs
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, make_scorer, roc_auc_score
from sklearn.preprocessing import scale

from skmlp.model_selection import PackedGridSearchCV, packed_cross_validate
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

unconverged = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)

DIVERGING = {
    "activation": "identity",
    "solver": "sgd",
    "learning_rate_init": 1,
    "max_iter": 20,
    "random_state": 0,
}
SENTENCE = re.escape(
    "Solver produced non-finite parameter weights. The input data may contain large "
    "values and need to be preprocessed."
)


# Divergence


def test_diverging_loss_keeps_the_best_epoch_under_early_stopping(iris):
    X, y = iris
    model = MLPRegressor(early_stopping=True, **DIVERGING)
    with pytest.warns(ConvergenceWarning, match="epoch 6.* has the weights of epoch 1"):
        model.fit(X, y)
    assert np.isnan(model.validation_scores_[-1])
    assert np.isnan(model.loss_)
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_) == 6
    expected = MLPRegressor(early_stopping=True, **DIVERGING | {"max_iter": 1})
    with pytest.warns(ConvergenceWarning, match="hasn't converged"):
        expected.fit(X, y)
    assert_array_equal(model.predict(X), expected.predict(X))


def test_diverging_loss_keeps_the_best_epoch_on_the_callers_validation_set(iris):
    X, y = iris
    model = MLPRegressor(**DIVERGING)
    with pytest.warns(ConvergenceWarning, match="became non-finite at epoch 6"):
        model.fit(X, y, X_val=X[::5], y_val=y[::5])
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("options", [{}, {"restore_best_weights": False}])
def test_diverging_loss_without_best_weights_is_an_error(options, iris):
    model = MLPRegressor(early_stopping=bool(options), **options, **DIVERGING)
    with pytest.raises(ValueError, match=f"non-finite at epoch .*{SENTENCE}"):
        model.fit(*iris)


def test_diverging_pack_keeps_each_members_best_epoch(iris):
    X, y = iris
    model = MLPRegressor(early_stopping=True, **DIVERGING)
    grid = {"learning_rate_init": [1, 0.8, 1e-3]}
    search = PackedGridSearchCV(model, grid, cv=2, error_score="raise", refit=False)
    with pytest.warns(ConvergenceWarning) as caught:
        search.fit(X, y)
    diverged = [w for w in caught if "became non-finite" in str(w.message)]
    assert len(diverged) == 4
    for i in (0, 1):
        test = np.array_split(np.arange(150), 2)[i]
        train = np.setdiff1d(np.arange(150), test)
        with pytest.warns(ConvergenceWarning):
            alone = MLPRegressor(early_stopping=True, **DIVERGING).fit(
                X[train], y[train]
            )
        score = search.cv_results_[f"split{i}_test_score"][0]
        assert score == pytest.approx(alone.score(X[test], y[test]), rel=1e-3)


# Scores of validation sets that lack a class

SCORINGS = [
    "neg_log_loss",
    "roc_auc_ovr",
    "roc_auc_ovo",
    "roc_auc_ovr_weighted",
    "roc_auc_ovo_weighted",
    "top_k_accuracy",
]


@pytest.fixture(scope="module")
def few_digits():
    X, y = load_digits(return_X_y=True)
    return X[:150] / 16, y[:150]


@unconverged
@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize(
    "model",
    [
        MLPClassifier(10),
        CNNClassifier(2, hidden_layer_sizes=4),
        SoftmaxRegression(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_scorers_know_the_classes_that_a_validation_set_lacks(
    scoring, model, few_digits
):
    X, y = few_digits
    few = np.flatnonzero(y < 8)[:20]
    model.set_params(scoring=scoring, max_iter=2, random_state=0)
    model.fit(X, y, X_val=X[few], y_val=y[few])
    assert np.isfinite(model.validation_scores_).all()


@unconverged
@pytest.mark.parametrize("seed", range(3))
def test_log_loss_of_few_samples_is_a_valid_scoring(seed, few_digits):
    model = MLPClassifier(10, early_stopping=True, scoring="neg_log_loss", max_iter=2)
    model.set_params(random_state=seed).fit(*few_digits)
    assert np.isfinite(model.validation_scores_).all()


@unconverged
def test_area_is_averaged_over_the_classes_of_the_validation_set(few_digits):
    X, y = few_digits
    few = np.flatnonzero(y < 8)[:40]
    model = MLPClassifier(10, scoring="roc_auc_ovr", max_iter=1, random_state=0)
    model.fit(X, y, X_val=X[few], y_val=y[few])
    probabilities = model.predict_proba(X[few])
    areas = [
        roc_auc_score(y[few] == label, probabilities[:, label]) for label in range(8)
    ]
    assert model.validation_scores_ == [pytest.approx(np.mean(areas))]


@unconverged
def test_own_labels_of_a_scorer_stay(few_digits):
    X, y = few_digits
    scorer = make_scorer(
        log_loss, response_method="predict_proba", labels=np.arange(10)
    )
    model = MLPClassifier(10, scoring=scorer, max_iter=1, random_state=0)
    model.fit(X, y, X_val=X[:20], y_val=y[:20])
    expected = log_loss(y[:20], model.predict_proba(X[:20]), labels=np.arange(10))
    assert model.validation_scores_ == [pytest.approx(expected)]


@unconverged
def test_packs_know_the_classes_that_a_validation_set_lacks(few_digits):
    model = MLPClassifier(
        10, early_stopping=True, scoring="neg_log_loss", max_iter=2, random_state=0
    )
    result = packed_cross_validate(model, *few_digits, cv=3, error_score="raise")
    assert np.isfinite(result["test_score"]).all()


# Decision function


@unconverged
def test_calibration_equals_sklearn():
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    params = {"hidden_layer_sizes": (5,), "max_iter": 15, "random_state": 0}
    ours = CalibratedClassifierCV(MLPClassifier(**params), cv=3).fit(X, y)
    expected = CalibratedClassifierCV(theirs.MLPClassifier(**params), cv=3).fit(X, y)
    assert_allclose(ours.predict_proba(X), expected.predict_proba(X), rtol=1e-6)


def test_only_linear_and_convolutional_classifiers_have_a_decision_function():
    with pytest.raises(AttributeError, match="has no attribute 'decision_function'"):
        MLPClassifier().decision_function  # noqa: B018
    assert hasattr(CNNClassifier(), "decision_function")
    assert hasattr(SoftmaxRegression(), "decision_function")
    assert not hasattr(EnsembleClassifier(), "decision_function")


# Stratification


@pytest.mark.parametrize("labels", [[0, 0, 0, 1], ["b", "a", "a", "a"]])
def test_rare_class_is_named_as_by_sklearn(labels):
    X = [[1, 2], [2, 3], [3, 4], [4, 5]]
    with pytest.raises(ValueError, match="least populated") as expected:
        theirs.MLPClassifier(early_stopping=True).fit(X, labels)
    with pytest.raises(ValueError, match="least populated") as raised:
        MLPClassifier(early_stopping=True).fit(X, labels)
    text = str(raised.value)
    assert text.startswith(str(expected.value))
    assert f"False is the class {min(labels)!r} and True is the class" in text


# Weights


@unconverged
@pytest.mark.parametrize(
    "model",
    [
        MLPClassifier(4),
        MLPRegressor(hidden_layer_sizes=4),
        CNNClassifier(2, image_shape=(2, 2), hidden_layer_sizes=4),
        SoftmaxRegression(),
        SoftmaxRegression(solver="lbfgs", max_iter=200),
        EnsembleClassifier(MLPClassifier(4, max_iter=2), 2),
        EnsembleClassifier(MLPClassifier(4, max_iter=2), 2, n_jobs=1),
    ],
    ids=repr,
)
@pytest.mark.parametrize("kind", ["array", "series", "strided"])
def test_read_only_sample_weights_are_accepted(model, kind):
    X, y = load_iris(return_X_y=True)
    weight = np.linspace(0.5, 1.5, 300)[::2]
    if kind != "strided":
        weight = weight.copy()
    weight.flags.writeable = False
    if kind == "series":
        weight = pd.Series(weight, copy=False)
    if "solver" not in repr(model) and not isinstance(model, EnsembleClassifier):
        model.set_params(max_iter=2)
    model.fit(X, y, sample_weight=weight)  # a warning would be an error


# partial_fit


def test_partial_fit_of_lbfgs_is_missing_as_in_sklearn():
    models = MLPClassifier(solver="lbfgs"), theirs.MLPClassifier(solver="lbfgs")
    assert not hasattr(models[0], "partial_fit")
    texts = []
    for estimator in models:
        with pytest.raises(AttributeError) as raised:
            estimator.partial_fit([[1.0], [2.0]], [0, 1], classes=[0, 1])
        texts.append(str(raised.value))
    assert texts[0].startswith(texts[1])
    assert "lbfgs is not stochastic" in texts[0]
