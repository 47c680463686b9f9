"""Training that goes on: partial_fit, warm_start, and pickles between its steps."""

import copy
import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
import sklearn.neural_network as theirs
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

import skmlp.neural_network as ours

pytestmark = pytest.mark.filterwarnings(
    # A few epochs each are enough here.
    "ignore::sklearn.exceptions.ConvergenceWarning"
)

SOLVERS = {
    "adam": {"solver": "adam"},
    "sgd": {"solver": "sgd"},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.2},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "tol": 1.0,
        "n_iter_no_change": 2,
    },
}
OTHER_SOLVERS = ("adamw", "nadam", "rmsprop", "adagrad", "adadelta")

solvers = pytest.mark.parametrize("params", SOLVERS.values(), ids=list(SOLVERS))


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:400] / 16, y[:400]


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return scale(X), scale(y)


def _both(kind, **params):
    params = {"hidden_layer_sizes": (13, 7), "random_state": 1} | params
    return [getattr(module, kind)(**params) for module in (theirs, ours)]


def _blocks(X, y, n_blocks=5):
    return [(X[i::n_blocks], y[i::n_blocks]) for i in range(n_blocks)]


def _assert_same(their, our):
    assert (our.t_, our.n_iter_) == (their.t_, their.n_iter_)
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-9)
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(our, name), getattr(their, name), strict=True):
            assert_allclose(a, b, rtol=1e-9, atol=1e-13)


@solvers
def test_partial_fit_of_classifier_matches_sklearn(params, digits):
    models = _both("MLPClassifier", **params)
    for X, y in _blocks(*digits):
        for model in models:
            model.partial_fit(X, y, classes=np.arange(10))
        _assert_same(*models)
    assert models[1].n_iter_ == 1


@solvers
def test_weighted_partial_fit_of_regressor_matches_sklearn(params, diabetes):
    models = _both("MLPRegressor", **params)
    for X, y in _blocks(*diabetes):
        weight = np.linspace(0.5, 2, len(X))
        for model in models:
            model.partial_fit(X, y, weight)
        _assert_same(*models)


def test_multilabel_partial_fit_matches_sklearn(digits):
    X, y = digits
    labels = np.column_stack([y % 2, y > 4])
    models = _both("MLPClassifier")
    for part, target in _blocks(X, labels):
        for model in models:
            model.partial_fit(part, target, classes=[0, 1])
    _assert_same(*models)
    assert_array_equal(models[1].classes_, models[0].classes_)


def test_partial_fit_accepts_batch_without_every_class(digits):
    X, y = digits
    models = _both("MLPClassifier")
    for digit in range(3):
        for model in models:
            model.partial_fit(X[y == digit], y[y == digit], classes=np.arange(10))
    _assert_same(*models)
    assert models[1].predict_proba(X).shape == (len(X), 10)


def test_partial_fit_sorts_classes(digits):
    X, y = digits
    words = np.array(["low", "high"])[(y > 4).astype(int)]
    model = ours.MLPClassifier(random_state=0)
    model.partial_fit(X, words, classes=["low", "high"])
    assert model.classes_.tolist() == ["high", "low"]
    for _ in range(60):
        model.partial_fit(X, words)
    assert model.score(X, words) > 0.9


@solvers
def test_partial_fit_continues_optimizer_after_fit(params, digits):
    """The optimizer goes on too: its moments, its rate, its count of rows."""
    models = _both("MLPClassifier", max_iter=6, **params)
    for model in models:
        model.fit(*digits)
    for X, y in _blocks(*digits):
        for model in models:
            model.partial_fit(X, y)
        _assert_same(*models)


def test_parameters_changed_between_calls_take_effect(diabetes):
    models = _both("MLPRegressor")
    for alpha, block in zip((0.0, 1.0, 10.0), _blocks(*diabetes), strict=False):
        for model in models:
            model.set_params(alpha=alpha).partial_fit(*block)
    _assert_same(*models)


@solvers
def test_warm_start_matches_sklearn(params, digits):
    models = _both("MLPClassifier", warm_start=True, max_iter=4, **params)
    for max_iter in (4, 3):
        for model in models:
            model.set_params(max_iter=max_iter).fit(*digits)
        _assert_same(*models)
        assert len(models[1].loss_curve_) == models[1].t_ // 400


def test_warm_start_with_early_stopping_matches_sklearn(digits):
    models = _both("MLPClassifier", warm_start=True, early_stopping=True, max_iter=5)
    for _ in range(3):
        for model in models:
            model.fit(*digits)
        _assert_same(*models)
        assert models[1].validation_scores_ == pytest.approx(
            models[0].validation_scores_
        )


def test_lbfgs_warm_start_matches_sklearn(diabetes):
    models = _both("MLPRegressor", warm_start=True, solver="lbfgs", max_iter=10)
    for _ in range(3):
        for model in models:
            model.fit(*diabetes)
    assert_allclose(models[1].loss_, models[0].loss_, rtol=1e-6)


def test_fit_restarts_without_warm_start(digits):
    model = ours.MLPClassifier(7, max_iter=3, random_state=0).fit(*digits)
    first = model.loss_curve_
    assert model.fit(*digits).loss_curve_ == first
    assert model.partial_fit(*digits).fit(*digits).loss_curve_ == first


def test_partial_fit_continues_after_lbfgs(digits):
    model = ours.MLPClassifier(7, solver="lbfgs", max_iter=20, random_state=0)
    before = model.fit(*digits).score(*digits)
    model.set_params(solver="adam").partial_fit(*digits)
    assert model.score(*digits) >= before - 0.1


# Pickles


def _by_pickle(model):
    return pickle.loads(pickle.dumps(model))


def _by_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize("copied", [_by_pickle, _by_joblib, copy.deepcopy])
@pytest.mark.parametrize("solver", ["adam", "sgd", *OTHER_SOLVERS])
def test_copy_between_batches_continues_bitwise_equal(copied, solver, digits):
    blocks = _blocks(*digits)
    model = ours.MLPClassifier(13, solver=solver, dropout=0.2, random_state=1)
    for block in blocks[:2]:
        model.partial_fit(*block, classes=np.arange(10))
    twin = copied(model)
    for block in blocks[2:]:
        model.partial_fit(*block)
        twin.partial_fit(*block)
    for a, b in zip(model.coefs_, twin.coefs_, strict=True):
        assert_array_equal(a, b)
    assert twin.loss_curve_ == model.loss_curve_


@pytest.mark.parametrize("copied", [_by_pickle, _by_joblib, copy.deepcopy])
def test_copy_after_fit_continues_bitwise_equal(copied, digits):
    model = ours.MLPClassifier(13, max_iter=4, random_state=1).fit(*digits)
    twin = copied(model)
    assert_array_equal(twin.predict_proba(digits[0]), model.predict_proba(digits[0]))
    for block in _blocks(*digits):
        model.partial_fit(*block)
        twin.partial_fit(*block)
    for a, b in zip(model.coefs_, twin.coefs_, strict=True):
        assert_array_equal(a, b)


def test_deep_copy_is_independent(digits):
    model = ours.MLPClassifier(5, random_state=0)
    model.partial_fit(*digits, classes=np.arange(10))
    before = [w.copy() for w in model.coefs_]
    copy.deepcopy(model).partial_fit(*digits)
    for a, b in zip(model.coefs_, before, strict=True):
        assert_array_equal(a, b)


# What is refused


def test_first_partial_fit_needs_classes(digits):
    for model in _both("MLPClassifier"):
        with pytest.raises(ValueError, match="classes must be passed"):
            model.partial_fit(*digits)


def test_changed_classes_are_refused(digits):
    X, y = digits
    for model in _both("MLPClassifier"):
        model.partial_fit(X, y, classes=np.arange(10))
        with pytest.raises(ValueError, match="is not the same as on last call"):
            model.partial_fit(X, y, classes=np.arange(9))
        with pytest.raises(ValueError, match=r"classes not in `self\.classes_`"):
            model.partial_fit(X, y + 1)


def test_partial_fit_refuses_early_stopping(digits):
    for model in _both("MLPClassifier", early_stopping=True):
        with pytest.raises(ValueError, match="does not support early_stopping=True"):
            model.partial_fit(*digits, classes=np.arange(10))


def test_lbfgs_has_no_partial_fit():
    for model in _both("MLPClassifier", solver="lbfgs"):
        assert not hasattr(model, "partial_fit")
        with pytest.raises(AttributeError):
            model.partial_fit  # noqa: B018
    assert not hasattr(ours.MLPRegressor(solver="lbfgs"), "partial_fit")


def test_warm_start_refuses_other_classes():
    X, y = load_iris(return_X_y=True)
    for model in _both("MLPClassifier", warm_start=True, max_iter=2):
        model.fit(X, y)
        for other in (np.where(y == 2, 0, y), y + 1):
            with pytest.raises(ValueError, match="warm_start can only be used where"):
                model.fit(X, other)


def test_changed_feature_count_is_refused(digits):
    X, y = digits
    for model in _both("MLPClassifier"):
        model.partial_fit(X, y, classes=np.arange(10))
        with pytest.raises(ValueError, match="X has 3 features, but MLPClassifier"):
            model.partial_fit(X[:, :3], y)


def test_partial_fit_does_not_warn_about_convergence(digits):
    with warnings.catch_warnings(action="error", category=ConvergenceWarning):
        for model in _both("MLPClassifier"):
            model.partial_fit(*digits, classes=np.arange(10))


@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_failed_training_restores_previous_state(digits, method, solver):
    params = {"dropout": 0.5, "warm_start": True, "max_iter": 2, "batch_norm": True}
    model = ours.MLPClassifier(5, solver=solver, random_state=0, **params)
    train = getattr(model, method)
    train(*digits, **({} if method == "fit" else {"classes": np.arange(10)}))
    other = copy.deepcopy(model)
    learnt = model.predict_proba(digits[0]), model.loss_curve_.copy(), model.n_iter_
    with pytest.raises(ValueError, match="Training loss became non-finite"):
        train(1e308 * digits[0], digits[1])
    assert_array_equal(model.predict_proba(digits[0]), learnt[0])
    assert (model.loss_curve_, model.n_iter_) == learnt[1:]
    for again in (model, other):
        getattr(again, method)(*digits)
    assert_array_equal(model.predict_proba(digits[0]), other.predict_proba(digits[0]))
    assert len(model.history_) == len(other.history_)


@pytest.mark.parametrize("wrong", ["row", "label"])
def test_classes_survive_failed_first_partial_fit(wrong):
    X, y, classes = np.eye(3), np.array([0, 1, 0]), np.arange(4)
    bad = (X * np.nan, y) if wrong == "row" else (X, y + 7)
    model = ours.MLPClassifier(2)
    with pytest.raises(ValueError, match=r"NaN|classes not in"):
        model.partial_fit(*bad, classes=classes)
    fresh = copy.deepcopy(model)
    assert model.partial_fit(X, y, classes=classes).classes_.tolist() == [0, 1, 2, 3]
    assert fresh.fit(X, y).classes_.tolist() == [0, 1]


@pytest.mark.parametrize("name", ["cosine", "onecycle"])
def test_finished_schedule_warns_in_partial_fit(name, digits):
    X, y = digits
    model = ours.MLPClassifier(
        8, learning_rate=name, max_iter=3, batch_size=150, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            model.partial_fit(X, y, classes=np.arange(10))
    with pytest.warns(UserWarning, match=f"'{name}' is planned for max_iter=3 epochs"):
        model.partial_fit(X, y)
    before = model.coefs_[0].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(max_iter=10).partial_fit(X, y)
    assert np.abs(model.coefs_[0] - before).max() > 1e-5


def test_schedule_counts_partial_fit_calls_as_epochs(digits):
    X, y = digits
    model = ours.MLPClassifier(
        8, learning_rate="cosine", max_iter=5, batch_size=20, random_state=0
    )
    rates = []
    for n in (400, 40, 20, 200, 400):
        model.partial_fit(X[:n], y[:n], classes=np.arange(10))
        rates.append(model.net_.optimizer_.param_groups[0]["lr"])
    assert rates == sorted(rates, reverse=True)
    # Half-way through, of one batch: 0.001 * (1 + cos(0.4 pi)) / 2.
    assert rates[2] == pytest.approx(0.001 * (1 + np.cos(0.4 * np.pi)) / 2)
    assert rates[-1] < 1e-5


def test_finished_schedule_warns_in_partial_fit_after_fit_but_not_in_fit(digits):
    model = ours.MLPClassifier(
        8, learning_rate="cosine", max_iter=2, random_state=0, warm_start=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(*digits).fit(*digits)
    with pytest.warns(UserWarning, match="learns next to nothing more"):
        model.partial_fit(*digits)
