"""Bad input: a table of faults, each refused before training with a clear message.

Each fault is passed to the methods of the estimators that it concerns.

- The error has the type of the table, ValueError by default.
- Its message names the parameter or the sample.
- The estimator does not change: an unfitted one has no fitted attributes, a fitted one
  predicts the same.
"""

import copy
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skmlp.augmentation import RandomCrop
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
    ),
    pytest.mark.filterwarnings("ignore:X has feature names"),
    # Convolutions are fitted to tables of four columns.
    pytest.mark.filterwarnings("ignore::skmlp.exceptions.DataShapeWarning"),
]

N_SAMPLES, N_FEATURES = 12, 4

CNN = CNNClassifier(2, hidden_layer_sizes=4, max_iter=1, random_state=0)
MLP = MLPClassifier(4, max_iter=1, random_state=0)
SOFTMAX = SoftmaxRegression(max_iter=1, random_state=0)
REGRESSOR = MLPRegressor(hidden_layer_sizes=4, max_iter=1, random_state=0)
ENSEMBLE = EnsembleClassifier(MLP, 2, random_state=0)

CLASSIFIERS = CNN, MLP, SOFTMAX
NETWORKS = *CLASSIFIERS, REGRESSOR
DEEP = CNN, MLP, REGRESSOR

FIT = ("fit",)
TRAIN = ("fit", "partial_fit")
PREDICT = ("predict", "predict_proba", "score")


class Fault(NamedTuple):
    """A fault, the estimators and methods that it concerns, and the message.

    ``X``, ``y`` and ``params`` replace the valid data and parameters. ``given`` holds
    further arguments of the call.
    """

    name: str
    message: str
    models: Sequence[Any] = NETWORKS
    methods: Sequence[str] = FIT
    X: Callable[[], Any] | None = None
    y: Callable[[], Any] | None = None
    given: dict[str, Any] = {}  # noqa: RUF012  # never changed
    params: dict[str, Any] = {}  # noqa: RUF012
    error: type[Exception] | tuple[type[Exception], ...] = ValueError


def features():
    return np.random.RandomState(0).normal(size=(N_SAMPLES, N_FEATURES))


def targets():
    return np.arange(N_SAMPLES) % 3


def with_value(value):
    X = features()
    X[3, 2] = value
    return X


def images(*shape):
    return lambda: np.zeros((N_SAMPLES, *shape))


def labels(*values):
    """Return a function that repeats the values as labels of all samples."""
    missing = any(value is None or value != value for value in values)
    dtype = object if missing else None
    return lambda: np.resize(np.array(values, dtype=dtype), N_SAMPLES)


def value_name(value):
    """Return a test id for a parameter's value."""
    return f"{type(value).__name__} {value}" if isinstance(value, type) else repr(value)


ALL = *NETWORKS, ENSEMBLE
ANY = (*TRAIN, *PREDICT)

FEATURES = [
    Fault("NaN", "Input X contains NaN", ALL, ANY, lambda: with_value(np.nan)),
    Fault(
        "infinity", "Input X contains infinity", ALL, ANY, lambda: with_value(np.inf)
    ),
    Fault(
        "sparse NaN",
        "Input X contains NaN",
        ALL,
        ANY,
        lambda: scipy.sparse.csr_matrix(with_value(np.nan)),
    ),
    Fault(
        "one dimension", "Expected 2D array, got 1D", ALL, ANY, lambda: features()[:, 0]
    ),
    Fault(
        "one number", "Expected 2D array, got scalar", ALL, ANY, lambda: np.float64(3)
    ),
    Fault(
        "five dimensions",
        r"X has shape \(12, 1, 2, 2, 1\)",
        ALL,
        ANY,
        images(1, 2, 2, 1),
    ),
    Fault("no samples", r"Found array with 0 sample", ALL, ANY, lambda: features()[:0]),
    Fault(
        "no features",
        r"0 feature\(s\) \(shape=\(12, 0\)\)",
        ALL,
        ANY,
        lambda: features()[:, :0],
    ),
    Fault(
        "fewer samples than targets",
        r"inconsistent numbers of samples: \[5, 12\]",
        ALL,
        TRAIN,
        lambda: features()[:5],
    ),
    Fault(
        "strings",
        "arrays of bytes/strings",
        ALL,
        ANY,
        lambda: np.full((N_SAMPLES, 4), "a"),
    ),
    Fault("complex", "Complex data not supported", ALL, ANY, lambda: features() + 1j),
    Fault(
        "strings in a frame",
        "could not convert string to float: 'x'",
        ALL,
        ANY,
        lambda: pd.DataFrame({name: ["x"] * N_SAMPLES for name in "abcd"}),
    ),
    Fault(
        "other features than in fit",
        "X has 3 features, but .* is expecting 4 features",
        ALL,
        PREDICT,
        lambda: features()[:, :3],
    ),
    Fault(
        "images of another shape than in fit",
        r"X holds images of shape \(2, 2, 1\), but .* of shape \(1, 4, 1\)",
        [clone(CNN).set_params(image_shape=(1, 4))],
        PREDICT,
        images(2, 2),
    ),
    Fault(
        "one image without the axis of samples",
        r"fitted to .* \(1, 2, 2\); a single image is X\[None\]",
        [clone(CNN).set_params(image_shape=(1, 2, 2))],
        PREDICT,
        lambda: features().reshape(-1, 1, 2, 2)[0],
    ),
]

TARGETS = [
    Fault(
        "no targets",
        "requires y to be passed, but the target y is None",
        ALL,
        TRAIN,
        y=lambda: None,
    ),
    Fault(
        "numbers for classes",
        "Unknown label type: continuous",
        CLASSIFIERS,
        y=lambda: np.linspace(0, 1, N_SAMPLES),
    ),
    Fault(
        "NaN in targets",
        "Input y contains NaN",
        ALL,
        TRAIN,
        y=lambda: np.r_[1.0, np.nan, np.ones(10)],
    ),
    Fault(
        "infinite targets",
        "Input y contains infinity",
        ALL,
        TRAIN,
        y=lambda: np.r_[np.inf, np.ones(11)],
    ),
    Fault(
        "None among labels",
        "Input y contains NaN or None in row 1",
        ALL,
        TRAIN,
        y=labels("a", None),
    ),
    Fault(
        "NaN among labels",
        "Input y contains NaN or None in row 2",
        ALL,
        TRAIN,
        y=labels("a", "b", np.nan),
    ),
    Fault(
        "too few targets",
        r"inconsistent numbers of samples: \[12, 5\]",
        ALL,
        TRAIN,
        y=lambda: targets()[:5],
    ),
    Fault(
        "several classes for each sample",
        "Multioutput target data is not supported",
        CLASSIFIERS,
        y=lambda: np.column_stack([targets(), targets()]),
    ),
    Fault(
        "strings for numbers",
        "could not convert string to float: 'a'",
        [REGRESSOR],
        TRAIN,
        y=lambda: np.full(N_SAMPLES, "a", object),
    ),
    Fault(
        "negative counts",
        "loss='poisson' needs y >= 0",
        [REGRESSOR],
        y=lambda: targets() - 1.0,
        params={"loss": "poisson"},
    ),
    Fault(
        "labels that were not in fit",
        "`y` has classes not in `self.classes_`",
        CLASSIFIERS,
        ["partial_fit"],
        y=labels(0, 9),
    ),
    Fault(
        "balanced class weights in partial_fit",
        "class_weight='balanced' needs all rows, .* give the weights as a dict",
        CLASSIFIERS,
        ["partial_fit"],
        params={"class_weight": "balanced"},
    ),
    *(
        Fault(
            f"class_weight={value}",
            "class_weight|class label",
            CLASSIFIERS,
            params={"class_weight": value},
        )
        for value in ({5: 1.0}, {0: 1.0, 9: 2.0})
    ),
]

WEIGHTS = [
    Fault(f"{name} weights", message, NETWORKS, TRAIN, given={"sample_weight": weight})
    for name, weight, message in [
        (
            "negative",
            -np.ones(N_SAMPLES),
            "Negative values in data passed to `sample_weight`",
        ),
        ("NaN", np.full(N_SAMPLES, np.nan), "Input sample_weight contains NaN"),
        ("three", np.ones(3), r"sample_weight.shape == \(3,\), expected \(12,\)"),
        ("two-dimensional", np.ones((N_SAMPLES, 1)), "Sample weights must be 1D array"),
        (
            "zero",
            np.zeros(N_SAMPLES),
            "Sample weights must contain at least one non-zero",
        ),
    ]
]

VALIDATION = [
    Fault(
        "X_val without y_val",
        "^X_val was given without y_val.$",
        given={"X_val": features()},
    ),
    Fault(
        "y_val without X_val",
        "^y_val was given without X_val.$",
        given={"y_val": targets()},
    ),
    *(
        Fault(f"X_val: {name}", message, given={"X_val": X, "y_val": y})
        for name, X, y, message in [
            ("NaN", with_value(np.nan), targets(), "Input X contains NaN"),
            (
                "other features",
                features()[:, :3],
                targets(),
                "X has 3 features, but .* is expecting 4",
            ),
            (
                "too few",
                features()[:5],
                targets(),
                r"inconsistent numbers of samples: \[5, 12\]",
            ),
            ("none", features()[:0], targets()[:0], "0 sample"),
        ]
    ),
    Fault(
        "labels that only y_val has",
        r"`y_val` has classes not in `self.classes_`.*'y_val' has \[7\]",
        CLASSIFIERS,
        given={"X_val": features(), "y_val": np.full(N_SAMPLES, 7)},
    ),
    Fault(
        "lbfgs with X_val",
        "X_val was given, but solver='lbfgs' has no epochs",
        given={"X_val": features(), "y_val": targets()},
        params={"solver": "lbfgs"},
    ),
    Fault(
        "empty validation set",
        "validation_fraction",
        params={"early_stopping": True, "validation_fraction": 0},
    ),
    Fault(
        "refit_full without a score",
        "refit_full=True needs a validation",
        params={"refit_full": True},
    ),
    Fault(
        "unknown scoring",
        "scoring|'best' is not a valid scoring value",
        params={"early_stopping": True, "validation_fraction": 0.5, "scoring": "best"},
    ),
]

NOT_NEGATIVE = [
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
]

PARAMETERS = [
    *(
        Fault(
            f"{name}={value_name(value)}",
            f"The '{name}' parameter of",
            params={name: value},
        )
        for name in NOT_NEGATIVE
        for value in (-1, "many")
    ),
    *(
        Fault(
            f"{name}={value_name(value)}",
            f"The '{name}' parameter of",
            models,
            params={name: value},
        )
        for models, name, value in [
            (NETWORKS, "solver", "newton"),
            (NETWORKS, "learning_rate", "slow"),
            (NETWORKS, "init", "ones"),
            (NETWORKS, "dtype", "float16"),
            (NETWORKS, "shuffle", "yes"),
            (NETWORKS, "early_stopping", 2),
            (NETWORKS, "callbacks", 3),
            (NETWORKS, "augmentation", "rotate"),
            (NETWORKS, "optimizer_params", [1]),
            (NETWORKS, "random_state", "seed"),
            (NETWORKS, "loss", "mse"),
            (NETWORKS, "device", 0),
            (CLASSIFIERS, "label_smoothing", 1.0),
            (CLASSIFIERS, "temperature", 0.0),
            ([ENSEMBLE], "n_estimators", 0),
            ([ENSEMBLE], "bootstrap", "yes"),
            ([ENSEMBLE], "estimator", 3),
        ]
    ),
    *(
        Fault(f"{name}={value}", name, models, params={name: value})
        for models, name, values in [
            (DEEP, "hidden_layer_sizes", [-1, 0, [4, -1], [4, 0], [2.5], (0,)]),
            (DEEP, "dropout", [-0.1, 1.0, [1.5], [-0.5], [0.1, 0.2, 0.3]]),
            (DEEP, "alpha", [[0.1] * 9, [-1.0, -1.0]]),
            (NETWORKS, "frozen_layers", [[7], [-9]]),
            ([CNN], "conv_channels", [0, []]),
            ([CNN], "kernel_size", [-1, [1, 2]]),
            ([CNN], "conv_strides", [0]),
            ([CNN], "pool", ["median"]),
            ([CNN], "pool_size", [0]),
            ([CNN], "padding", ["full"]),
            ([CNN], "conv_dropout", [1.0, [1.5]]),
            ([CNN], "block", ["dense"]),
            ([CNN], "head", ["tail"]),
            (
                [CNN],
                "image_shape",
                [(4,), (2, 0), (2, -2), (1, 2, 2, 1), (2.5, 2), "big"],
            ),
        ]
        for value in values
    ),
    *(
        Fault(
            f"hidden_layer_sizes={sizes}",
            "must be an integer, or a flat sequence of one integer for each layer, got",
            DEEP,
            params={"hidden_layer_sizes": sizes},
        )
        for sizes in ((4.5,), [[10], [10]], [[1], [1, 2]], [[4, 3]], (float("nan"),))
    ),
    *(
        Fault(
            f"label smoothing of loss={loss}",
            f"label_smoothing=0.1 changes .* loss='log_loss' only, but loss='{loss}'",
            CLASSIFIERS,
            TRAIN,
            params={"label_smoothing": 0.1, "loss": loss},
        )
        for loss in ("hinge", "squared_hinge", "kullback_leibler")
    ),
    *(
        Fault(
            f"train_size={size}",
            f"train_size={size}, but there are 12 training rows.",
            params={"train_size": size},
        )
        for size in (N_SAMPLES + 1, 1000)
    ),
    Fault(
        "augmentation that is a class",
        r"augmentation is the class RandomCrop; give an instance of it",
        params={"augmentation": RandomCrop},
        error=TypeError,
    ),
    Fault(
        "init_from unfitted",
        "not fitted",
        params={"init_from": MLPClassifier()},
        error=NotFittedError,
    ),
    Fault(
        "optimizer_params unknown",
        "no_such",
        params={"solver": "rmsprop", "optimizer_params": {"no_such": 1}},
        error=(TypeError, ValueError),
    ),
    Fault(
        "optimizer_params of adam",
        "the parameters of solver='adam' are the estimator's own",
        params={"optimizer_params": {"amsgrad": True}},
    ),
    Fault(
        "device that is absent",
        "^device='cuda:99' was requested, but this machine has",
        params={"device": "cuda:99"},
    ),
    Fault(
        "device unknown", "device='gpu' is no torch device", params={"device": "gpu"}
    ),
]

IMAGES = [
    Fault(
        "image_shape that does not fit",
        r"^X has 784 features, but image_shape=\(32, 32, 3\) needs 3072.$",
        [CNN],
        X=images(784),
        params={"image_shape": (32, 32, 3)},
    ),
    Fault(
        "image_shape of other images",
        "image_shape",
        [CNN],
        X=images(2, 8),
        params={"image_shape": (4, 4)},
    ),
    Fault(
        "channels first",
        r"X holds images of shape \(3, 8, 8\), which looks like channels first",
        [CNN],
        X=images(3, 8, 8),
    ),
    Fault("one channel first", "looks like channels first", [CNN], X=images(1, 9, 7)),
    Fault(
        "channels first for an augmentation",
        "looks like channels first",
        [MLP, REGRESSOR],
        X=images(4, 8, 8),
        params={"augmentation": RandomCrop(padding=1)},
    ),
    Fault(
        "kernel larger than the image",
        "kernel_size=5, but its imag",
        [CNN],
        params={"padding": "valid", "kernel_size": 5},
    ),
]

FAULTS = [*FEATURES, *TARGETS, *WEIGHTS, *VALIDATION, *PARAMETERS, *IMAGES]
TRIALS = [
    pytest.param(
        model, method, fault, id=f"{type(model).__name__}.{method}: {fault.name}"
    )
    for fault in FAULTS
    for model in fault.models
    for method in fault.methods
    if hasattr(model, method)
]


@cache
def fit_valid_data(model):
    return clone(model).fit(features(), targets())


def call(model, method, fault):
    """Call the method with one fault and otherwise valid arguments."""
    X = features() if fault.X is None else fault.X()
    y = targets() if fault.y is None else fault.y()
    if method.startswith("predict"):
        return getattr(model, method)(X)
    needs_labels = method == "partial_fit" and hasattr(model, "predict_proba")
    classes = {"classes": [0, 1, 2]} if needs_labels else {}
    return getattr(model, method)(X, y, **classes | fault.given)


def fitted_attributes(model):
    """Return the identity of each attribute that is not a parameter."""
    params = model.get_params(deep=False)
    return {k: id(v) for k, v in vars(model).items() if k not in params}


def test_fault_table_has_many_unique_cases():
    assert len(TRIALS) >= 150
    assert len({trial.id for trial in TRIALS}) == len(TRIALS)


@pytest.mark.parametrize("model", [*NETWORKS], ids=lambda model: type(model).__name__)
def test_alarm_callback_detects_start_of_training(model, alarm):
    with pytest.raises(alarm.Trained):
        clone(model).set_params(callbacks=[alarm]).fit(features(), targets())


@pytest.mark.parametrize(("model", "method", "fault"), TRIALS)
def test_fitted_estimator_refuses_fault_and_stays_unchanged(model, method, fault):
    fitted = copy.deepcopy(fit_valid_data(model))
    before, predicted = fitted_attributes(fitted), fitted.predict(features())
    with pytest.raises(fault.error, match=fault.message):
        call(fitted.set_params(**fault.params), method, fault)
    assert fitted_attributes(fitted) == before
    fitted.set_params(**model.get_params(deep=False))
    np.testing.assert_array_equal(fitted.predict(features()), predicted)


@pytest.mark.parametrize(
    ("model", "method", "fault"), [t for t in TRIALS if t.values[1] in TRAIN]
)
def test_unfitted_estimator_refuses_fault_before_training(model, method, fault, alarm):
    new = clone(model)
    if "callbacks" in new.get_params():
        new.set_params(callbacks=[alarm])
    new.set_params(**fault.params)
    before = fitted_attributes(new)
    with pytest.raises(fault.error, match=fault.message):
        call(new, method, fault)
    assert fitted_attributes(new) == before
    with pytest.raises(NotFittedError):
        new.set_params(**model.get_params(deep=False)).predict(features())


@pytest.mark.parametrize("classes", [None, [0, 1]])
@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda model: type(model).__name__)
def test_first_partial_fit_needs_all_classes(model, classes):
    new = clone(model)
    message = "classes must be passed" if classes is None else "classes not in"
    with pytest.raises(ValueError, match=message):
        new.partial_fit(features(), targets(), classes=classes)
    assert fitted_attributes(new) == {}


@pytest.mark.parametrize("model", ALL, ids=lambda model: type(model).__name__)
def test_unfitted_estimator_does_not_predict(model):
    for method in PREDICT:
        if hasattr(model, method):
            arguments = (targets(),) if method == "score" else ()
            with pytest.raises(NotFittedError):
                getattr(clone(model), method)(features(), *arguments)
