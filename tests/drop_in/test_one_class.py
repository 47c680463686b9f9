"""Labels of one class are accepted as scikit-learn's networks accept them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import neural_network as theirs
from sklearn.model_selection import GridSearchCV, KFold

from skmlp.model_selection import PackedGridSearchCV, packed_cross_validate
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning",
    "ignore:lbfgs failed to converge:sklearn.exceptions.ConvergenceWarning",
)

X = np.random.RandomState(0).normal(size=(40, 3))
PARAMS = {"hidden_layer_sizes": (5,), "max_iter": 4, "random_state": 0}
ATTRIBUTES = ("n_outputs_", "n_layers_", "n_iter_", "t_", "out_activation_")

CLASSIFIERS = [
    MLPClassifier(4, max_iter=2, random_state=0),
    CNNClassifier(2, image_shape=(1, 3), hidden_layer_sizes=4, max_iter=2),
    SoftmaxRegression(max_iter=2, random_state=0),
    EnsembleClassifier(MLPClassifier(4, max_iter=2), 2, random_state=0),
]


def type_name(value):
    return type(value).__name__


def assert_networks_agree(our, their):
    assert_array_equal(our.classes_, their.classes_)
    assert our.classes_.dtype == their.classes_.dtype
    assert {name: getattr(our, name) for name in ATTRIBUTES} == {
        name: getattr(their, name) for name in ATTRIBUTES
    }
    assert our.loss_ == pytest.approx(their.loss_)
    for ours, expected in zip(our.coefs_, their.coefs_, strict=True):
        assert_allclose(ours, expected, rtol=1e-6, atol=1e-9)
    assert_allclose(our.predict_proba(X), their.predict_proba(X), rtol=1e-6)
    assert_array_equal(our.predict(X), their.predict(X))


@pytest.mark.parametrize("label", [0, 3, "a", True])
@pytest.mark.parametrize(
    "params", [{}, {"early_stopping": True}, {"solver": "lbfgs"}, {"solver": "sgd"}]
)
def test_fit_equals_sklearn(label, params):
    y = np.full(len(X), label)
    our = MLPClassifier(**PARAMS, **params).fit(X, y)
    their = theirs.MLPClassifier(**PARAMS, **params)
    try:
        their.fit(X, y)
    except TypeError:
        pytest.skip("this scikit-learn cannot stop early with labels of text")
    assert_networks_agree(our, their)
    assert our.predict_proba(X).shape == (len(X), 2)
    assert our.score(X, y) == their.score(X, y) == 1.0
    if "early_stopping" in params:
        assert our.validation_scores_ == their.validation_scores_


@pytest.mark.parametrize("classes", [[0], [0, 1], [0, 1, 2], ["a"], ["a", "b", "c"]])
def test_partial_fit_equals_sklearn(classes):
    y = np.full(len(X), classes[-1])
    our, their = MLPClassifier(**PARAMS), theirs.MLPClassifier(**PARAMS)
    for _ in range(2):
        our.partial_fit(X, y, classes=classes)
        their.partial_fit(X, y, classes=classes)
    assert_networks_agree(our, their)


def test_warm_start_equals_sklearn():
    y = np.full(len(X), "a")
    our = MLPClassifier(**PARAMS, warm_start=True).fit(X, y).fit(X, y)
    their = theirs.MLPClassifier(**PARAMS, warm_start=True).fit(X, y).fit(X, y)
    assert_networks_agree(our, their)
    with pytest.raises(ValueError, match="same classes as in the previous call"):
        our.fit(X, np.resize(["a", "b"], len(X)))


@pytest.mark.parametrize("model", CLASSIFIERS, ids=type_name)
@pytest.mark.parametrize("label", [7, "a"])
def test_every_classifier_predicts_the_class(model, label):
    y = np.full(len(X), label)
    model.fit(X, y)
    # A logit far on the side of the missing class does not matter either.
    for member in getattr(model, "estimators_", [model]):
        member.intercepts_[-1][:] = 10.0
    assert_array_equal(model.predict(X), y)
    assert model.score(X, y) == 1.0
    assert model.predict_proba(X).shape == (len(X), 2)


@pytest.mark.parametrize("model", CLASSIFIERS[:3], ids=type_name)
@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "kullback_leibler"])
def test_every_loss_accepts_one_class(model, loss):
    model.set_params(loss=loss)
    try:
        assert model.fit(X, np.full(len(X), "a")).score(X, ["a"] * len(X)) == 1.0
    finally:
        model.set_params(loss="log_loss")


@pytest.mark.parametrize("model", CLASSIFIERS[:3], ids=type_name)
def test_single_sample_is_accepted(model):
    assert model.fit(X[:1], ["a"]).predict(X[:1]) == ["a"]


def test_packed_cross_validation_accepts_folds_of_one_class():
    y = np.repeat([0, 1], 20)  # both training sets have one class
    model, cv = MLPClassifier(**PARAMS), KFold(2)
    packed = packed_cross_validate(model, X, y, cv=cv, error_score="raise")
    assert_array_equal(packed["test_score"], [0.0, 0.0])


def test_packed_search_equals_sklearn_where_a_class_is_rare():
    y = np.r_[np.zeros(38, int), 1, 1]
    grid = {"alpha": [0.01, 1.0]}
    options = {"cv": KFold(4), "error_score": "raise"}
    ours = PackedGridSearchCV(MLPClassifier(**PARAMS), grid, **options).fit(X, y)
    alone = GridSearchCV(theirs.MLPClassifier(**PARAMS), grid, **options).fit(X, y)
    for i in range(4):
        name = f"split{i}_test_score"
        assert_allclose(ours.cv_results_[name], alone.cv_results_[name])
