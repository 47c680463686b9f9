"""Continued training: partial_fit, warm_start, and copies between their calls."""

import copy
import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from skmlp.neural_network import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs, on purpose
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


@pytest.fixture
def make_both(make_both):
    defaults = {"hidden_layer_sizes": (13, 7), "random_state": 1}
    return lambda name, **params: make_both(name, **defaults | params)


def split_batches(X, y, n_batches=5):
    """Return every `n_batches`-th sample, from each start."""
    return [(X[i::n_batches], y[i::n_batches]) for i in range(n_batches)]


@pytest.fixture
def assert_same_fit(assert_equal_weights):
    def assert_same(expected, model):
        assert (model.t_, model.n_iter_) == (expected.t_, expected.n_iter_)
        assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-9)
        assert_equal_weights(model, expected, rtol=1e-9, atol=1e-13)

    return assert_same


@solvers
def test_partial_fit_of_classifier_matches_sklearn(
    params, digits, assert_same_fit, make_both
):
    models = make_both("MLPClassifier", **params)
    for X, y in split_batches(*digits):
        for model in models:
            model.partial_fit(X, y, classes=np.arange(10))
        assert_same_fit(*models)
    assert models[1].n_iter_ == 1


@solvers
def test_weighted_partial_fit_of_regressor_matches_sklearn(
    params, diabetes, assert_same_fit, make_both
):
    models = make_both("MLPRegressor", **params)
    for X, y in split_batches(*diabetes):
        weight = np.linspace(0.5, 2, len(X))
        for model in models:
            model.partial_fit(X, y, weight)
        assert_same_fit(*models)


def test_multilabel_partial_fit_matches_sklearn(digits, assert_same_fit, make_both):
    X, y = digits
    labels = np.column_stack([y % 2, y > 4])
    models = make_both("MLPClassifier")
    for batch, target in split_batches(X, labels):
        for model in models:
            model.partial_fit(batch, target, classes=[0, 1])
    assert_same_fit(*models)
    assert_array_equal(models[1].classes_, models[0].classes_)


def test_partial_fit_accepts_batch_without_every_class(
    digits, assert_same_fit, make_both
):
    X, y = digits
    models = make_both("MLPClassifier")
    for digit in range(3):
        for model in models:
            model.partial_fit(X[y == digit], y[y == digit], classes=np.arange(10))
    assert_same_fit(*models)
    assert models[1].predict_proba(X).shape == (len(X), 10)


def test_partial_fit_sorts_classes(digits):
    X, y = digits
    labels = np.array(["low", "high"])[(y > 4).astype(int)]
    model = MLPClassifier(random_state=0)
    model.partial_fit(X, labels, classes=["low", "high"])
    assert model.classes_.tolist() == ["high", "low"]
    for _ in range(60):
        model.partial_fit(X, labels)
    assert model.score(X, labels) > 0.9


@solvers
def test_partial_fit_continues_optimizer_after_fit(
    params, digits, assert_same_fit, make_both
):
    """The optimizer keeps its moments, its learning rate and its count of samples."""
    models = make_both("MLPClassifier", max_iter=6, **params)
    for model in models:
        model.fit(*digits)
    for X, y in split_batches(*digits):
        for model in models:
            model.partial_fit(X, y)
        assert_same_fit(*models)


def test_parameters_changed_between_calls_take_effect(
    diabetes, assert_same_fit, make_both
):
    models = make_both("MLPRegressor")
    for alpha, batch in zip((0.0, 1.0, 10.0), split_batches(*diabetes), strict=False):
        for model in models:
            model.set_params(alpha=alpha).partial_fit(*batch)
    assert_same_fit(*models)


@solvers
def test_warm_start_matches_sklearn(params, digits, assert_same_fit, make_both):
    models = make_both("MLPClassifier", warm_start=True, max_iter=4, **params)
    for max_iter in (4, 3):
        for model in models:
            model.set_params(max_iter=max_iter).fit(*digits)
        assert_same_fit(*models)
        assert len(models[1].loss_curve_) == models[1].t_ // 300


def test_warm_start_with_early_stopping_matches_sklearn(
    digits, assert_same_fit, make_both
):
    models = make_both(
        "MLPClassifier", warm_start=True, early_stopping=True, max_iter=5
    )
    for _ in range(3):
        for model in models:
            model.fit(*digits)
        assert_same_fit(*models)
        assert models[1].validation_scores_ == pytest.approx(
            models[0].validation_scores_
        )


def test_lbfgs_warm_start_matches_sklearn(diabetes, make_both):
    models = make_both("MLPRegressor", warm_start=True, solver="lbfgs", max_iter=10)
    for _ in range(3):
        for model in models:
            model.fit(*diabetes)
    assert_allclose(models[1].loss_, models[0].loss_, rtol=1e-6)


@pytest.mark.on_cuda_too
def test_fit_restarts_without_warm_start(digits):
    model = MLPClassifier(7, max_iter=3, random_state=0).fit(*digits)
    first = model.loss_curve_
    assert model.fit(*digits).loss_curve_ == first
    assert model.partial_fit(*digits).fit(*digits).loss_curve_ == first


@pytest.mark.on_cuda_too
def test_partial_fit_continues_after_lbfgs(digits):
    model = MLPClassifier(7, solver="lbfgs", max_iter=20, random_state=0)
    before = model.fit(*digits).score(*digits)
    model.set_params(solver="adam").partial_fit(*digits)
    assert model.score(*digits) >= before - 0.1


# Copies


def copy_by_pickle(model):
    return pickle.loads(pickle.dumps(model))


def copy_by_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.on_cuda_too
@pytest.mark.parametrize("copied", [copy_by_pickle, copy_by_joblib, copy.deepcopy])
@pytest.mark.parametrize("solver", ["adam", "sgd", *OTHER_SOLVERS])
def test_copy_between_batches_continues_bitwise_equal(
    copied, solver, digits, assert_equal_weights
):
    batches = split_batches(*digits)
    model = MLPClassifier(13, solver=solver, dropout=0.2, random_state=1)
    for batch in batches[:2]:
        model.partial_fit(*batch, classes=np.arange(10))
    twin = copied(model)
    for batch in batches[2:]:
        model.partial_fit(*batch)
        twin.partial_fit(*batch)
    assert_equal_weights(twin, model)
    assert twin.loss_curve_ == model.loss_curve_


@pytest.mark.parametrize(
    ("copied", "warm_start"),
    [(copy_by_pickle, True), (copy_by_joblib, True), (copy.deepcopy, False)],
)
def test_copy_after_fit_continues_bitwise_equal(
    copied, warm_start, digits, assert_equal_weights
):
    model = MLPClassifier(13, max_iter=4, warm_start=warm_start, random_state=1)
    model.fit(*digits)
    twin = copied(model)
    assert_array_equal(twin.predict_proba(digits[0]), model.predict_proba(digits[0]))
    for batch in split_batches(*digits):
        model.partial_fit(*batch)
        twin.partial_fit(*batch)
    assert_equal_weights(twin, model)


@pytest.mark.parametrize("copied", [copy_by_pickle, copy_by_joblib])
def test_pickle_after_fit_continues_with_moments_of_zero(
    copied, digits, assert_equal_weights
):
    """A pickle of a fit lacks the moments, since few users train it further."""
    model = MLPClassifier(
        13, solver="sgd", learning_rate="invscaling", max_iter=4, random_state=1
    ).fit(*digits)
    twin, without = copied(model), copy.deepcopy(model)
    without.net_.optimizer_state_["state"] = {}
    learning_rate = without.net_.optimizer_state_["group"]["lr"]
    assert learning_rate < model.learning_rate_init
    for batch in split_batches(*digits):
        twin.partial_fit(*batch)
        without.partial_fit(*batch)
    assert_equal_weights(twin, without)
    assert twin.loss_curve_ == without.loss_curve_


def test_deep_copy_is_independent(digits):
    model = MLPClassifier(5, random_state=0)
    model.partial_fit(*digits, classes=np.arange(10))
    before = [w.copy() for w in model.coefs_]
    copy.deepcopy(model).partial_fit(*digits)
    for a, b in zip(model.coefs_, before, strict=True):
        assert_array_equal(a, b)


# Errors and warnings


def test_first_partial_fit_needs_classes(digits, make_both):
    for model in make_both("MLPClassifier"):
        with pytest.raises(ValueError, match="classes must be passed"):
            model.partial_fit(*digits)


def test_changed_classes_are_refused(digits, make_both):
    X, y = digits
    for model in make_both("MLPClassifier"):
        model.partial_fit(X, y, classes=np.arange(10))
        with pytest.raises(ValueError, match="is not the same as on last call"):
            model.partial_fit(X, y, classes=np.arange(9))
        with pytest.raises(ValueError, match=r"classes not in `self\.classes_`"):
            model.partial_fit(X, y + 1)


def test_partial_fit_refuses_early_stopping(digits, make_both):
    for model in make_both("MLPClassifier", early_stopping=True):
        with pytest.raises(ValueError, match="does not support early_stopping=True"):
            model.partial_fit(*digits, classes=np.arange(10))


def test_lbfgs_has_no_partial_fit(make_both):
    for model in make_both("MLPClassifier", solver="lbfgs"):
        assert not hasattr(model, "partial_fit")
        with pytest.raises(AttributeError):
            model.partial_fit  # noqa: B018
    assert not hasattr(MLPRegressor(solver="lbfgs"), "partial_fit")


def test_warm_start_refuses_other_classes(make_both):
    X, y = load_iris(return_X_y=True)
    for model in make_both("MLPClassifier", warm_start=True, max_iter=2):
        model.fit(X, y)
        for other in (np.where(y == 2, 0, y), y + 1):
            with pytest.raises(ValueError, match="warm_start can only be used where"):
                model.fit(X, other)


def test_changed_feature_count_is_refused(digits, make_both):
    X, y = digits
    for model in make_both("MLPClassifier"):
        model.partial_fit(X, y, classes=np.arange(10))
        with pytest.raises(ValueError, match="X has 3 features, but MLPClassifier"):
            model.partial_fit(X[:, :3], y)


def test_partial_fit_does_not_warn_about_convergence(digits, make_both):
    with warnings.catch_warnings(action="error", category=ConvergenceWarning):
        for model in make_both("MLPClassifier"):
            model.partial_fit(*digits, classes=np.arange(10))


@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_failed_training_restores_previous_state(digits, method, solver):
    params = {"dropout": 0.5, "warm_start": True, "max_iter": 2, "batch_norm": True}
    model = MLPClassifier(5, solver=solver, random_state=0, **params)
    train = getattr(model, method)
    train(*digits, **({} if method == "fit" else {"classes": np.arange(10)}))
    other = copy.deepcopy(model)
    before = model.predict_proba(digits[0]), model.loss_curve_.copy(), model.n_iter_
    with pytest.raises(ValueError, match="Training loss became non-finite"):
        train(1e308 * digits[0], digits[1])
    assert_array_equal(model.predict_proba(digits[0]), before[0])
    assert (model.loss_curve_, model.n_iter_) == before[1:]
    for estimator in (model, other):
        getattr(estimator, method)(*digits)
    assert_array_equal(model.predict_proba(digits[0]), other.predict_proba(digits[0]))
    assert len(model.history_) == len(other.history_)


@pytest.mark.parametrize("wrong", ["features", "label"])
def test_classes_survive_failed_first_partial_fit(wrong):
    X, y, classes = np.eye(3), np.array([0, 1, 0]), np.arange(4)
    bad = (X * np.nan, y) if wrong == "features" else (X, y + 7)
    model = MLPClassifier(2)
    with pytest.raises(ValueError, match=r"NaN|classes not in"):
        model.partial_fit(*bad, classes=classes)
    fresh = copy.deepcopy(model)
    assert model.partial_fit(X, y, classes=classes).classes_.tolist() == [0, 1, 2, 3]
    assert fresh.fit(X, y).classes_.tolist() == [0, 1]


@pytest.mark.parametrize("name", ["cosine", "onecycle"])
def test_finished_schedule_warns_in_partial_fit(name, digits):
    X, y = digits
    model = MLPClassifier(
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


@pytest.mark.on_cuda_too
def test_schedule_counts_partial_fit_calls_as_epochs(digits):
    X, y = digits
    model = MLPClassifier(
        8, learning_rate="cosine", max_iter=5, batch_size=20, random_state=0
    )
    rates = []
    for n_samples in (300, 40, 20, 200, 300):
        model.partial_fit(X[:n_samples], y[:n_samples], classes=np.arange(10))
        rates.append(model.net_.optimizer_.param_groups[0]["lr"])
    assert rates == sorted(rates, reverse=True)
    # The third call has one batch, which starts after 2 of 5 epochs:
    # 0.001 * (1 + cos(0.4 pi)) / 2.
    assert rates[2] == pytest.approx(0.001 * (1 + np.cos(0.4 * np.pi)) / 2)
    assert rates[-1] < 1e-5


def test_finished_schedule_warns_in_partial_fit_after_fit_but_not_in_fit(digits):
    model = MLPClassifier(
        8, learning_rate="cosine", max_iter=2, random_state=0, warm_start=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(*digits).fit(*digits)
    with pytest.warns(UserWarning, match="learns next to nothing more"):
        model.partial_fit(*digits)
