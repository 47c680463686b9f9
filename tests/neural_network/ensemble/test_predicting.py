"""Averaged probabilities, and every type of labels and features."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs, on purpose
)

SMALL = MLPClassifier(6, max_iter=5)
NETWORKS = {
    "mlp": SMALL,
    "softmax": SoftmaxRegression(max_iter=5),
    "cnn": CNNClassifier(2, hidden_layer_sizes=5, max_iter=2),
}


@pytest.mark.parametrize("n_classes", [2, 10])
def test_probabilities_are_the_mean_of_members(n_classes, digits):
    X, y = digits
    model = EnsembleClassifier(SMALL, 3, random_state=0).fit(X, y % n_classes)
    mean = np.mean([member.predict_proba(X) for member in model], axis=0)
    assert_allclose(model.predict_proba(X), mean, rtol=1e-14)
    assert_array_equal(model.predict(X), model.classes_[mean.argmax(axis=1)])
    assert_allclose(model.predict_log_proba(X), np.log(mean), rtol=1e-12)


def test_ensemble_scores_at_least_its_average_member():
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y, test_size=0.5, random_state=0
    )
    network = MLPClassifier(20, max_iter=40)
    model = EnsembleClassifier(network, 5, random_state=0).fit(X_train, y_train)
    scores = model.member_scores(X_test, y_test)
    assert model.score(X_test, y_test) >= scores.mean()
    assert len(set(scores)) > 1


@settings(max_examples=15, deadline=None)
@given(
    n_members=st.integers(1, 4),
    n_classes=st.integers(2, 4),
    seed=st.integers(0, 2**32 - 1),
    bootstrap=st.booleans(),
)
def test_cross_entropy_is_at_most_the_mean_of_members(
    n_members, n_classes, seed, bootstrap
):
    """Jensen's inequality holds for any members."""
    draw = np.random.default_rng(seed)
    X, y = draw.normal(size=(40, 3)), np.arange(40) % n_classes
    network = MLPClassifier(4, max_iter=3, learning_rate_init=0.3)
    model = EnsembleClassifier(
        network, n_members, bootstrap=bootstrap, random_state=seed
    ).fit(X, y)
    losses = [log_loss(y, member.predict_proba(X)) for member in model]
    assert log_loss(y, model.predict_proba(X)) <= np.mean(losses) * (1 + 1e-12)


class ConstantClassifier(ClassifierMixin, BaseEstimator):
    """Predict the same probabilities for every sample."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.tile(self.probabilities, (len(X), 1))


def ensemble_with_probabilities(*probabilities):
    """Return an ensemble with one constant member for each row of probabilities."""
    model = EnsembleClassifier(ConstantClassifier(), len(probabilities))
    names = np.array(["a", "b", "c"])[: len(probabilities[0])]
    model.fit(np.zeros((len(names), 1)), names)
    for member, own in zip(model, probabilities, strict=True):
        member.probabilities = own
    return model


def test_prediction_averages_probabilities_instead_of_votes():
    model = ensemble_with_probabilities([0.1, 0.9], [0.6, 0.4], [0.6, 0.4])
    assert model.predict([[0.0]]).tolist() == ["b"]


def test_first_class_wins_ties():
    assert ensemble_with_probabilities([0.25, 0.75], [0.75, 0.25]).predict([[0.0]]) == [
        "a"
    ]
    thirds = ensemble_with_probabilities([0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    assert thirds.predict([[0.0]]).tolist() == ["b"]


def test_impossible_class_has_log_probability_minus_infinity():
    model = ensemble_with_probabilities([1.0, 0.0], [1.0, 0.0])
    assert model.predict_log_proba([[0.0]]).tolist() == [[0.0, -np.inf]]


def test_ensemble_has_no_decision_function():
    assert not hasattr(EnsembleClassifier(), "decision_function")


def test_member_scores_equal_scores_of_members(digits):
    X, y = digits
    model = EnsembleClassifier(SMALL, 3, random_state=0).fit(X, y)
    weight = np.linspace(0, 1, len(y))
    own = [member.score(X, y, weight) for member in model]
    assert model.member_scores(X, y, weight).tolist() == own
    assert model.member_scores(X, y).tolist() != own


def test_string_labels_are_predicted(iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = EnsembleClassifier(MLPClassifier(max_iter=300), 2, random_state=0)
    model.fit(X, names)
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert model.score(X, names) > 0.9


@pytest.mark.parametrize("sparse", [False, True])
def test_multilabel_prediction_thresholds_mean_probabilities(sparse, digits):
    X, y = digits
    labels = np.column_stack([y % 2, y > 4, y == 0]).astype(int)
    target = scipy.sparse.csr_matrix(labels) if sparse else labels
    model = EnsembleClassifier(SMALL, 3, random_state=0).fit(X, target)
    mean = np.mean([member.predict_proba(X) for member in model], axis=0)
    predicted = model.predict(X)
    assert scipy.sparse.issparse(predicted) == sparse
    assert_array_equal(predicted.toarray() if sparse else predicted, mean > 0.5)
    assert model.score(X, target) == ((mean > 0.5) == labels).all(axis=1).mean()


def test_soft_targets_predict_most_probable_class(digits):
    X, y = digits
    target = np.full((len(y), 10), 0.02) + 0.8 * np.eye(10)[y]
    network = MLPClassifier(6, max_iter=5, loss="kullback_leibler")
    model = EnsembleClassifier(network, 2, random_state=0).fit(X, target)
    mean = np.mean([member.predict_proba(X) for member in model], axis=0)
    assert_array_equal(model.predict(X), mean.argmax(axis=1))


def test_feature_names_warn_once_for_all_members():
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = EnsembleClassifier(SMALL, 3, random_state=0).fit(X, y)
    assert model.feature_names_in_.tolist() == X.columns.tolist()
    assert model.n_features_in_ == 4
    values = X.to_numpy()
    assert_array_equal(
        model.predict_proba(X), clone(model).fit(values, y).predict_proba(values)
    )
    with pytest.warns(
        UserWarning, match="EnsembleClassifier was fitted with"
    ) as caught:
        model.predict(values)
    assert len(caught) == 1
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X.rename(columns={X.columns[0]: "other"}))


def test_column_vector_y_warns_once_for_all_members(iris, assert_equal_members):
    X, y = iris
    with pytest.warns(sklearn.exceptions.DataConversionWarning) as caught:
        model = EnsembleClassifier(SMALL, 2, random_state=0).fit(X, y[:, None])
    assert sum(w.category is not ConvergenceWarning for w in caught) == 1
    same = clone(model).fit(X, pd.Series(y, name="kind"))
    assert_equal_members(model.estimators_, same.estimators_)


def test_sparse_data_predict_as_dense_data(digits):
    X, y = digits
    model = EnsembleClassifier(SMALL, 2, random_state=0, bootstrap=True)
    dense = model.fit(X, y).predict_proba(X)
    sparse = scipy.sparse.csr_matrix(X)
    assert_allclose(clone(model).fit(sparse, y).predict_proba(sparse), dense)


def test_images_retain_their_shape():
    images, y = load_digits(return_X_y=True)
    images = images[:100].reshape(100, 4, 16).astype(np.uint8)
    model = EnsembleClassifier(NETWORKS["cnn"], 2, random_state=0).fit(images, y[:100])
    assert [member.image_shape_ for member in model] == [(4, 16, 1)] * 2
    assert model.n_features_in_ == 64
    assert_array_equal(model.predict(images), model.predict(images[..., None]))
    assert model.predict_proba(images[:1]).shape == (1, 10)


def test_wrong_feature_count_is_refused_in_name_of_ensemble(digits):
    model = EnsembleClassifier(SMALL, 2).fit(*digits)
    message = "X has 3 features, but EnsembleClassifier is expecting 64"
    for method in (model.predict, model.predict_proba):
        with pytest.raises(ValueError, match=message):
            method(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=message):
        model.fit(*digits, X_val=np.zeros((2, 3)), y_val=[0, 1])
