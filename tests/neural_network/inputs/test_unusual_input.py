"""Unusual but valid input, and fits that fail during training."""

import math

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skmlp.neural_network import (
    CNNClassifier,
    CNNRegressor,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
    ),
    # Convolutions are fitted to tables of four columns.
    pytest.mark.filterwarnings("ignore::skmlp.exceptions.DataShapeWarning"),
]

CLASSIFIERS = [
    CNNClassifier(2, hidden_layer_sizes=4),
    MLPClassifier(4),
    SoftmaxRegression(),
]
ESTIMATORS = [
    *CLASSIFIERS,
    MLPRegressor(hidden_layer_sizes=4),
    CNNRegressor(2, hidden_layer_sizes=4, conv_dims=1),
]

N_SAMPLES, N_FEATURES = 12, 4
TARGETS = np.arange(N_SAMPLES) % 3


@pytest.fixture
def X():
    return np.random.RandomState(0).normal(size=(N_SAMPLES, N_FEATURES))


@pytest.fixture(params=ESTIMATORS, ids=lambda model: type(model).__name__)
def estimator(request):
    return clone(request.param).set_params(max_iter=1, random_state=0)


@pytest.fixture(params=CLASSIFIERS, ids=lambda model: type(model).__name__)
def classifier(request):
    return clone(request.param).set_params(max_iter=1, random_state=0)


@pytest.fixture
def fit(X):
    """Function that fits a copy of an estimator for two epochs."""

    def fit_copy(estimator, **params):
        model = clone(estimator).set_params(max_iter=2, random_state=0, **params)
        return model.fit(X, TARGETS)

    return fit_copy


def test_alarm_callback_detects_start_of_training(estimator, alarm, X):
    with pytest.raises(alarm.Trained):
        estimator.set_params(callbacks=[alarm]).fit(X, TARGETS)


def test_unfitted_estimator_has_no_fitted_attributes(estimator):
    for name in ("coefs_", "intercepts_", "net_", "n_iter_", "loss_"):
        assert not hasattr(estimator, name)


def test_images_of_other_shape_are_refused_at_predict():
    images = np.random.RandomState(0).normal(size=(N_SAMPLES, 4, 4))
    cnn = CNNClassifier(2, hidden_layer_sizes=4, max_iter=1, random_state=0)
    cnn.fit(images, TARGETS)
    assert cnn.predict(images.reshape(N_SAMPLES, 16)).shape == (N_SAMPLES,)
    with pytest.raises(ValueError, match=r"2, 8"):
        cnn.predict(images.reshape(N_SAMPLES, 2, 8))


def test_absent_device_is_refused(estimator, monkeypatch, alarm, X):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    estimator.set_params(device="cuda", callbacks=[alarm])
    message = (
        "^device='cuda' was requested, but this machine has no CUDA device; use "
        "device='auto' or 'cpu'.$"
    )
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, TARGETS)
    with pytest.raises(NotFittedError):
        estimator.predict(X)


def test_new_labels_are_refused_and_leave_model_unchanged(classifier, fit, X):
    model = fit(classifier)
    message = "`y` has classes not in `self.classes_`"
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, np.full(N_SAMPLES, 9))
    expected = model.predict(X)
    with pytest.raises(ValueError):  # noqa: PT011 scikit-learn's message has changed
        model.set_params(warm_start=True).fit(X, np.arange(N_SAMPLES))
    np.testing.assert_array_equal(model.predict(X), expected)


# The squares of large finite numbers overflow.
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("scoring", [None, "neg_mean_squared_error"])
def test_divergence_error_names_epoch_and_scale(scoring, X):
    model = MLPRegressor(
        solver="sgd",
        learning_rate_init=10,
        early_stopping=True,
        validation_fraction=0.3,
        scoring=scoring,
        restore_best_weights=False,
        random_state=0,
    )
    X = np.clip(200 * X, -255, 255)
    X[0, 0] = 255
    with pytest.raises(
        ValueError,
        match=r"^Training loss became non-finite at epoch \d+; lower "
        r"learning_rate_init or scale X \(its values reach 255\) and y \(its values "
        r"reach 2000\). Solver produced non-finite parameter weights. The input data",
    ):
        model.fit(X, 1e3 * TARGETS)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_diverging_warm_start_restores_earlier_weights(estimator, fit, X):
    model = fit(estimator, solver="sgd", warm_start=True, alpha=0.0)
    predicted, curve = model.predict(X), list(model.loss_curve_)
    model.set_params(learning_rate_init=1e308, max_iter=50)
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(1e3 * X, TARGETS)
    np.testing.assert_array_equal(model.predict(X), predicted)
    assert model.loss_curve_ == curve


def test_ctrl_c_during_validation_keeps_whole_epochs(X):
    class Interrupted:
        calls = 0

        def __call__(self, model, X, y):
            Interrupted.calls += 1
            if Interrupted.calls == 3:
                raise KeyboardInterrupt
            return 0.0

    model = MLPClassifier(4, early_stopping=True, validation_fraction=0.5)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.set_params(scoring=Interrupted()).fit(X, TARGETS % 2)
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_) == 2


def test_integers_train_in_float64_on_request():
    X = np.array([[2**24 + 1], [2**24]])
    model = MLPRegressor(dtype="float64", max_iter=1, random_state=0)
    for features in (X, X.astype(float)):
        model.fit(features, [0.0, 1.0])
        np.testing.assert_array_equal(model.predict(X), model.predict(X.astype(float)))
    assert len(set(model.predict(X))) == 2


@pytest.mark.parametrize("alpha", [np.float32(0.1), np.int64(1)])
def test_numpy_scalars_are_valid_parameters(estimator, alpha, X):
    estimator.set_params(alpha=alpha).fit(X, TARGETS)
    assert np.isfinite(estimator.loss_)


# Unusual but valid input


@pytest.mark.parametrize("size", [1, 2])
def test_few_samples_are_predicted(estimator, size, fit, X):
    assert len(fit(estimator).predict(X[:size])) == size


def test_huge_values_give_finite_probabilities(classifier, fit, X):
    probabilities = fit(classifier).predict_proba(1e30 * X)
    assert np.isfinite(probabilities).all()


def test_regressor_fits_one_sample(X):
    model = MLPRegressor(max_iter=2, random_state=0).fit(X[:1], [3.0])
    assert math.isfinite(model.predict(X[:1])[0])


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd"])
def test_nan_behind_relu_is_detected_in_its_epoch(solver):
    """The layers are large enough for split products; no penalty reveals the NaN."""
    X = np.random.RandomState(0).normal(size=(800, 128)).astype(np.float32)
    X[17] = 3e38
    model = MLPClassifier((256, 256), alpha=0.0, solver=solver, random_state=0)
    with pytest.raises(ValueError, match="non-finite at epoch 1;"):
        model.fit(X, np.arange(800) % 5)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("model", CLASSIFIERS)
def test_fitted_network_can_be_trained_by_torch_code(model, solver, X):
    model = clone(model).set_params(solver=solver, max_iter=2, random_state=0)
    model.partial_fit(X, TARGETS, classes=[0, 1, 2])
    net = model.net_
    state = net.optimizer_.state[net.flat_.values].values()
    tensors = [*net.module_.state_dict(keep_vars=True).values(), *state]
    tensors += [net.flat_.values, net.flat_.gradients]
    assert not any(isinstance(t, torch.Tensor) and t.is_inference() for t in tensors)
    logits = net.module_(torch.from_numpy(X).to(net.flat_.values))
    logits.sum().backward()
