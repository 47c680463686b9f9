"""`score` equals scikit-learn's accuracy for every type of labels."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.metrics import accuracy_score

from skmlp.neural_network import MLPClassifier, SoftmaxRegression
from skmlp.neural_network._base import classifier as _classifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, species = load_iris(return_X_y=True)
ENCODINGS = {
    "int": species,
    "uint8": species.astype(np.uint8),
    "gapped": species * 7 - 3,
    "bool": species == 1,
    "binary": (species > 0).astype(int),
    "float": species.astype(float),
    "strings": np.array(["setosa", "versicolor", "virginica"])[species],
    "objects": np.array(["a", "b", "c"], dtype=object)[species],
    "series": pd.Series(np.array(["a", "b", "c"])[species]),
    "list": species.tolist(),
    "column": species[:, np.newaxis],
    "labels": np.column_stack([species == 0, species > 0, species == 2]).astype(int),
}


@pytest.fixture(scope="module", params=ENCODINGS)
def fitted(request):
    y = ENCODINGS[request.param]
    model = MLPClassifier((4,), max_iter=15, learning_rate_init=0.02, random_state=0)
    # The warnings are about few epochs and about the column vector.
    with warnings.catch_warnings(action="ignore"):
        return model.fit(X, y), y


def test_score_is_accuracy_of_predictions(fitted):
    model, y = fitted
    score = model.score(X, y)
    assert type(score) is float
    assert score == accuracy_score(y, model.predict(X))


def test_score_of_plain_labels_does_not_call_sklearn(monkeypatch):
    model = SoftmaxRegression(max_iter=20, random_state=0).fit(X, species)
    expected = accuracy_score(species, model.predict(X))
    monkeypatch.setattr(_classifier, "accuracy_score", None)
    assert model.score(X, species) == expected


class ListClassifier(SoftmaxRegression):
    """Predict a list instead of an array."""

    def predict(self, X):
        return super().predict(X).tolist()


def test_subclass_may_predict_list():
    model = ListClassifier(max_iter=20, random_state=0).fit(X, species)
    assert model.score(X, species) == accuracy_score(species, model.predict(X))


def test_score_uses_sample_weights(fitted):
    model, y = fitted
    weight = np.random.default_rng(0).uniform(size=len(X))
    expected = accuracy_score(y, model.predict(X), sample_weight=weight)
    assert model.score(X, y, weight) == expected


def test_score_handles_unseen_labels_and_other_integer_types():
    model = SoftmaxRegression(max_iter=20, random_state=0).fit(X, species)
    for y in (species + 1, species.astype(np.int8), species.astype(np.uint16)):
        assert model.score(X, y) == accuracy_score(y, model.predict(X))


@pytest.mark.parametrize("y", [species[:-1], np.column_stack([species, species])])
def test_invalid_y_raises_error_of_sklearn(y):
    model = SoftmaxRegression(max_iter=5, random_state=0).fit(X, species)
    with pytest.raises(ValueError, match=r".") as expected:
        accuracy_score(y, model.predict(X))
    with pytest.raises(ValueError, match=r".") as raised:
        model.score(X, y)
    assert str(raised.value) == str(expected.value)
