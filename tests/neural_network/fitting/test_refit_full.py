"""`refit_full` trains again on all samples, for the best number of epochs."""

import warnings
from functools import partial

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale
from skorch.callbacks import Callback

from skmlp.neural_network import CNNClassifier, MLPClassifier, MLPRegressor

X, y = load_breast_cancer(return_X_y=True)
X = scale(X)
D, number = load_diabetes(return_X_y=True)
D, number = scale(D), scale(number)

PARAMS = {"hidden_layer_sizes": (9, 5), "random_state": 3, "max_iter": 15}


def fit(model, *args, **kwargs):
    """Fit without the warning that a few epochs do not converge."""
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return model.fit(*args, **kwargs)


@pytest.fixture
def assert_same_weights(assert_equal_weights):
    return partial(assert_equal_weights, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_refit_full_equals_sklearn_fit_of_best_epoch_length(
    kind, solver, assert_same_weights
):
    params = PARAMS | {"solver": solver}
    if kind == "classifier":
        model, other, data = (
            MLPClassifier(**params),
            sklearn.neural_network.MLPClassifier,
            (X, y),
        )
    else:
        model, other, data = (
            MLPRegressor(**params),
            sklearn.neural_network.MLPRegressor,
            (D, number),
        )
    fit(model.set_params(early_stopping=True, refit_full=True), *data)
    reference = other(
        **params | {"max_iter": model.best_epoch_, "n_iter_no_change": np.inf}
    )
    assert_same_weights(model, fit(reference, *data))
    assert model.loss_ == pytest.approx(reference.loss_)


def test_refit_full_leaves_best_epoch_and_scores_of_first_fit():
    plain = fit(MLPClassifier(**PARAMS, early_stopping=True), X, y)
    model = fit(MLPClassifier(**PARAMS, early_stopping=True, refit_full=True), X, y)
    # The scores and losses of the first fit stay available.
    assert model.validation_scores_ == plain.validation_scores_
    assert model.loss_curve_ == plain.loss_curve_
    assert model.best_epoch_ == int(np.argmax(plain.validation_scores_)) + 1
    assert (model.coefs_[0] != plain.coefs_[0]).any()


@pytest.mark.parametrize("convert", [np.asarray, scipy.sparse.csr_matrix])
def test_refit_full_includes_given_validation_set(convert, assert_same_weights):
    train, valid = slice(0, 400), slice(400, None)
    model = MLPClassifier(**PARAMS, refit_full=True)
    fit(model, convert(X[train]), y[train], X_val=convert(X[valid]), y_val=y[valid])
    reference = sklearn.neural_network.MLPClassifier(
        **PARAMS | {"max_iter": model.best_epoch_}
    )
    assert_same_weights(model, fit(reference, X, y))


def test_refit_full_uses_sample_weights(assert_same_weights):
    weight = np.linspace(0.2, 2, len(y))
    model = MLPClassifier(**PARAMS, early_stopping=True, refit_full=True)
    fit(model, X, y, weight)
    reference = sklearn.neural_network.MLPClassifier(
        **PARAMS | {"max_iter": model.best_epoch_}
    )
    assert_same_weights(model, fit(reference, X, y, weight))


def test_refit_full_works_with_dropout_batch_norm_and_images():
    images = np.random.RandomState(0).randint(0, 256, (60, 6, 6), dtype=np.uint8)
    target = np.arange(60) % 3
    params = {
        "conv_channels": 3,
        "hidden_layer_sizes": 4,
        "dropout": 0.3,
        "batch_norm": True,
        "random_state": 0,
    }
    model = CNNClassifier(**params, max_iter=5, early_stopping=True, refit_full=True)
    fit(model, images, target)
    reference = fit(CNNClassifier(**params, max_iter=model.best_epoch_), images, target)
    assert_array_equal(model.predict_proba(images), reference.predict_proba(images))


def test_refit_full_applies_train_size_to_all_samples(assert_same_weights):
    params = PARAMS | {"train_size": 50}
    model = MLPClassifier(**params, early_stopping=True, refit_full=True)
    fit(model, X, y)
    assert model.t_ == model.n_iter_ * 50
    reference = fit(MLPClassifier(**params | {"max_iter": model.best_epoch_}), X, y)
    assert_same_weights(model, reference)


def test_refit_full_leaves_frozen_layers_unchanged():
    base = fit(MLPClassifier(**PARAMS), X, y)
    model = MLPClassifier(
        **PARAMS,
        init_from=base,
        frozen_layers=[0],
        early_stopping=True,
        refit_full=True,
    )
    assert_array_equal(fit(model, X, y).coefs_[0], base.coefs_[0])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "refit_full=True needs a validation score"),
        ({"solver": "lbfgs", "early_stopping": True}, "solver='lbfgs' has no epochs"),
    ],
)
def test_refit_full_is_refused_without_best_epoch(params, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**PARAMS, **params, refit_full=True).fit(X, y)


def test_partial_fit_refuses_refit_full():
    model = MLPClassifier(**PARAMS, refit_full=True)
    with pytest.raises(ValueError, match="refit_full=True needs a validation score"):
        model.partial_fit(X, y, classes=[0, 1])


class Interrupt(Callback):
    """Press Ctrl-C when epoch number `epochs`, or the refit, begins."""

    def __init__(self, epochs):
        self.epochs = epochs

    def on_epoch_begin(self, net, dataset_valid=None, **kwargs):
        if dataset_valid is None and self.epochs == "refit":
            raise KeyboardInterrupt
        if len(net.history) == self.epochs:
            raise KeyboardInterrupt


@pytest.mark.parametrize("when", [2, "refit"])
def test_ctrl_c_leaves_validated_network(when, assert_same_weights):
    params = {**PARAMS, "early_stopping": True, "callbacks": [Interrupt(when)]}
    plain, model = (MLPClassifier(**params, refit_full=full) for full in (False, True))
    with pytest.warns(UserWarning, match="interrupted by user"):
        fitted = [fit(estimator, X, y) for estimator in (model, plain)]
    assert_same_weights(*fitted)


def test_refit_full_joins_dense_and_sparse_samples():
    model = MLPClassifier(**PARAMS, refit_full=True)
    fit(model, X, y, X_val=scipy.sparse.csr_matrix(X), y_val=y)
    assert_array_equal(model.predict(X), model.predict(scipy.sparse.csr_matrix(X)))


def test_warm_start_counts_epochs_of_both_fits():
    model = MLPClassifier(
        **PARAMS, early_stopping=True, refit_full=True, warm_start=True
    )
    fit(model, X, y)
    fit(model.set_params(max_iter=3), X, y)
    scores = model.validation_scores_
    assert len(scores) == PARAMS["max_iter"] + 3
    assert model.best_epoch_ == int(np.argmax(scores)) + 1
