"""Fine-tuning: `init_from` copies layers, `frozen_layers` leaves them unchanged."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skmlp.neural_network import (
    CNNClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_digits(return_X_y=True)
X, y = X[:400] / 16, y[:400]
low = y < 5

SIZES = {"hidden_layer_sizes": (17, 9), "random_state": 0, "dtype": "float64"}


@pytest.fixture(scope="module")
def base():
    """A network that is trained on the digits 0 to 4."""
    model = MLPClassifier(**SIZES, max_iter=20, learning_rate_init=0.01)
    return model.fit(X[low], y[low])


@pytest.fixture(scope="module")
def base_cnn():
    model = CNNClassifier(
        (3, 4), hidden_layer_sizes=8, batch_norm=True, max_iter=3, random_state=0
    )
    return model.fit(X[low], y[low])


def fine_tune(base, **params):
    model = MLPClassifier(**SIZES, max_iter=3, init_from=base).set_params(**params)
    return model.fit(X, y)


# init_from


def test_matching_layers_start_from_model_and_others_are_initialized(base):
    # With this learning rate the weights hardly change.
    tuned = fine_tune(base, learning_rate_init=1e-12)
    fresh = MLPClassifier(**SIZES, max_iter=3, learning_rate_init=1e-12).fit(X, y)
    for i in (0, 1):
        np.testing.assert_allclose(tuned.coefs_[i], base.coefs_[i], atol=1e-9)
        np.testing.assert_allclose(tuned.intercepts_[i], base.intercepts_[i], atol=1e-9)
    # The output layers differ in shape: five classes and ten.
    np.testing.assert_allclose(tuned.coefs_[2], fresh.coefs_[2], atol=1e-9)


def test_init_from_lowers_first_loss(base):
    # The output layer fits here, so that training starts where `base` ended.
    tuned = MLPClassifier(**SIZES, max_iter=1, init_from=base).fit(X[low], y[low])
    assert tuned.loss_curve_[0] < base.loss_curve_[0] / 2


def test_init_from_model_is_not_modified(base):
    before = [w.copy() for w in base.coefs_]
    fine_tune(base)
    for coef, coef_before in zip(base.coefs_, before, strict=True):
        assert_array_equal(coef, coef_before)


def test_init_from_weights_are_cast_to_dtype(base):
    tuned = MLPClassifier(**SIZES, max_iter=2, init_from=base, frozen_layers=[0])
    # The dtype of training is the dtype of X.
    tuned.set_params(dtype=None).fit(X.astype(np.float32), y)
    assert tuned.coefs_[0].dtype == np.float32
    assert_array_equal(tuned.coefs_[0], base.coefs_[0].astype(np.float32))


def test_regressor_starts_from_classifier(base):
    tuned = MLPRegressor(**SIZES, max_iter=2, init_from=base, frozen_layers=[0, 1])
    tuned.fit(X, y)
    assert_array_equal(tuned.coefs_[1], base.coefs_[1])


@pytest.mark.on_cuda_too
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "adamw", "rmsprop"])
def test_init_from_works_with_any_solver(base, solver):
    tuned = fine_tune(base, solver=solver, frozen_layers=[0])
    assert_array_equal(tuned.coefs_[0], base.coefs_[0])
    assert (tuned.coefs_[1] != base.coefs_[1]).any()


# frozen_layers


@pytest.mark.on_cuda_too
@pytest.mark.parametrize(
    ("frozen", "unchanged"),
    [
        ([0], {0}),
        ([1], {1}),
        ([0, 1], {0, 1}),
        ((-2,), {1}),
        (["dense1", "dense2"], {0, 1}),
        (np.array([0]), {0}),
    ],
)
def test_frozen_layers_stay_bitwise_equal(base, frozen, unchanged):
    tuned = fine_tune(base, frozen_layers=frozen, alpha=1.0)
    for i in (0, 1):
        same = np.array_equal(tuned.coefs_[i], base.coefs_[i])
        assert same == (i in unchanged)
        same = np.array_equal(tuned.intercepts_[i], base.intercepts_[i])
        assert same == (i in unchanged)


def test_n_parameters_excludes_frozen_layers(base):
    tuned = fine_tune(base, frozen_layers=[0])
    assert tuned.n_parameters_ == 17 * 9 + 9 + 9 * 10 + 10


def test_randomly_initialized_layers_can_be_frozen():
    """Only the layers after them learn, from random features."""
    start = MLPClassifier(**SIZES, max_iter=1, learning_rate_init=1e-12).fit(X, y)
    model = MLPClassifier(**SIZES, max_iter=30, frozen_layers=[0, 1]).fit(X, y)
    np.testing.assert_allclose(model.coefs_[0], start.coefs_[0], atol=1e-9)
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_hidden_activations_of_frozen_layers_equal_source_model(base):
    tuned = fine_tune(base, frozen_layers=[0, 1])
    assert_array_equal(tuned.hidden_activations(X), base.hidden_activations(X))


def test_frozen_convolutions_freeze_their_batch_norm(base_cnn):
    tuned = CNNClassifier(
        (3, 4),
        hidden_layer_sizes=8,
        batch_norm=True,
        max_iter=3,
        init_from=base_cnn,
        frozen_layers=[0, 1],
    ).fit(X, y)
    # Running statistics are not weights, but the maps depend on them.
    assert_array_equal(
        tuned.hidden_activations(X, layer=1), base_cnn.hidden_activations(X, layer=1)
    )
    assert (tuned.coefs_[2] != base_cnn.coefs_[2]).any()
    statistics = tuned.net_.module_.dense1_norm.running_mean
    assert (statistics != base_cnn.net_.module_.dense1_norm.running_mean).any()


def test_residual_blocks_are_frozen_by_name():
    params = {
        "conv_channels": (3, 4),
        "block": "residual",
        "head": "global_average",
        "hidden_layer_sizes": (),
        "max_iter": 2,
        "random_state": 0,
    }
    base = CNNClassifier(**params).fit(X[low], y[low])
    tuned = CNNClassifier(**params, init_from=base, frozen_layers=["conv1", "block2"])
    tuned.fit(X, y)
    assert_array_equal(tuned.hidden_activations(X), base.hidden_activations(X))


@pytest.mark.on_cuda_too
def test_warm_start_unfreezes_layers_gradually(base):
    """Each warm start freezes fewer layers."""
    model = MLPClassifier(
        **SIZES, max_iter=2, init_from=base, frozen_layers=[0, 1], warm_start=True
    ).fit(X, y)
    assert_array_equal(model.coefs_[1], base.coefs_[1])
    output = model.coefs_[2].copy()
    model.set_params(frozen_layers=[0]).fit(X, y)
    assert_array_equal(model.coefs_[0], base.coefs_[0])
    assert (model.coefs_[1] != base.coefs_[1]).any()
    assert (model.coefs_[2] != output).any()
    model.set_params(frozen_layers=None).fit(X, y)
    assert (model.coefs_[0] != base.coefs_[0]).any()


@pytest.mark.on_cuda_too
def test_partial_fit_leaves_frozen_layers_unchanged(base):
    model = MLPClassifier(**SIZES, init_from=base, frozen_layers=[0])
    for start in range(3):
        model.partial_fit(X[start::3], y[start::3], classes=np.arange(10))
    assert_array_equal(model.coefs_[0], base.coefs_[0])
    assert (model.coefs_[1] != base.coefs_[1]).any()


# In searches


def test_search_varies_frozen_layers(base):
    search = GridSearchCV(
        make_pipeline(
            MinMaxScaler(),
            MLPClassifier(**SIZES, max_iter=2, init_from=FrozenEstimator(base)),
        ),
        {"mlpclassifier__frozen_layers": [None, [0], ["dense1", "dense2"]]},
        cv=2,
        error_score="raise",
    ).fit(X, y)
    assert len(search.cv_results_["params"]) == 3
    best = clone(search.best_estimator_).set_params(mlpclassifier__frozen_layers=[0])
    assert_array_equal(best.fit(X, y)[-1].coefs_[0], base.coefs_[0])


def test_unwrapped_clone_error_suggests_frozen_estimator(base):
    model = clone(MLPClassifier(**SIZES, init_from=base))
    with pytest.raises(NotFittedError, match="FrozenEstimator"):
        model.fit(X, y)


# Errors


@pytest.mark.parametrize(
    ("other", "error", "message"),
    [
        (MLPClassifier(), NotFittedError, "init_from is not fitted"),
        (SklearnMLPClassifier(), TypeError, "a fitted estimator of skmlp"),
        ("mnist", TypeError, "init_from='mnist' has to be"),
        (
            MLPClassifier(5, solver="lbfgs", alpha=10.0).fit(X[:20], y[:20] % 3),
            ValueError,
            "no layer of the same name and shape",
        ),
    ],
    ids=["unfitted", "scikit-learn's", "name", "other shape"],
)
def test_invalid_init_from_is_refused(other, error, message):
    with pytest.raises(error, match=message):
        MLPClassifier(**SIZES, init_from=other).fit(X, y)


@pytest.mark.parametrize(
    ("frozen", "error", "message"),
    [
        ([3], ValueError, "layer 3, but there are 3 layers"),
        ([-4], ValueError, "layer -4, but there are 3 layers"),
        (["conv1"], ValueError, "has dense1, dense2, output"),
        ([0.5], TypeError, "holds 0.5"),
        ([True], TypeError, "holds True"),
        ([0, 1, 2], ValueError, "leave one to train"),
        ("dense1", ValueError, "'frozen_layers' parameter of MLPClassifier"),
    ],
)
def test_invalid_frozen_layers_are_refused(frozen, error, message):
    with pytest.raises(error, match=message):
        MLPClassifier(**SIZES, frozen_layers=frozen).fit(X, y)


def test_softmax_regression_cannot_freeze_its_only_layer():
    with pytest.raises(ValueError, match="leave one to train"):
        SoftmaxRegression(frozen_layers=[0]).fit(X, y)
