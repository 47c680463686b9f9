"""Parameters that are changed between a fit and the fit that continues it."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import neural_network as theirs
from skorch.callbacks import EpochTimer

from skmlp import neural_network as ours
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.RandomState(0).normal(size=(40, 4))
Y = np.arange(40) % 2
FEW = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0}
MODELS = [
    MLPClassifier(**FEW),
    MLPRegressor(**FEW),
    CNNClassifier(2, image_shape=(2, 2), **FEW),
]


def type_name(value):
    return type(value).__name__


def train(model, method):
    if method == "fit":
        return model.set_params(warm_start=True).fit(X, Y)
    is_first = not model.__sklearn_is_fitted__() and not isinstance(model, MLPRegressor)
    return model.partial_fit(X, Y, **({"classes": [0, 1]} if is_first else {}))


TAKEN_BY_SKLEARN = {
    "activation": "tanh",
    "alpha": 1.0,
    "batch_size": 7,
    "shuffle": False,
    "tol": 0.1,
    "n_iter_no_change": 1,
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", TAKEN_BY_SKLEARN)
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_changed_parameters_are_taken_where_sklearn_takes_them(kind, name, method):
    models = [
        getattr(package, kind)(**FEW, warm_start=method == "fit")
        for package in (theirs, ours)
    ]
    for model in models:
        for value in (None, TAKEN_BY_SKLEARN[name]):
            if value is not None:
                model.set_params(**{name: value})
            for _ in range(2):
                if method == "fit":
                    model.fit(X, Y)
                elif hasattr(model, "coefs_") or kind == "MLPRegressor":
                    model.partial_fit(X, Y)
                else:
                    model.partial_fit(X, Y, classes=[0, 1])
    for expected, got in zip(models[0].coefs_, models[1].coefs_, strict=True):
        assert_allclose(got, expected, rtol=1e-5, atol=1e-8)
    assert_allclose(models[1].predict(X), models[0].predict(X), rtol=1e-5)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("model", MODELS, ids=type_name)
@pytest.mark.parametrize(
    ("name", "value"), [("activation", "tanh"), ("dropout", 0.5), ("dropout", (0.9,))]
)
def test_rebuilt_networks_keep_weights_and_change_training(model, name, value, method):
    base = train(copy.deepcopy(model), method)
    same, changed = copy.deepcopy(base), copy.deepcopy(base)
    train(changed.set_params(**{name: value}), method)
    train(same, method)
    assert not np.array_equal(changed.coefs_[0], same.coefs_[0])
    blank = changed._make_meta_network()
    assert repr(changed.net_.module_) == repr(blank)
    restored = pickle.loads(pickle.dumps(changed))
    assert_array_equal(restored.predict(X), changed.predict(X))
    train(restored, method)
    train(changed, method)
    assert_array_equal(restored.coefs_[0], changed.coefs_[0])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("model", MODELS, ids=type_name)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_layer_sizes", (6,)),
        ("hidden_layer_sizes", (5, 5)),
        ("batch_norm", True),
        ("dtype", "float32"),
        ("init", "he_normal"),
    ],
)
def test_parameters_of_another_network_are_refused(model, name, value, method):
    fitted = train(copy.deepcopy(model), method)
    before = [weights.copy() for weights in fitted.coefs_]
    old = fitted.get_params()[name]
    fitted.set_params(**{name: value})
    with pytest.raises(ValueError, match=f"^{name}=.* was .* in the fit before"):
        train(fitted, method)
    for weights, expected in zip(fitted.coefs_, before, strict=True):
        assert_array_equal(weights, expected)
    train(fitted.set_params(**{name: old}), method)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel_size", 2),
        ("conv_channels", 3),
        ("block", "residual"),
        ("image_shape", (1, 4)),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_parameters_of_other_convolutions_are_refused(name, value, method):
    model = train(copy.deepcopy(MODELS[2]), method).set_params(**{name: value})
    if name == "block":
        model.set_params(conv_channels=(2, 2))
    with pytest.raises(ValueError, match=r"=.* was .* in the fit before"):
        train(model, method)


@pytest.mark.parametrize("model", [*MODELS, SoftmaxRegression()], ids=type_name)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", "cosine"),
        ("learning_rate_init", 0.1),
        ("beta_1", 0.5),
        ("epsilon", 1e-4),
        ("momentum", 0.5),
        ("frozen_layers", [0]),
        ("warmup_epochs", 2),
        ("callbacks", [EpochTimer()]),
    ],
)
def test_partial_fit_refuses_parameters_of_the_optimizer(model, name, value):
    if isinstance(model, SoftmaxRegression) and name == "frozen_layers":
        pytest.skip("its only layer cannot be frozen")
    fitted = train(copy.deepcopy(model), "partial_fit")
    fitted.set_params(**{name: value})
    with pytest.raises(ValueError, match=f"^{name}=.* was .*partial_fit continues"):
        train(fitted, "partial_fit")


@pytest.mark.parametrize("name", ["learning_rate_init", "frozen_layers"])
def test_warm_start_takes_parameters_of_the_optimizer(name):
    value = {"learning_rate_init": 0.1, "frozen_layers": [0]}[name]
    model = train(MLPClassifier(**FEW), "fit")
    before = model.coefs_[0].copy()
    train(model.set_params(**{name: value}), "fit")
    assert np.array_equal(model.coefs_[0], before) == (name == "frozen_layers")


def test_another_solver_is_taken_with_its_parameters():
    model = train(MLPClassifier(**FEW), "partial_fit")
    train(model.set_params(solver="sgd", learning_rate_init=0.1), "partial_fit")
    assert model.net_.solver == "sgd"
    assert model.net_.optimizer_state_ or model.net_.optimizer_ is not None


@pytest.mark.parametrize(
    ("name", "value"), [("loss", "hinge"), ("label_smoothing", 0.3)]
)
def test_partial_fit_takes_another_loss(name, value):
    base = train(MLPClassifier(**FEW), "partial_fit")
    same, changed = copy.deepcopy(base), copy.deepcopy(base)
    train(changed.set_params(**{name: value}), "partial_fit")
    train(same, "partial_fit")
    assert type(changed.net_.criterion_) is type(changed._make_loss())
    assert changed.loss_ != same.loss_


def test_partial_fit_takes_another_limit_of_the_gradient():
    base = train(MLPClassifier(solver="sgd", **FEW), "partial_fit")
    same, changed = copy.deepcopy(base), copy.deepcopy(base)
    train(changed.set_params(max_grad_norm=1e-6), "partial_fit")
    train(same, "partial_fit")
    steps = [np.abs(m.coefs_[0] - base.coefs_[0]).max() for m in (changed, same)]
    assert 0 < steps[0] < steps[1] / 2


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_labels_cannot_follow_probabilities(method):
    P = np.column_stack([Y, 1 - Y]).astype(float)
    model = MLPClassifier(loss="kullback_leibler", warm_start=True, **FEW).fit(X, P)
    model.set_params(loss="log_loss")
    with pytest.raises(ValueError, match="loss='log_loss' cannot continue a fit to"):
        getattr(model, method)(X, P)


@pytest.mark.parametrize("sizes", [5, [5], (5,), np.array([5]), (np.int64(5),)])
def test_equal_values_of_other_types_are_no_change(sizes):
    model = train(MLPClassifier(**FEW), "partial_fit")
    train(model.set_params(hidden_layer_sizes=sizes), "partial_fit")


def test_lists_that_are_changed_in_place_are_noticed():
    sizes = [5]
    model = MLPClassifier(**FEW | {"hidden_layer_sizes": sizes})
    train(model, "partial_fit")
    sizes[0] = 6
    with pytest.raises(ValueError, match="hidden_layer_sizes="):
        train(model, "partial_fit")


# Ensembles


def test_ensembles_take_and_refuse_changed_parameters():
    ensemble = EnsembleClassifier(MLPClassifier(**FEW), 2, random_state=0)
    ensemble.partial_fit(X, Y, classes=[0, 1])
    ensemble.set_params(estimator__activation="tanh").partial_fit(X, Y)
    assert {member.activation for member in ensemble.estimators_} == {"tanh"}
    seeds = {member.random_state for member in ensemble.estimators_}
    assert len(seeds) == 2
    ensemble.set_params(estimator__hidden_layer_sizes=(7,))
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(7,\) was \(5,\)"):
        ensemble.partial_fit(X, Y)
    ensemble.set_params(estimator__hidden_layer_sizes=(5,), n_estimators=3)
    with pytest.raises(ValueError, match="n_estimators=3 was 2 in the fit before"):
        ensemble.partial_fit(X, Y)
    ensemble.set_params(n_estimators=2, estimator=SoftmaxRegression())
    with pytest.raises(ValueError, match="estimator is now a SoftmaxRegression"):
        ensemble.partial_fit(X, Y)
