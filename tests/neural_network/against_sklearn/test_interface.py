"""Names, types and shapes: what a scikit-learn user finds on a fitted model."""

import copy
import inspect
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn.neural_network as theirs
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import check_estimator

import skmlp.neural_network as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("MLPClassifier", "MLPRegressor")


def _not_ours(kind, solver, early_stopping):
    """Return what scikit-learn shows and ours has not, on purpose."""
    # With lbfgs its regressor has partial_fit too, and then minimises anew from where
    # it stands; its classifier and its documentation do not have it. With early
    # stopping calling it is an error, for which scikit-learn's checks ask its absence.
    if early_stopping and (solver != "lbfgs" or kind == "MLPRegressor"):
        return {"partial_fit"}
    return {"partial_fit"} if (kind, solver) == ("MLPRegressor", "lbfgs") else set()


iris = load_iris(return_X_y=True)


def _both(kind, **params):
    return [getattr(module, kind)(**params) for module in (theirs, ours)]


def _public(model):
    # Older scikit-learns list what then is not there: partial_fit with lbfgs.
    return {n for n in dir(model) if not n.startswith("_") and hasattr(model, n)}


# Names


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", KINDS)
def test_public_attributes_have_sklearn_types_and_shapes(kind, solver, early_stopping):
    X, y = load_iris(return_X_y=True, as_frame=True)
    their, our = _both(
        kind, solver=solver, early_stopping=early_stopping, max_iter=12, random_state=0
    )
    their.fit(X, y)
    our.fit(X, y)
    names = _public(their)
    assert names - _public(our) == _not_ours(kind, solver, early_stopping)
    for name in names & _public(our):
        wanted, found = getattr(their, name), getattr(our, name)
        if callable(wanted):
            _assert_takes_as_much(found, wanted)
            continue
        # Of theirs some losses are NumPy's float64, which is a float.
        assert isinstance(wanted, type(found)) or isinstance(found, type(wanted)), name
        if isinstance(wanted, list):
            assert list(map(np.shape, found)) == list(map(np.shape, wanted)), name
        else:
            assert np.shape(found) == np.shape(wanted), name


def _assert_takes_as_much(method, theirs_):
    own = inspect.signature(method).parameters
    for name, parameter in inspect.signature(theirs_).parameters.items():
        assert name in own or any(p.kind is p.VAR_KEYWORD for p in own.values()), name
        if name in own:
            assert own[name].default == parameter.default
    positional = [
        n
        for n, p in inspect.signature(theirs_).parameters.items()
        if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    assert list(own)[: len(positional)] == positional


@pytest.mark.parametrize("kind", KINDS)
def test_unfitted_estimator_has_no_fitted_attributes(kind):
    their, our = _both(kind)
    for name in _public(their):
        assert hasattr(our, name), name
    assert not [name for name in _public(our) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        our.predict(iris[0])


@pytest.mark.parametrize("kind", KINDS)
def test_shared_parameters_have_sklearn_defaults_and_order(kind):
    their, our = (inspect.signature(type(m)).parameters for m in _both(kind))
    for name, parameter in their.items():
        assert our[name].default == parameter.default, name
        assert our[name].kind == parameter.kind, name
    shared = [name for name in our if name in their]
    assert shared == list(their)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_can_be_read_set_and_cloned(kind):
    their, our = _both(kind, hidden_layer_sizes=(3, 4), alpha=0.5)
    assert their.get_params().items() <= our.get_params().items()
    copied = clone(our.set_params(solver="sgd", dropout=0.1))
    assert copied.get_params() == our.get_params()
    with pytest.raises(ValueError, match="Invalid parameter 'layers'"):
        our.set_params(layers=3)


@pytest.mark.parametrize("kind", KINDS)
def test_repr_equals_sklearn_and_html_shows_state(kind):
    their, our = _both(kind, hidden_layer_sizes=(3, 4), alpha=0.5)
    assert repr(our) == repr(their)
    html = our._repr_html_()
    assert kind in html
    assert "hidden_layer_sizes" in html
    our.fit(*iris)
    assert "Fitted" in our._repr_html_()


@pytest.mark.parametrize("kind", KINDS)
def test_tags_equal_sklearn(kind):
    their, our = (model.__sklearn_tags__() for model in _both(kind))
    assert our.estimator_type == their.estimator_type
    assert our.classifier_tags == their.classifier_tags
    assert our.regressor_tags == their.regressor_tags
    assert our.target_tags == their.target_tags
    assert our.input_tags.sparse == their.input_tags.sparse


# Weights can be read, and be assigned


@pytest.mark.parametrize("kind", KINDS)
def test_assigned_weights_are_used_for_prediction(kind):
    X, y = iris
    their, our = _both(kind, hidden_layer_sizes=5, max_iter=3, random_state=0)
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
    model = ours.MLPClassifier(5, max_iter=2).fit(X.astype(np.float32), y)
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
    model = ours.MLPClassifier(5, max_iter=2, random_state=0).fit(*iris)
    before = model.predict_proba(iris[0])
    with pytest.raises(ValueError, match=message):
        assign(model)
    assert_array_equal(model.predict_proba(iris[0]), before)


def test_copied_weights_are_plain_lists():
    model = ours.MLPClassifier(5, max_iter=2, random_state=0).fit(*iris)
    for copied in (copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
        weights = copied(model.coefs_)
        assert type(weights) is list
        weights[0] = weights[1]
        weights[1][:] = 0
        assert model.coefs_[1].any()


def test_partial_fit_continues_from_assigned_weights():
    X, y = iris
    models = _both("MLPClassifier", hidden_layer_sizes=5, max_iter=2, random_state=0)
    for model in models:
        model.fit(X, y)
        model.coefs_[0][:] = np.linspace(-1, 1, 20).reshape(4, 5)
        model.partial_fit(X, y)
    for a, b in zip(models[1].coefs_, models[0].coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-9)


# Targets of every kind

X, digit = iris
LETTERS = np.array(list("abc"))[digit]
INDICATOR = np.eye(3, dtype=int)[digit]
TARGETS = {
    "int": digit,
    "int8": digit.astype(np.int8),
    "unsigned": digit.astype(np.uint8),
    "whole floats": digit.astype(float),
    "large": digit * 10**12,
    "minus one and one": np.where(digit > 0, 1, -1),
    "bool": digit > 0,
    "str": LETTERS,
    "object": LETTERS.astype(object),
    "list": digit.tolist(),
    "Series": pd.Series(digit, index=np.arange(150) + 7),
    "Series of str": pd.Series(LETTERS),
    "Categorical": pd.Series(pd.Categorical(LETTERS)),
    "Int64": pd.Series(digit, dtype="Int64"),
    "boolean": pd.Series(digit > 0, dtype="boolean"),
    "indicator": INDICATOR,
    "bool indicator": INDICATOR.astype(bool),
    "float indicator": INDICATOR.astype(float),
    "DataFrame indicator": pd.DataFrame(INDICATOR),
    "sparse indicator": scipy.sparse.csr_matrix(INDICATOR),
    "empty indicator": np.zeros((150, 2), dtype=int),
}


@pytest.mark.parametrize("y", TARGETS.values(), ids=list(TARGETS))
def test_predicted_labels_equal_sklearn_in_value_and_type(y):
    their, our = _both("MLPClassifier", max_iter=5, random_state=0)
    their.fit(X, y)
    our.fit(X, y)
    assert_array_equal(our.classes_, their.classes_)
    assert our.classes_.dtype == their.classes_.dtype
    wanted, found = their.predict(X), our.predict(X)
    assert type(found) is type(wanted)
    assert found.dtype == wanted.dtype
    if scipy.sparse.issparse(wanted):
        wanted, found = wanted.toarray(), found.toarray()
    assert_array_equal(found, wanted)
    for name in ("predict_proba", "predict_log_proba"):
        assert_allclose(getattr(our, name)(X), getattr(their, name)(X), rtol=1e-6)
    assert our.score(X, y) == their.score(X, y)
    assert (our.n_outputs_, our.out_activation_) == (
        their.n_outputs_,
        their.out_activation_,
    )


NUMBERS = load_diabetes(return_X_y=True)[1]
NUMERIC = {
    "float": NUMBERS,
    "int": NUMBERS.astype(int),
    "float32": NUMBERS.astype(np.float32),
    "bool": NUMBERS > 100,
    "object": NUMBERS.astype(object),
    "list": NUMBERS.tolist(),
    "Series": pd.Series(NUMBERS),
    "two outputs": np.column_stack([NUMBERS, -NUMBERS]),
    "DataFrame": pd.DataFrame({"a": NUMBERS, "b": -NUMBERS}),
}


@pytest.mark.parametrize("y", NUMERIC.values(), ids=list(NUMERIC))
def test_predicted_numbers_equal_sklearn_in_value_and_dtype(y):
    X, _ = load_diabetes(return_X_y=True)
    their, our = _both("MLPRegressor", max_iter=5, random_state=0)
    their.fit(X, y)
    our.fit(X, y)
    assert_allclose(our.predict(X), their.predict(X), rtol=1e-6)
    assert our.predict(X).dtype == their.predict(X).dtype
    assert our.score(X, y) == pytest.approx(their.score(X, y))


def test_single_class_is_refused():
    """scikit-learn trains a network that cannot but answer with it."""
    with pytest.raises(ValueError, match="y has one class only, 'a'"):
        ours.MLPClassifier().fit(X, np.full(150, "a"))


@pytest.mark.parametrize(
    "y", [LETTERS, digit.astype("datetime64[s]")], ids=["words", "dates"]
)
def test_non_numeric_targets_are_refused(y):
    with pytest.raises(TypeError, match=r"y has dtype .*, but has to hold numbers"):
        ours.MLPRegressor().fit(X, y)


# Features of every kind

FEATURES = {
    "float64": X,
    "float32": X.astype(np.float32),
    "Fortran order": np.asfortranarray(X),
    "backwards": X[::-1],
    "every second": np.repeat(X, 2, axis=0)[::2],
    "read only": np.frombuffer(X.tobytes()).reshape(X.shape),
    "list": X.tolist(),
    "object": X.astype(object),
    "DataFrame": pd.DataFrame(X, columns=list("abcd")),
    "DataFrame without names": pd.DataFrame(X),
    "csr": scipy.sparse.csr_matrix(X),
    "csc": scipy.sparse.csc_matrix(X),
    "coo": scipy.sparse.coo_matrix(X),
    "big endian": X.astype(">f8"),
    "long double": X.astype(np.longdouble),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", FEATURES.values(), ids=list(FEATURES))
def test_every_type_of_features_trains_as_in_sklearn(kind, rows):
    their, our = _both(kind, max_iter=5, random_state=0)
    their.fit(rows, digit)
    our.fit(rows, digit)
    # float32 rounds as it adds; more is not asked of it.
    rtol = 1e-3 if our.coefs_[0].dtype == np.float32 else 1e-6
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=rtol)
    assert hasattr(our, "feature_names_in_") == hasattr(their, "feature_names_in_")
    assert our.predict(rows).shape == their.predict(rows).shape


def test_different_feature_names_are_refused():
    frame = pd.DataFrame(X, columns=list("abcd"))
    for model in _both("MLPClassifier", max_iter=2):
        model.fit(frame, digit)
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(frame[list("dcba")])
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            model.predict(X)


def test_dates_are_refused_as_features():
    dates = pd.DataFrame({"a": pd.date_range("2020", periods=150)})
    with pytest.raises(TypeError, match="X has dtype datetime64"):
        ours.MLPClassifier().fit(dates, digit)


# scikit-learn's own checks

# The default learning rate is meant for Adam; these let the others learn within the
# few epochs that the checks give them, so that a check is about the estimator.
RATES = {
    "sgd": 0.1,
    "adamw": 0.001,
    "nadam": 0.01,
    "rmsprop": 0.01,
    "adagrad": 0.1,
    "adadelta": 1.0,
}
CHECKED = [
    ours.MLPRegressor(),
    ours.MLPRegressor(solver="lbfgs"),
    ours.MLPClassifier(solver="lbfgs"),
    *(ours.MLPClassifier(solver=s, learning_rate_init=r) for s, r in RATES.items()),
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


class _Small(ours.MLPClassifier):
    """A subclass that fixes some parameters and has one of its own."""

    def __init__(self, note="", random_state=None):
        super().__init__((4,), max_iter=3, random_state=random_state)
        self.note = note


def test_subclass_may_define_its_own_constructor():
    model = clone(_Small("mine", random_state=0)).fit(*iris)
    same = ours.MLPClassifier((4,), max_iter=3, random_state=0).fit(*iris)
    assert model.get_params() == {"note": "mine", "random_state": 0}
    assert_array_equal(model.predict_proba(iris[0]), same.predict_proba(iris[0]))


def test_changed_loss_takes_effect_at_next_fit():
    X, y = iris
    model = ours.MLPRegressor(hidden_layer_sizes=4, max_iter=3, random_state=0)
    before = model.fit(X, y).predict(X)
    assert_array_equal(model.set_params(loss="poisson").predict(X), before)
