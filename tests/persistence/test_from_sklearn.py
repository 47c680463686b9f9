import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import neural_network as theirs
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from skmlp.neural_network import MLPClassifier, MLPRegressor
from skmlp.persistence import from_sklearn, load_model, save_model

DIGITS = load_digits()
X = DIGITS.data[:200] / 16
Y = DIGITS.target[:200]
FEW = {"max_iter": 5, "random_state": 0}


def fitted(estimator, X=X, y=Y):
    with warnings.catch_warnings(action="ignore"):
        return estimator.fit(X, y)


CLASSIFIERS = {
    "digits": (theirs.MLPClassifier((20, 10), **FEW), Y),
    "strings": (theirs.MLPClassifier((5,), **FEW), Y.astype(str)),
    "two classes": (theirs.MLPClassifier((5,), activation="tanh", **FEW), Y > 4),
    "several labels": (theirs.MLPClassifier((5,), **FEW), np.eye(10, dtype=int)[Y]),
    "lbfgs": (theirs.MLPClassifier((5,), solver="lbfgs", **FEW), Y),
    "early": (theirs.MLPClassifier((5,), early_stopping=True, **FEW), Y),
    "logistic": (theirs.MLPClassifier((5,), activation="logistic", **FEW), Y),
    "no hidden layer": (theirs.MLPClassifier((), **FEW), Y),
}


@pytest.mark.parametrize("case", CLASSIFIERS)
def test_classifiers_predict_the_same(case):
    estimator, y = CLASSIFIERS[case]
    given = fitted(estimator, y=y)
    made = from_sklearn(given)
    assert type(made) is MLPClassifier
    expected = given.predict_proba(X)
    np.testing.assert_allclose(made.predict_proba(X), expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(made.predict(X), given.predict(X))
    np.testing.assert_array_equal(made.classes_, given.classes_)


@pytest.mark.parametrize("y", [Y, np.stack([Y, Y**2], axis=1)])
@pytest.mark.parametrize("params", [{}, {"loss": "poisson"}, {"activation": "tanh"}])
def test_regressors_predict_the_same(params, y):
    given = fitted(theirs.MLPRegressor(hidden_layer_sizes=9, **params, **FEW), y=y)
    made = from_sklearn(given)
    assert type(made) is MLPRegressor
    np.testing.assert_allclose(made.predict(X), given.predict(X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", CLASSIFIERS)
def test_parameters_and_attributes_are_taken_over(case):
    estimator, y = CLASSIFIERS[case]
    given = fitted(estimator, y=y)
    made = from_sklearn(given)
    assert given.get_params().items() <= made.get_params().items()
    for name in vars(given):
        if name.endswith("_") and not name.startswith("_"):
            np.testing.assert_equal(getattr(made, name), getattr(given, name))


def test_single_precision_stays():
    given = fitted(theirs.MLPClassifier((5,), **FEW), X.astype(np.float32))
    made = from_sklearn(given)
    assert made.coefs_[0].dtype == np.float32
    np.testing.assert_array_equal(made.coefs_[0], given.coefs_[0])


def test_feature_names_are_taken_over():
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    made = from_sklearn(fitted(theirs.MLPClassifier((5,), **FEW), frame))
    assert list(made.feature_names_in_) == list(frame.columns)


def test_weights_are_a_copy():
    given = fitted(theirs.MLPClassifier((5,), **FEW))
    before = from_sklearn(given).predict_proba(X)
    made = from_sklearn(given)
    given.coefs_[0][:] = 0
    np.testing.assert_array_equal(made.predict_proba(X), before)


def test_training_goes_on():
    made = from_sklearn(fitted(theirs.MLPClassifier((20,), **FEW)))
    before = made.loss_
    for _ in range(5):
        made.partial_fit(X, Y)
    assert made.loss_ < before


def test_what_was_taken_over_can_be_saved(tmp_path):
    made = from_sklearn(fitted(theirs.MLPClassifier((20,), **FEW)))
    save_model(made, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(X), made.predict_proba(X))


def test_others_are_refused():
    with pytest.raises(TypeError, match="a LogisticRegression; give scikit-learn's"):
        from_sklearn(LogisticRegression())
    with pytest.raises(NotFittedError):
        from_sklearn(theirs.MLPClassifier())
