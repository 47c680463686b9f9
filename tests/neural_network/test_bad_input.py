"""Bad input: a clear error of the right type, before anything is trained."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback

from skmlp.neural_network import (
    CNNClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)

CLASSIFIERS = [
    CNNClassifier(2, hidden_layer_sizes=4),
    MLPClassifier(4),
    SoftmaxRegression(),
]
ESTIMATORS = [*CLASSIFIERS, MLPRegressor(hidden_layer_sizes=4)]
DEEP = [model for model in ESTIMATORS if not isinstance(model, SoftmaxRegression)]

N_ROWS, N_FEATURES = 12, 4


class Trained(Exception):
    """Training began."""


class Alarm(Callback):
    """Tells that training began."""

    def on_train_begin(self, net, **kwargs):
        raise Trained


def watched(estimator, **params):
    """Return a copy that cannot train without our noticing."""
    return clone(estimator).set_params(
        max_iter=1, random_state=0, callbacks=[Alarm()], **params
    )


def rows():
    return np.random.RandomState(0).normal(size=(N_ROWS, N_FEATURES))


def targets():
    return np.arange(N_ROWS) % 3


def refuses(estimator, message, *data, error=ValueError, **fit_params):
    """Check the error, and that nothing is left which could predict."""
    data = data or (rows(), targets())
    with pytest.raises(error, match=message):
        estimator.fit(*data, **fit_params)
    with pytest.raises(NotFittedError):
        estimator.predict(rows())


@pytest.fixture(params=ESTIMATORS, ids=lambda model: type(model).__name__)
def estimator(request):
    return watched(request.param)


@pytest.fixture(params=CLASSIFIERS, ids=lambda model: type(model).__name__)
def classifier(request):
    return watched(request.param)


@pytest.fixture(params=DEEP, ids=lambda model: type(model).__name__)
def deep(request):
    return watched(request.param)


@pytest.fixture
def cnn():
    return watched(CNNClassifier(2, hidden_layer_sizes=4))


def test_the_alarm_works(estimator):
    with pytest.raises(Trained):
        estimator.fit(rows(), targets())


# Rows


def with_value(value):
    X = rows()
    X[3, 2] = value
    return X


BAD_ROWS = {
    "NaN": (lambda: with_value(np.nan), "Input X contains NaN"),
    "infinity": (lambda: with_value(np.inf), "Input X contains infinity"),
    "sparse NaN": (
        lambda: scipy.sparse.csr_matrix(with_value(np.nan)),
        "Input X contains NaN",
    ),
    "one dimension": (lambda: rows()[:, 0], "Expected 2D array, got 1D array instead"),
    "one number": (lambda: np.float64(3), "Expected 2D array, got scalar array"),
    "five dimensions": (
        lambda: np.zeros((N_ROWS, 1, 2, 2, 1)),
        "X has shape .12, 1, 2",
    ),
    "no rows": (lambda: rows()[:0], "Found array with 0 sample"),
    "no features": (lambda: rows()[:, :0], r"Found array with 0 feature"),
    "fewer rows than targets": (
        lambda: rows()[:5],
        r"Found input variables with inconsistent numbers of samples: \[5, 12\]",
    ),
    "words": (lambda: np.full((N_ROWS, 2), "a"), "arrays of bytes/strings"),
    "complex": (lambda: rows() + 1j, "Complex data not supported"),
    "words in a frame": (
        lambda: pd.DataFrame({"a": ["x"] * N_ROWS}),
        "could not convert string to float",
    ),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows(estimator, case):
    make, message = BAD_ROWS[case]
    refuses(estimator, message, make(), targets())


def test_missing_targets(estimator):
    refuses(
        estimator, "requires y to be passed, but the target y is None", rows(), None
    )


BAD_LABELS = {
    "one class": (np.zeros(N_ROWS, int), "y has one class only, 0"),
    "one class of words": (np.full(N_ROWS, "a"), "y has one class only, 'a'"),
    "numbers": (np.linspace(0, 1, N_ROWS), "Unknown label type: continuous"),
    "NaN": (np.r_[np.nan, np.ones(N_ROWS - 1)], "Input y contains NaN"),
    "too few": (np.arange(5) % 2, "inconsistent numbers of samples"),
    "several outputs": (
        np.column_stack([targets(), targets()]),
        "Multioutput target data is not supported",
    ),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_bad_labels(classifier, case):
    y, message = BAD_LABELS[case]
    refuses(classifier, message, rows(), y)


def test_one_row_is_one_class(classifier):
    refuses(classifier, "y has one class only", rows()[:1], [0])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.r_[np.nan, np.ones(N_ROWS - 1)], "Input y contains NaN"),
        (np.r_[np.inf, np.ones(N_ROWS - 1)], "Input y contains infinity"),
        (np.full(N_ROWS, "a", object), "could not convert string to float"),
    ],
)
def test_bad_numbers_to_predict(y, message):
    refuses(watched(MLPRegressor()), message, rows(), y)


def test_negative_counts_for_poisson():
    model = watched(MLPRegressor(loss="poisson"))
    refuses(model, "loss='poisson' needs y >= 0", rows(), targets() - 1)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (-np.ones(N_ROWS), "Negative values in data passed to `sample_weight`"),
        (np.full(N_ROWS, np.nan), "Input sample_weight contains NaN"),
        (np.ones(3), r"sample_weight.shape == \(3,\), expected \(12,\)"),
        (np.zeros(N_ROWS), "Sample weights must contain at least one non-zero"),
    ],
)
def test_bad_weights(estimator, weight, message):
    refuses(estimator, message, rows(), targets(), sample_weight=weight)


@pytest.mark.parametrize("value", [{5: 1.0}, {0: 1.0, 9: 2.0}])
def test_class_weights_of_unknown_classes(classifier, value):
    refuses(classifier.set_params(class_weight=value), "class_weight|class label")


# Parameters

NEGATIVE = (
    "alpha",
    "batch_size",
    "learning_rate_init",
    "power_t",
    "max_iter",
    "tol",
    "momentum",
    "validation_fraction",
    "beta_1",
    "beta_2",
    "epsilon",
    "n_iter_no_change",
    "max_fun",
    "train_size",
    "max_grad_norm",
    "warmup_epochs",
    "step_size",
    "gamma",
)


@pytest.mark.parametrize("name", NEGATIVE)
def test_negative_parameters(estimator, name):
    refuses(estimator.set_params(**{name: -1}), f"The '{name}' parameter of")


@pytest.mark.parametrize("name", NEGATIVE)
def test_words_for_numbers(estimator, name):
    refuses(estimator.set_params(**{name: "many"}), name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("solver", "newton"),
        ("learning_rate", "slow"),
        ("init", "ones"),
        ("dtype", "float16"),
        ("shuffle", "yes"),
        ("early_stopping", 2),
        ("callbacks", 3),
        ("augmentation", "rotate"),
        ("optimizer_params", [1]),
        ("random_state", "seed"),
        ("loss", "mse"),
        ("device", 0),
    ],
)
def test_values_that_are_none_of_the_choices(estimator, name, value):
    refuses(estimator.set_params(**{name: value}), f"The '{name}' parameter of")


@pytest.mark.parametrize(
    ("name", "value"), [("label_smoothing", 1.0), ("temperature", 0.0)]
)
def test_parameters_of_classifiers(classifier, name, value):
    refuses(classifier.set_params(**{name: value}), f"The '{name}' parameter of")


@pytest.mark.parametrize("sizes", [-1, 0, [4, -1], [4, 0], [2.5], (0,)])
def test_bad_layer_sizes(deep, sizes):
    refuses(deep.set_params(hidden_layer_sizes=sizes), "hidden_layer_sizes")


@pytest.mark.parametrize("value", [-0.1, 1.0, [1.5], [-0.5]])
def test_bad_dropout(deep, value):
    refuses(deep.set_params(dropout=value), "dropout")


def test_dropout_of_another_length(deep):
    deep.set_params(dropout=[0.1, 0.2, 0.3])
    refuses(deep, r"dropout has 3 entries, but hidden_layer_sizes=\(4,\)")


@pytest.mark.parametrize("alpha", [[0.1] * 9, [-1.0, -1.0]])
def test_bad_penalties_of_layers(deep, alpha):
    refuses(deep.set_params(alpha=alpha), "alpha")


@pytest.mark.parametrize("alpha", [np.float32(0.1), np.int64(1)])
def test_numpys_numbers_are_numbers(estimator, alpha):
    estimator.set_params(alpha=alpha, callbacks=None).fit(rows(), targets())
    assert np.isfinite(estimator.loss_)


@pytest.mark.parametrize("value", [[7], [-9]])
def test_layers_to_freeze_that_are_not_there(estimator, value):
    refuses(estimator.set_params(frozen_layers=value), "frozen_layers")


@pytest.mark.parametrize("size", [N_ROWS + 1, 1000])
def test_more_rows_than_there_are(estimator, size):
    refuses(
        estimator.set_params(train_size=size),
        f"train_size={size}, but there are 12 training rows.",
    )


def test_start_from_an_unfitted_model(estimator):
    estimator.set_params(init_from=MLPClassifier())
    refuses(estimator, "not fitted", error=NotFittedError)


def test_unknown_arguments_of_the_optimizer(estimator):
    estimator.set_params(solver="rmsprop", optimizer_params={"no_such": 1})
    refuses(estimator, "no_such", error=(TypeError, ValueError))


def test_absent_device(estimator, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refuses(
        estimator.set_params(device="cuda"),
        "^device='cuda' was requested, but this machine has no CUDA device; use "
        "device='auto' or 'cpu'.$",
    )


def test_unknown_device(estimator):
    refuses(estimator.set_params(device="gpu"), "device='gpu' is no torch device")


# Images


def test_image_shape_that_does_not_fit(cnn):
    refuses(
        cnn.set_params(image_shape=(32, 32, 3)),
        r"^X has 784 features, but image_shape=\(32, 32, 3\) needs 3072.$",
        np.zeros((N_ROWS, 784)),
        targets(),
    )


@pytest.mark.parametrize(
    "shape", [(4,), (2, 0), (2, -2), (1, 2, 2, 1), (2.5, 2), "big"]
)
def test_image_shape_that_is_none(cnn, shape):
    refuses(cnn.set_params(image_shape=shape), "image_shape")


def test_image_shape_other_than_the_images(cnn):
    X = np.zeros((N_ROWS, 2, 8))
    refuses(cnn.set_params(image_shape=(4, 4)), "image_shape", X, targets())


def test_images_of_another_shape_than_in_fit(cnn):
    X = np.random.RandomState(0).normal(size=(N_ROWS, 4, 4))
    cnn.set_params(callbacks=None).fit(X, targets())
    assert cnn.predict(X.reshape(N_ROWS, 16)).shape == (N_ROWS,)
    with pytest.raises(ValueError, match=r"2, 8"):
        cnn.predict(X.reshape(N_ROWS, 2, 8))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("conv_channels", 0),
        ("conv_channels", []),
        ("kernel_size", -1),
        ("kernel_size", [1, 2]),
        ("conv_strides", 0),
        ("pool", "median"),
        ("pool_size", 0),
        ("padding", "full"),
        ("conv_dropout", 1.0),
        ("conv_dropout", [1.5]),
        ("block", "dense"),
        ("head", "tail"),
    ],
)
def test_bad_convolutions(cnn, name, value):
    refuses(cnn.set_params(**{name: value}), name)


def test_kernel_larger_than_the_image(cnn):
    refuses(
        cnn.set_params(padding="valid", kernel_size=5), "kernel_size=5, but its imag"
    )


# Validation rows


def test_validation_rows_without_their_targets(estimator):
    refuses(estimator, "^X_val was given without y_val.$", X_val=rows())
    refuses(estimator, "^y_val was given without X_val.$", y_val=targets())


@pytest.mark.parametrize(
    ("X_val", "y_val", "message"),
    [
        (with_value(np.nan), targets(), "contains NaN"),
        (rows()[:, :3], targets(), "X has 3 features, but .* is expecting 4"),
        (rows()[:5], targets(), "inconsistent numbers of samples"),
        (rows()[:0], targets()[:0], "0 sample"),
    ],
)
def test_bad_validation_rows(estimator, X_val, y_val, message):
    refuses(estimator, message, X_val=X_val, y_val=y_val)


def test_validation_labels_unseen_in_fit(classifier):
    refuses(
        classifier,
        r"`y_val` has classes not in `self.classes_`.*'y_val' has \[7\]",
        X_val=rows(),
        y_val=np.full(N_ROWS, 7),
    )


def test_no_rows_to_validate_on(estimator):
    estimator.set_params(early_stopping=True, validation_fraction=0)
    refuses(estimator, "validation_fraction")


def test_refitting_without_a_validation_score(estimator):
    refuses(estimator.set_params(refit_full=True), "refit_full=True needs a validation")


def test_a_scorer_of_no_known_name(estimator):
    estimator.set_params(early_stopping=True, validation_fraction=0.5, scoring="best")
    refuses(estimator, "scoring|'best' is not a valid scoring value")


# After fit


def fitted(estimator, **params):
    estimator = clone(estimator).set_params(
        max_iter=2, random_state=0, callbacks=None, **params
    )
    return estimator.fit(rows(), targets())


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_predicting_before_fit(classifier, method):
    with pytest.raises(NotFittedError):
        getattr(classifier, method)(rows())


def test_attributes_before_fit(estimator):
    for name in ("coefs_", "intercepts_", "net_", "n_iter_", "loss_"):
        assert not hasattr(estimator, name)


@pytest.mark.parametrize("case", ["NaN", "infinity", "one dimension", "no rows"])
def test_predicting_bad_rows(estimator, case):
    make, message = BAD_ROWS[case]
    with pytest.raises(ValueError, match=message):
        fitted(estimator).predict(make())


def test_predicting_other_features(estimator):
    with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 4"):
        fitted(estimator).predict(rows()[:, :3])


def test_labels_unseen_in_fit(classifier):
    model = fitted(classifier)
    message = "`y` has classes not in `self.classes_`"
    with pytest.raises(ValueError, match=message):
        model.partial_fit(rows(), np.full(N_ROWS, 9))
    expected = model.predict(rows())
    with pytest.raises(ValueError):  # noqa: PT011 scikit-learn's message has changed
        model.set_params(warm_start=True).fit(rows(), np.arange(N_ROWS))
    np.testing.assert_array_equal(model.predict(rows()), expected)


@pytest.mark.parametrize("labels", [None, [0, 1]])
def test_first_partial_fit_needs_all_labels(classifier, labels):
    message = "classes must be passed" if labels is None else "classes not in"
    with pytest.raises(ValueError, match=message):
        classifier.partial_fit(rows(), targets(), classes=labels)


def test_a_failed_fit_leaves_no_mixture_with_the_one_before(estimator):
    model = fitted(estimator)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((N_ROWS, 2), np.nan), targets())
    with pytest.raises(ValueError, match="device='gpu'"):
        model.set_params(device="gpu").fit(rows()[:, :2], targets() * 5)
    with pytest.raises(ValueError, match="alpha"):
        model.set_params(device="cpu", alpha=[1.0] * 9).fit(rows()[:, :2], targets())
    with pytest.raises(NotFittedError):
        model.predict(rows())


# Numbers that are still finite have squares that are not.
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("scoring", [None, "neg_mean_squared_error"])
def test_divergence_is_named_with_its_epoch_and_scale(scoring):
    model = MLPRegressor(
        solver="sgd",
        learning_rate_init=10,
        early_stopping=True,
        validation_fraction=0.3,
        scoring=scoring,
        random_state=0,
    )
    X = np.clip(200 * rows(), -255, 255)
    X[0, 0] = 255
    with pytest.raises(
        ValueError,
        match=r"^Training loss became non-finite at epoch \d+; lower "
        r"learning_rate_init or scale X \(its values reach 255\).$",
    ):
        model.fit(X, 1e3 * targets())
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_diverging_further_training_keeps_no_broken_weights(estimator):
    model = fitted(estimator, solver="sgd", warm_start=True, alpha=0.0)
    model.set_params(learning_rate_init=1e308, max_iter=50)
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(1e3 * rows(), targets())
    with pytest.raises(NotFittedError):
        model.predict(rows())


# Odd but good


@pytest.mark.parametrize("size", [1, 2])
def test_few_rows_are_predicted(estimator, size):
    assert len(fitted(estimator).predict(rows()[:size])) == size


def test_huge_values_do_not_hide_in_predictions(classifier):
    probabilities = fitted(classifier).predict_proba(1e30 * rows())
    assert np.isfinite(probabilities).all()


def test_one_row_is_enough_to_regress():
    model = MLPRegressor(max_iter=2, random_state=0).fit(rows()[:1], [3.0])
    assert math.isfinite(model.predict(rows()[:1])[0])


def test_read_only_data_are_left_alone(estimator):
    X, y = rows(), targets()
    X.flags.writeable = y.flags.writeable = False
    model = estimator.set_params(callbacks=None, max_iter=2).fit(X, y)
    model.predict(X)
    np.testing.assert_array_equal(X, rows())


def test_lbfgs_does_not_validate(estimator):
    refuses(
        estimator.set_params(solver="lbfgs"),
        "X_val was given, but solver='lbfgs' has no epochs",
        X_val=rows(),
        y_val=targets(),
    )


def test_solvers_of_scikit_learn_take_no_further_arguments(estimator):
    estimator.set_params(optimizer_params={"amsgrad": True})
    refuses(estimator, "the parameters of solver='adam' are the estimator's own")


def test_balanced_class_weights_need_all_rows(classifier):
    classifier.set_params(class_weight="balanced")
    with pytest.raises(ValueError, match="give the weights as a dict"):
        classifier.partial_fit(rows(), targets(), classes=np.unique(targets()))
