"""Names, types and shapes of parameters and attributes are as in scikit-learn."""

import copy
import inspect
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import check_estimator

from skmlp.neural_network import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("MLPClassifier", "MLPRegressor")


def absent_names(kind, solver, early_stopping):
    """Return the names that only scikit-learn's estimator has, on purpose."""
    # With lbfgs, scikit-learn's regressor has partial_fit, but its classifier and its
    # documentation do not. With early stopping, partial_fit always raises an error,
    # and scikit-learn's checks ask that it is absent.
    if early_stopping and (solver != "lbfgs" or kind == "MLPRegressor"):
        return {"partial_fit"}
    return {"partial_fit"} if (kind, solver) == ("MLPRegressor", "lbfgs") else set()


X, species = iris = load_iris(return_X_y=True)


def public_names(model):
    # Older versions of scikit-learn list names that are absent: partial_fit with lbfgs.
    return {n for n in dir(model) if not n.startswith("_") and hasattr(model, n)}


# Names


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", KINDS)
def test_public_attributes_have_sklearn_types_and_shapes(
    kind, solver, early_stopping, make_both
):
    X, y = load_iris(return_X_y=True, as_frame=True)
    their, our = make_both(
        kind, solver=solver, early_stopping=early_stopping, max_iter=12, random_state=0
    )
    their.fit(X, y)
    our.fit(X, y)
    names = public_names(their)
    assert names - public_names(our) == absent_names(kind, solver, early_stopping)
    for name in names & public_names(our):
        expected, actual = getattr(their, name), getattr(our, name)
        if callable(expected):
            assert_accepts_same_arguments(actual, expected)
            continue
        # Some losses of scikit-learn are NumPy's float64, which is a float.
        assert isinstance(expected, type(actual)) or isinstance(
            actual, type(expected)
        ), name
        if isinstance(expected, list):
            assert list(map(np.shape, actual)) == list(map(np.shape, expected)), name
        else:
            assert np.shape(actual) == np.shape(expected), name


def assert_accepts_same_arguments(method, sklearn_method):
    """Assert that the method accepts all arguments of scikit-learn's."""
    own = inspect.signature(method).parameters
    for name, parameter in inspect.signature(sklearn_method).parameters.items():
        assert name in own or any(p.kind is p.VAR_KEYWORD for p in own.values()), name
        if name in own:
            assert own[name].default == parameter.default
    positional = [
        n
        for n, p in inspect.signature(sklearn_method).parameters.items()
        if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    assert list(own)[: len(positional)] == positional


@pytest.mark.parametrize("kind", KINDS)
def test_unfitted_estimator_has_no_fitted_attributes(kind, make_both):
    their, our = make_both(kind)
    for name in public_names(their):
        assert hasattr(our, name), name
    assert not [name for name in public_names(our) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        our.predict(iris[0])


@pytest.mark.parametrize("kind", KINDS)
def test_shared_parameters_have_sklearn_defaults_and_order(kind, make_both):
    their, our = (inspect.signature(type(m)).parameters for m in make_both(kind))
    for name, parameter in their.items():
        assert our[name].default == parameter.default, name
        assert our[name].kind == parameter.kind, name
    shared = [name for name in our if name in their]
    assert shared == list(their)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_can_be_read_set_and_cloned(kind, make_both):
    their, our = make_both(kind, hidden_layer_sizes=(3, 4), alpha=0.5)
    assert their.get_params().items() <= our.get_params().items()
    copied = clone(our.set_params(solver="sgd", dropout=0.1))
    assert copied.get_params() == our.get_params()
    with pytest.raises(ValueError, match="Invalid parameter 'layers'"):
        our.set_params(layers=3)


@pytest.mark.parametrize("kind", KINDS)
def test_repr_equals_sklearn_and_html_shows_state(kind, make_both):
    their, our = make_both(kind, hidden_layer_sizes=(3, 4), alpha=0.5)
    assert repr(our) == repr(their)
    html = our._repr_html_()
    assert kind in html
    assert "hidden_layer_sizes" in html
    our.fit(*iris)
    assert "Fitted" in our._repr_html_()


@pytest.mark.parametrize("kind", KINDS)
def test_tags_equal_sklearn(kind, make_both):
    their, our = (model.__sklearn_tags__() for model in make_both(kind))
    assert our.estimator_type == their.estimator_type
    assert our.classifier_tags == their.classifier_tags
    assert our.regressor_tags == their.regressor_tags
    assert our.target_tags == their.target_tags
    assert our.input_tags.sparse == their.input_tags.sparse


# Assigned weights


@pytest.mark.parametrize("kind", KINDS)
def test_assigned_weights_are_used_for_prediction(kind, make_both):
    X, y = iris
    their, our = make_both(kind, hidden_layer_sizes=5, max_iter=3, random_state=0)
    for model in (their.fit(X, y), our.fit(X, y)):
        model.coefs_[0] = np.zeros((4, 5))
        model.coefs_[1][2] = 0.25
        model.intercepts_[-1] += 1.0
        model.coefs_ = [2 * w for w in model.coefs_]
        model.intercepts_[:] = [3 * b for b in model.intercepts_]
    predict = "predict_proba" if kind == "MLPClassifier" else "predict"
    assert_allclose(getattr(our, predict)(X), getattr(their, predict)(X))
    assert_allclose(our.coefs_[0], 0.0)


def test_assigned_weights_are_copied_and_cast():
    X, y = iris
    model = MLPClassifier(5, max_iter=2).fit(X.astype(np.float32), y)
    given = np.ones((4, 5))
    model.coefs_[0] = given
    given[:] = 7.0
    assert model.coefs_[0].dtype == np.float32
    assert_array_equal(model.coefs_[0], 1.0)


@pytest.mark.parametrize(
    ("assign", "message"),
    [
        (lambda m: m.coefs_.__setitem__(1, np.ones((3, 5))), r"coefs_\[1\] has shape"),
        (lambda m: setattr(m, "intercepts_", [np.ones(5)]), "1 arrays for 2 layers"),
        (
            lambda m: setattr(m, "coefs_", [np.ones((4, 5)), np.ones(5)]),
            r"given an array of shape \(5,\)",
        ),
    ],
)
def test_weights_of_wrong_shape_are_refused_without_partial_update(assign, message):
    model = MLPClassifier(5, max_iter=2, random_state=0).fit(*iris)
    before = model.predict_proba(iris[0])
    with pytest.raises(ValueError, match=message):
        assign(model)
    assert_array_equal(model.predict_proba(iris[0]), before)


def test_copied_weights_are_plain_lists():
    model = MLPClassifier(5, max_iter=2, random_state=0).fit(*iris)
    for copied in (copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
        weights = copied(model.coefs_)
        assert type(weights) is list
        weights[0] = weights[1]
        weights[1][:] = 0
        assert model.coefs_[1].any()


def test_partial_fit_continues_from_assigned_weights(make_both):
    X, y = iris
    models = make_both(
        "MLPClassifier", hidden_layer_sizes=5, max_iter=2, random_state=0
    )
    for model in models:
        model.fit(X, y)
        model.coefs_[0][:] = np.linspace(-1, 1, 20).reshape(4, 5)
        model.partial_fit(X, y)
    for a, b in zip(models[1].coefs_, models[0].coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-9)


# scikit-learn's checks

# The default learning rate suits Adam. With these rates the other solvers learn within
# the few epochs that the checks allow.
RATES = {
    "sgd": 0.1,
    "adamw": 0.001,
    "nadam": 0.01,
    "rmsprop": 0.01,
    "adagrad": 0.1,
    "adadelta": 1.0,
}
CHECKED = [
    MLPRegressor(),
    MLPRegressor(solver="lbfgs"),
    MLPClassifier(solver="lbfgs"),
    *(MLPClassifier(solver=s, learning_rate_init=r) for s, r in RATES.items()),
]


@pytest.mark.sklearn_checks
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", CHECKED, ids=repr)
def test_estimator_passes_check_estimator(estimator):
    with warnings.catch_warnings(action="ignore"):
        results = check_estimator(estimator, on_skip=None, on_fail=None)
    failed = {
        r["check_name"]: r["exception"] for r in results if r["status"] == "failed"
    }
    assert failed == {}
    assert sum(r["status"] == "passed" for r in results) > 40


class SmallClassifier(MLPClassifier):
    """A subclass that fixes some parameters and adds one."""

    def __init__(self, note="", random_state=None):
        super().__init__((4,), max_iter=3, random_state=random_state)
        self.note = note


def test_subclass_may_define_its_own_constructor():
    model = clone(SmallClassifier("mine", random_state=0)).fit(*iris)
    same = MLPClassifier((4,), max_iter=3, random_state=0).fit(*iris)
    assert model.get_params() == {"note": "mine", "random_state": 0}
    assert_array_equal(model.predict_proba(iris[0]), same.predict_proba(iris[0]))


def test_changed_loss_takes_effect_at_next_fit():
    X, y = iris
    model = MLPRegressor(hidden_layer_sizes=4, max_iter=3, random_state=0)
    before = model.fit(X, y).predict(X)
    assert_array_equal(model.set_params(loss="poisson").predict(X), before)
