"""Temperature scaling changes probabilities, but not the predicted classes."""

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax, softmax
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.preprocessing import scale

from skmlp.neural_network import CNNClassifier, MLPClassifier, SoftmaxRegression

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_digits(return_X_y=True)
X = X / 16
train, test = slice(0, 400), slice(400, 1200)
labels = np.column_stack([y % 2, y > 4])


@pytest.fixture(scope="module")
def overconfident():
    """A network that fits its training set perfectly and is overconfident."""
    model = MLPClassifier(50, solver="lbfgs", alpha=0.0, random_state=0)
    return model.fit(X[train], y[train])


@pytest.fixture
def model(overconfident):
    """A copy that a test may change."""
    model = clone(overconfident)
    model.__dict__.update(overconfident.__dict__)
    return model


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
def test_temperature_divides_logits(temperature, model):
    logits = model.hidden_activations(X, layer="output")
    model.set_params(temperature=temperature)
    assert_array_equal(model.hidden_activations(X, layer="output"), logits)
    assert_allclose(model.predict_proba(X), softmax(logits / temperature, axis=1))
    with np.errstate(divide="ignore"):
        expected = np.log(model.predict_proba(X))
    assert_array_equal(model.predict_log_proba(X), expected)


def test_temperature_applies_to_binary_and_multilabel_targets():
    two = MLPClassifier(5, max_iter=5, temperature=3.0, random_state=0)
    two.fit(X[train], y[train] > 4)
    expected = expit(two.hidden_activations(X, layer="output")[:, 0] / 3)
    assert_allclose(two.predict_proba(X), np.column_stack([1 - expected, expected]))
    several = clone(two).fit(X[train], labels[train])
    logits = several.hidden_activations(X, layer="output")
    assert_allclose(several.predict_proba(X), expit(logits / 3))


def test_calibration_does_not_change_predicted_classes(model):
    before = model.predict(X)
    model.calibrate_temperature(X[test], y[test])
    assert_array_equal(model.predict(X), before)
    assert_array_equal(model.predict_proba(X).argmax(axis=1), before)


def test_calibration_minimizes_log_loss(model):
    X_test, y_test = X[test], y[test]
    before = log_loss(y_test, model.predict_proba(X_test))
    assert model.calibrate_temperature(X_test, y_test) is model
    logits = model.hidden_activations(X_test, layer="output")

    def loss(log_temperature):
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -scaled[np.arange(len(y_test)), y_test].mean()

    # The reference is golden-section search; skmlp uses Brent's bounded method.
    reference = scipy.optimize.minimize_scalar(loss, bracket=(-1, 3), method="golden")
    assert model.temperature_ == pytest.approx(np.exp(reference.x), rel=1e-3)
    assert model.temperature_ > 1
    assert model.temperature == 1.0
    after = log_loss(y_test, model.predict_proba(X_test))
    assert after == pytest.approx(reference.fun, rel=1e-6)
    assert after < before


def test_calibration_lowers_log_loss_of_two_classes():
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    model = MLPClassifier(50, solver="lbfgs", alpha=0.0, random_state=0)
    model.fit(X[::3], y[::3])
    rest = np.arange(len(X)) % 3 > 0
    before = log_loss(y[rest], model.predict_proba(X[rest]))
    model.calibrate_temperature(X[rest], y[rest])
    assert log_loss(y[rest], model.predict_proba(X[rest])) < before


@pytest.mark.parametrize(
    "targets",
    [
        labels,
        scipy.sparse.csr_matrix(labels),
        np.array(list("abcdefghij"))[y],
        pd.Series(y, index=y),
    ],
    ids=["multilabel", "sparse multilabel", "strings", "Series"],
)
def test_calibration_accepts_every_type_of_targets(targets):
    model = MLPClassifier(5, max_iter=5, random_state=0)
    model.fit(X[train], targets[train]).calibrate_temperature(X[test], targets[test])
    assert 0 < model.temperature_ < np.inf


def test_calibration_accepts_soft_targets():
    soft = np.random.RandomState(0).dirichlet(np.ones(3), len(X))
    model = MLPClassifier(5, max_iter=5, loss="kullback_leibler", random_state=0)
    model.fit(X[train], soft[train]).calibrate_temperature(X[test], soft[test])
    hard = MLPClassifier(5, max_iter=5, loss="kullback_leibler", random_state=0)
    hard.fit(X[train], y[train]).calibrate_temperature(X[test], y[test])
    assert np.isfinite([model.temperature_, hard.temperature_]).all()


@pytest.mark.parametrize(
    "model",
    [SoftmaxRegression(max_iter=3), CNNClassifier(2, hidden_layer_sizes=3, max_iter=1)],
    ids=["softmax", "cnn"],
)
def test_every_classifier_can_be_calibrated(model):
    model = clone(model).set_params(random_state=0).fit(X[train], y[train])
    before = log_loss(y[test], model.predict_proba(X[test]))
    model.calibrate_temperature(X[test], y[test])
    assert log_loss(y[test], model.predict_proba(X[test])) <= before


def test_calibration_lowers_log_loss_of_hinge():
    model = MLPClassifier(20, loss="hinge", max_iter=20, random_state=0)
    model.fit(X[train], y[train])
    before = log_loss(y[test], model.predict_proba(X[test]))
    model.calibrate_temperature(X[test], y[test])
    assert log_loss(y[test], model.predict_proba(X[test])) < before


def test_next_fit_resets_temperature(model):
    model.calibrate_temperature(X[test], y[test])
    model.fit(X[train], y[train])
    assert not hasattr(model, "temperature_")
    model.calibrate_temperature(X[test], y[test])
    model.set_params(solver="adam").partial_fit(X[train], y[train])
    assert not hasattr(model, "temperature_")


def test_clone_copies_parameter_without_calibration(model):
    model.calibrate_temperature(X[test], y[test])
    assert not hasattr(clone(model), "temperature_")
    assert clone(model.set_params(temperature=2.0)).temperature == 2.0


def test_invalid_calibration_is_refused(model):
    with pytest.raises(NotFittedError):
        MLPClassifier().calibrate_temperature(X, y)
    with pytest.raises(ValueError, match=r"classes not in `self\.classes_`"):
        model.calibrate_temperature(X, y + 5)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.calibrate_temperature(X[:9], y[:8])
    with pytest.raises(ValueError, match="'temperature' parameter"):
        MLPClassifier(temperature=0.0).fit(X[train], y[train])
