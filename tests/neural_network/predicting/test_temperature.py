"""Temperature: probabilities that are less sure, or surer, of the same classes."""

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
train, held_out = slice(0, 400), slice(400, 1200)
labels = np.column_stack([y % 2, y > 4])


@pytest.fixture(scope="module")
def sure():
    """A network that has learnt its rows by heart, and is surer than it is right."""
    model = MLPClassifier(50, solver="lbfgs", alpha=0.0, random_state=0)
    return model.fit(X[train], y[train])


@pytest.fixture
def copied(sure):
    model = clone(sure)
    model.__dict__.update(sure.__dict__)
    return model


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
def test_temperature_divides_logits(temperature, copied):
    logits = copied.decision_function(X)
    copied.set_params(temperature=temperature)
    assert_array_equal(copied.decision_function(X), logits)
    assert_allclose(copied.predict_proba(X), softmax(logits / temperature, axis=1))
    with np.errstate(divide="ignore"):
        wanted = np.log(copied.predict_proba(X))
    assert_array_equal(copied.predict_log_proba(X), wanted)


def test_temperature_applies_to_binary_and_multilabel_targets():
    two = MLPClassifier(5, max_iter=5, temperature=3.0, random_state=0)
    two.fit(X[train], y[train] > 4)
    wanted = expit(two.decision_function(X) / 3)
    assert_allclose(two.predict_proba(X), np.column_stack([1 - wanted, wanted]))
    several = clone(two).fit(X[train], labels[train])
    assert_allclose(several.predict_proba(X), expit(several.decision_function(X) / 3))


def test_calibration_does_not_change_predicted_classes(copied):
    before = copied.predict(X)
    copied.calibrate_temperature(X[held_out], y[held_out])
    assert_array_equal(copied.predict(X), before)
    assert_array_equal(copied.predict_proba(X).argmax(axis=1), before)


def test_calibration_minimizes_log_loss(copied):
    rows, truth = X[held_out], y[held_out]
    before = log_loss(truth, copied.predict_proba(rows))
    assert copied.calibrate_temperature(rows, truth) is copied
    logits = copied.decision_function(rows)

    def loss(log_temperature):
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -scaled[np.arange(len(truth)), truth].mean()

    # Golden section, where ours is Brent's bounded method.
    wanted = scipy.optimize.minimize_scalar(loss, bracket=(-1, 3), method="golden")
    assert copied.temperature_ == pytest.approx(np.exp(wanted.x), rel=1e-3)
    assert copied.temperature_ > 1
    assert copied.temperature == 1.0
    after = log_loss(truth, copied.predict_proba(rows))
    assert after == pytest.approx(wanted.fun, rel=1e-6)
    assert after < before


def test_calibration_lowers_log_loss_of_two_classes():
    rows, truth = load_breast_cancer(return_X_y=True)
    rows = scale(rows)
    model = MLPClassifier(50, solver="lbfgs", alpha=0.0, random_state=0)
    model.fit(rows[::3], truth[::3])
    rest = np.arange(len(rows)) % 3 > 0
    before = log_loss(truth[rest], model.predict_proba(rows[rest]))
    model.calibrate_temperature(rows[rest], truth[rest])
    assert log_loss(truth[rest], model.predict_proba(rows[rest])) < before


@pytest.mark.parametrize(
    "targets",
    [
        labels,
        scipy.sparse.csr_matrix(labels),
        np.array(list("abcdefghij"))[y],
        pd.Series(y, index=y),
    ],
    ids=["labels", "sparse labels", "words", "Series"],
)
def test_calibration_accepts_every_type_of_targets(targets):
    model = MLPClassifier(5, max_iter=5, random_state=0)
    model.fit(X[train], targets[train]).calibrate_temperature(
        X[held_out], targets[held_out]
    )
    assert 0 < model.temperature_ < np.inf


def test_calibration_accepts_soft_targets():
    soft = np.random.RandomState(0).dirichlet(np.ones(3), len(X))
    model = MLPClassifier(5, max_iter=5, loss="kullback_leibler", random_state=0)
    model.fit(X[train], soft[train]).calibrate_temperature(X[held_out], soft[held_out])
    hard = MLPClassifier(5, max_iter=5, loss="kullback_leibler", random_state=0)
    hard.fit(X[train], y[train]).calibrate_temperature(X[held_out], y[held_out])
    assert np.isfinite([model.temperature_, hard.temperature_]).all()


@pytest.mark.parametrize(
    "model",
    [SoftmaxRegression(max_iter=3), CNNClassifier(2, hidden_layer_sizes=3, max_iter=1)],
    ids=["softmax", "cnn"],
)
def test_every_classifier_can_be_calibrated(model):
    model = clone(model).set_params(random_state=0).fit(X[train], y[train])
    before = log_loss(y[held_out], model.predict_proba(X[held_out]))
    model.calibrate_temperature(X[held_out], y[held_out])
    assert log_loss(y[held_out], model.predict_proba(X[held_out])) <= before


def test_calibration_lowers_log_loss_of_hinge():
    model = MLPClassifier(20, loss="hinge", max_iter=20, random_state=0)
    model.fit(X[train], y[train])
    before = log_loss(y[held_out], model.predict_proba(X[held_out]))
    model.calibrate_temperature(X[held_out], y[held_out])
    assert log_loss(y[held_out], model.predict_proba(X[held_out])) < before


def test_next_fit_resets_temperature(copied):
    copied.calibrate_temperature(X[held_out], y[held_out])
    copied.fit(X[train], y[train])
    assert not hasattr(copied, "temperature_")
    copied.calibrate_temperature(X[held_out], y[held_out])
    copied.set_params(solver="adam").partial_fit(X[train], y[train])
    assert not hasattr(copied, "temperature_")


def test_clone_copies_parameter_without_calibration(copied):
    copied.calibrate_temperature(X[held_out], y[held_out])
    assert not hasattr(clone(copied), "temperature_")
    assert clone(copied.set_params(temperature=2.0)).temperature == 2.0


def test_invalid_calibration_is_refused(copied):
    with pytest.raises(NotFittedError):
        MLPClassifier().calibrate_temperature(X, y)
    with pytest.raises(ValueError, match=r"classes not in `self\.classes_`"):
        copied.calibrate_temperature(X, y + 5)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        copied.calibrate_temperature(X[:9], y[:8])
    with pytest.raises(ValueError, match="'temperature' parameter"):
        MLPClassifier(temperature=0.0).fit(X[train], y[train])
