"""The temperature of averaged probabilities."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from skmlp.neural_network import EnsembleClassifier, MLPClassifier
from skmlp.persistence import load_model, save_model

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs, on purpose
)

SMALL = MLPClassifier(8, max_iter=60, learning_rate_init=0.01)


def cross_entropy(average, y, temperature):
    """Return the cross-entropy of a softmax of the logarithms of an average."""
    powers = average ** (1 / temperature)
    return log_loss(y, powers / powers.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("n_classes", [2, 10])
def test_temperature_minimizes_cross_entropy_of_average(n_classes, digits):
    X, y = digits[0], digits[1] % n_classes
    model = EnsembleClassifier(SMALL, 3, random_state=0).fit(X[:150], y[:150])
    average, predicted = model.predict_proba(X), model.predict(X)
    assert model.calibrate_temperature(X[150:], y[150:]) is model
    best = cross_entropy(average[150:], y[150:], model.temperature_)
    assert_allclose(log_loss(y[150:], model.predict_proba(X[150:])), best)
    for factor in (0.8, 0.97, 1.03, 1.25):
        assert best < cross_entropy(average[150:], y[150:], factor * model.temperature_)
    assert best < log_loss(y[150:], average[150:])
    assert_array_equal(model.predict(X), predicted)
    assert_allclose(model.predict_log_proba(X), np.log(model.predict_proba(X)))


@pytest.mark.parametrize("n_classes", [2, 10])
def test_single_member_has_the_temperature_of_its_network(n_classes, digits):
    X, y = digits[0], digits[1] % n_classes
    model = EnsembleClassifier(SMALL, 1, random_state=0).fit(X[:150], y[:150])
    probabilities = model.calibrate_temperature(X[150:], y[150:]).predict_proba(X)
    network = model[0].calibrate_temperature(X[150:], y[150:])
    assert_allclose(model.temperature_, network.temperature_, rtol=1e-4)
    assert_allclose(probabilities, network.predict_proba(X), rtol=1e-3)


def test_temperature_of_several_labels_divides_log_odds(digits):
    X, y = digits
    labels = np.column_stack([y % 2, y > 4, y == 0]).astype(int)
    model = EnsembleClassifier(SMALL, 1, random_state=0).fit(X[:150], labels[:150])
    target = scipy.sparse.csr_matrix(labels[150:])
    predicted = model.predict(X)
    probabilities = model.calibrate_temperature(X[150:], target).predict_proba(X)
    assert_array_equal(model.predict(X), predicted)
    network = model[0].calibrate_temperature(X[150:], target)
    assert_allclose(model.temperature_, network.temperature_, rtol=1e-4)
    assert_allclose(probabilities, network.predict_proba(X), rtol=1e-3)


def test_soft_targets_calibrate_ensemble(digits):
    X, y = digits
    target = np.full((len(y), 10), 0.02) + 0.8 * np.eye(10)[y]
    network = MLPClassifier(
        8, max_iter=60, learning_rate_init=0.01, loss="kullback_leibler"
    )
    model = EnsembleClassifier(network, 1, random_state=0).fit(X[:150], target[:150])
    soft = model.calibrate_temperature(X[150:], target[150:]).temperature_
    numbers = model.calibrate_temperature(X[150:], y[150:]).temperature_
    assert numbers < soft  # class numbers are more certain than soft targets
    own = model[0].calibrate_temperature(X[150:], target[150:]).temperature_
    assert_allclose(soft, own, rtol=1e-4)


def test_string_labels_in_a_series_calibrate_any_members(iris):
    X, y = iris
    names = pd.Series(np.array(["setosa", "versicolor", "virginica"])[y])
    model = EnsembleClassifier(LogisticRegression(C=0.01), 2).fit(X, names)
    model.calibrate_temperature(X, names)
    assert model.temperature_ < 1  # the penalty made the members uncertain


def test_next_fit_deletes_temperature(digits):
    X, y = digits
    model = EnsembleClassifier(SMALL, 2, random_state=0).fit(X, y)
    before = model.predict_proba(X)
    for method in (model.fit, model.partial_fit):
        model.calibrate_temperature(X, y)
        assert not np.array_equal(model.predict_proba(X), before)
        method(X, y)
        assert not hasattr(model, "temperature_")


def test_failing_fit_preserves_temperature(digits):
    X, y = digits
    model = EnsembleClassifier(SMALL, 2, random_state=0).fit(X, y)
    temperature = model.calibrate_temperature(X, y).temperature_
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full_like(X, np.nan), y)
    assert model.temperature_ == temperature


def test_calibration_refuses_unknown_labels_and_lengths(digits):
    X, y = digits
    model = EnsembleClassifier(SMALL, 2, random_state=0)
    with pytest.raises(NotFittedError):
        model.calibrate_temperature(X, y)
    model.fit(X, y)
    with pytest.raises(ValueError, match=r"classes not in `self.classes_`.*has \[77\]"):
        model.calibrate_temperature(X[:2], [0, 77])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.calibrate_temperature(X[:3], y[:2])
    assert not hasattr(model, "temperature_")


def test_impossible_class_has_a_finite_temperature(iris):
    X, y = iris
    model = EnsembleClassifier(LogisticRegression(C=1e6, max_iter=500), 2).fit(
        1e3 * X[y < 2], y[y < 2]
    )
    assert (model.predict_proba(1e3 * X[y < 2]) == 0).any()
    model.calibrate_temperature(1e3 * X[y < 2], 1 - y[y < 2])
    assert np.isfinite(model.temperature_)
    assert np.isfinite(model.predict_proba(1e3 * X)).all()


def test_saved_ensemble_has_its_temperature(digits, tmp_path):
    X, y = digits
    model = EnsembleClassifier(SMALL, 2, random_state=0).fit(X, y)
    model.calibrate_temperature(X, y)
    save_model(model, tmp_path / "model.skmlp")
    loaded = load_model(tmp_path / "model.skmlp")
    assert loaded.temperature_ == model.temperature_
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
