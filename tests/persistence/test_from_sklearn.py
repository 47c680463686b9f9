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


def fit(estimator, X=X, y=Y):
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
def test_converted_classifier_predicts_equally(case):
    estimator, y = CLASSIFIERS[case]
    original = fit(estimator, y=y)
    converted = from_sklearn(original)
    assert type(converted) is MLPClassifier
    expected = original.predict_proba(X)
    np.testing.assert_allclose(converted.predict_proba(X), expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(converted.predict(X), original.predict(X))
    np.testing.assert_array_equal(converted.classes_, original.classes_)


@pytest.mark.parametrize("y", [Y, np.stack([Y, Y**2], axis=1)])
@pytest.mark.parametrize("params", [{}, {"loss": "poisson"}, {"activation": "tanh"}])
def test_converted_regressor_predicts_equally(params, y):
    original = fit(theirs.MLPRegressor(hidden_layer_sizes=9, **params, **FEW), y=y)
    converted = from_sklearn(original)
    assert type(converted) is MLPRegressor
    np.testing.assert_allclose(
        converted.predict(X), original.predict(X), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("case", CLASSIFIERS)
def test_parameters_and_attributes_are_converted(case):
    estimator, y = CLASSIFIERS[case]
    original = fit(estimator, y=y)
    converted = from_sklearn(original)
    assert original.get_params().items() <= converted.get_params().items()
    for name in vars(original):
        if name.endswith("_") and not name.startswith("_"):
            np.testing.assert_equal(getattr(converted, name), getattr(original, name))


def test_single_precision_is_kept():
    original = fit(theirs.MLPClassifier((5,), **FEW), X.astype(np.float32))
    converted = from_sklearn(original)
    assert converted.coefs_[0].dtype == np.float32
    np.testing.assert_array_equal(converted.coefs_[0], original.coefs_[0])


def test_feature_names_are_converted():
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    converted = from_sklearn(fit(theirs.MLPClassifier((5,), **FEW), frame))
    assert list(converted.feature_names_in_) == list(frame.columns)


def test_weights_are_copied():
    original = fit(theirs.MLPClassifier((5,), **FEW))
    before = from_sklearn(original).predict_proba(X)
    converted = from_sklearn(original)
    original.coefs_[0][:] = 0
    np.testing.assert_array_equal(converted.predict_proba(X), before)


def test_training_continues():
    converted = from_sklearn(fit(theirs.MLPClassifier((20,), **FEW)))
    before = converted.loss_
    for _ in range(5):
        converted.partial_fit(X, Y)
    assert converted.loss_ < before


def test_converted_estimator_can_be_saved(tmp_path):
    converted = from_sklearn(fit(theirs.MLPClassifier((20,), **FEW)))
    save_model(converted, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(X), converted.predict_proba(X))


def test_other_and_unfitted_estimators_are_refused():
    with pytest.raises(TypeError, match="a LogisticRegression; give scikit-learn's"):
        from_sklearn(LogisticRegression())
    with pytest.raises(NotFittedError):
        from_sklearn(theirs.MLPClassifier())
