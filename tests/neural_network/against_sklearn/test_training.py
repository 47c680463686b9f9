"""The numerical twin: same parameters and seed, scikit-learn's network.

Every pair of levels of the factors below is met by some case (a pairwise covering
design, `_pairwise`), instead of every combination of all of them; lbfgs, float32 and
unscaled data have smaller designs of their own. The reference is the scikit-learn that
is installed.
"""

import warnings
from itertools import combinations, product

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network as theirs
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

import skmlp.neural_network as ours
from skmlp.training.data.batches import BatchLoader

EPOCHS = 20


def _digits():
    X, y = load_digits(return_X_y=True)
    return X[:500] / 16, y[:500]


def _labels_of_digits():
    X, y = _digits()
    return X, np.column_stack([y % 2 == 0, y > 4, y == 0]).astype(int)


def _breast_cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y


def _iris():
    return load_iris(return_X_y=True)


def _diabetes():
    X, y = load_diabetes(return_X_y=True)
    return scale(X), scale(y)


def _two_outputs():
    X, y = _diabetes()
    return X, np.column_stack([y, np.abs(y)])


def _counts():
    X, y = load_diabetes(return_X_y=True)
    return scale(X), np.round(y / 50)


DATA = {
    "digits": _digits,
    "iris": _iris,
    "breast cancer": _breast_cancer,
    "digits, three labels each": _labels_of_digits,
    "diabetes": _diabetes,
    "diabetes, two outputs": _two_outputs,
    "counts": _counts,
}
CLASSES = ("digits", "iris", "breast cancer", "digits, three labels each")

SOLVERS = {
    "adam": {"solver": "adam"},
    "adam, own rates": {
        "solver": "adam",
        "learning_rate_init": 0.01,
        "beta_1": 0.8,
        "beta_2": 0.99,
        "epsilon": 1e-4,
    },
    "plain": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.02},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.01},
    "invscaling": {
        "solver": "sgd",
        "learning_rate": "invscaling",
        "learning_rate_init": 0.05,
        "power_t": 0.2,
    },
    "plain invscaling": {
        "solver": "sgd",
        "learning_rate": "invscaling",
        "learning_rate_init": 0.1,
        "momentum": 0.0,
    },
    # So large a tol that the rate is lowered within the epochs there are.
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "tol": 0.05,
        "n_iter_no_change": 2,
    },
    "plain adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "momentum": 0.0,
        "tol": 0.05,
        "n_iter_no_change": 2,
    },
}

FACTORS = {
    "data": tuple(DATA),
    "solver": tuple(SOLVERS),
    "activation": ("relu", "tanh", "logistic", "identity"),
    "hidden_layer_sizes": (12, (11, 6), ()),
    "alpha": (1e-4, 0.0, 1.0),
    "batch_size": ("auto", 32, 17),
    "shuffle": (True, False),
    "early_stopping": (False, True),
    "weighted": (False, True),
}


def _pairwise(factors):
    """Cases that together hold every pair of levels of two different factors."""
    names = list(factors)
    missing = {
        ((a, x), (b, y))
        for a, b in combinations(names, 2)
        for x, y in product(factors[a], factors[b])
    }
    while missing:
        case = dict(min(missing, key=repr))
        for name in names:
            if name in case:
                continue
            case[name] = max(
                factors[name],
                key=lambda level, name=name: len(
                    missing & set(_pairs({**case, name: level}, names))
                ),
            )
        missing -= set(_pairs(case, names))
        yield case


def _pairs(case, names):
    present = [(name, case[name]) for name in names if name in case]
    return combinations(present, 2)


def _name(case):
    return ", ".join(f"{value}" for value in case.values())


def _weights(y):
    return np.random.RandomState(5).uniform(0.2, 3.0, len(y))


def _models(data, **params):
    kind = "MLPClassifier" if data in CLASSES else "MLPRegressor"
    if data == "counts":
        params["loss"] = "poisson"
    return getattr(theirs, kind)(**params), getattr(ours, kind)(**params)


def _fit_both(data, X, y, sample_weight=None, **params):
    their, our = _models(data, max_iter=EPOCHS, random_state=3, **params)
    with warnings.catch_warnings():
        # Twenty epochs are few; whether both warn alike is tested below.
        warnings.simplefilter("ignore", ConvergenceWarning)
        if sample_weight is None:
            return their.fit(X, y), our.fit(X, y)
        return their.fit(X, y, sample_weight), our.fit(X, y, sample_weight)


def _assert_same_network(their, our, rtol=1e-6, atol=1e-12):
    for name in ("coefs_", "intercepts_"):
        for theirs_, ours_ in zip(
            getattr(their, name), getattr(our, name), strict=True
        ):
            assert_allclose(ours_, theirs_, rtol=rtol, atol=atol)


@pytest.mark.parametrize("case", list(_pairwise(FACTORS)), ids=_name)
def test_stochastic_training_matches_sklearn(case):
    params = dict(case)
    data, weighted = params.pop("data"), params.pop("weighted")
    X, y = DATA[data]()
    params.update(SOLVERS[params["solver"]])
    their, our = _fit_both(data, X, y, _weights(y) if weighted else None, **params)

    assert our.n_iter_ == their.n_iter_
    assert our.t_ == their.t_
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-6)
    _assert_same_network(their, our)
    if params["early_stopping"]:
        assert_allclose(our.validation_scores_, their.validation_scores_, rtol=1e-6)
        assert_allclose(our.best_validation_score_, their.best_validation_score_)
    else:
        assert_allclose(our.best_loss_, their.best_loss_, rtol=1e-6)
    if data in CLASSES:
        assert_array_equal(our.predict(X), their.predict(X))
        assert_allclose(our.predict_proba(X), their.predict_proba(X), rtol=1e-6)
    else:
        assert_allclose(our.predict(X), their.predict(X), rtol=1e-6, atol=1e-9)


LBFGS_FACTORS = {
    "data": tuple(DATA),
    "activation": FACTORS["activation"],
    "hidden_layer_sizes": FACTORS["hidden_layer_sizes"],
    "alpha": FACTORS["alpha"],
    "weighted": (False, True),
}


@pytest.mark.parametrize("case", list(_pairwise(LBFGS_FACTORS)), ids=_name)
def test_lbfgs_predictions_match_sklearn(case):
    params = dict(case)
    data, weighted = params.pop("data"), params.pop("weighted")
    X, y = DATA[data]()
    their, our = _fit_both(
        data, X, y, _weights(y) if weighted else None, solver="lbfgs", **params
    )
    assert our.n_iter_ == their.n_iter_
    assert_allclose(our.loss_, their.loss_, rtol=1e-6)
    predict = "predict_proba" if data in CLASSES else "predict"
    assert_allclose(
        getattr(our, predict)(X), getattr(their, predict)(X), rtol=1e-4, atol=1e-4
    )


FLOAT32_FACTORS = {
    "data": CLASSES,
    "solver": ("adam", "nesterov", "adaptive"),
    "activation": FACTORS["activation"],
    "hidden_layer_sizes": (12, (11, 6)),
    "early_stopping": (False, True),
}


@pytest.mark.parametrize("case", list(_pairwise(FLOAT32_FACTORS)), ids=_name)
def test_float32_accuracy_matches_sklearn(case):
    params = dict(case)
    data = params.pop("data")
    params.update(SOLVERS[params["solver"]])
    X, y = DATA[data]()
    X = X.astype(np.float32)
    their, our = _fit_both(data, X, y, **params)
    assert [w.dtype for w in our.coefs_] == [w.dtype for w in their.coefs_]
    assert our.score(X, y) == pytest.approx(their.score(X, y), abs=0.01)


@pytest.mark.parametrize("solver", ["adam", "plain", "nesterov"])
@pytest.mark.parametrize("activation", FACTORS["activation"])
def test_training_on_unscaled_data_matches_sklearn(solver, activation):
    X, y = load_breast_cancer(return_X_y=True)
    params = SOLVERS[solver] | {"learning_rate_init": 1e-5}
    their, our = _fit_both("breast cancer", X, y, activation=activation, **params)
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-6)
    _assert_same_network(their, our)


@pytest.mark.parametrize("data", ["digits", "diabetes"])
@pytest.mark.parametrize("form", ["csr_matrix", "csc_matrix", "csr_array"])
def test_training_on_sparse_data_matches_sklearn(data, form):
    X, y = DATA[data]()
    X = getattr(scipy.sparse, form)(X)
    their, our = _fit_both(data, X, y, hidden_layer_sizes=12)
    _assert_same_network(their, our)
    assert_allclose(our.predict(X), their.predict(X), rtol=1e-6)


def test_training_to_convergence_matches_sklearn():
    X, y = DATA["iris"]()
    their, our = _models("iris", random_state=0, max_iter=2000, learning_rate_init=0.01)
    their.fit(X, y)
    our.fit(X, y)
    assert our.n_iter_ == their.n_iter_ < 2000
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-6)


def test_random_state_is_consumed_as_in_sklearn():
    X, y = DATA["iris"]()
    states = np.random.RandomState(7), np.random.RandomState(7)
    for model, state in zip(_models("iris", early_stopping=True), states, strict=True):
        model.set_params(random_state=state, max_iter=5, tol=1, n_iter_no_change=2)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            model.fit(X, y).fit(X, y)
    assert states[0].randint(2**31) == states[1].randint(2**31)


# What is printed and warned of


VERBOSE = {
    "to the last epoch": {"max_iter": 3},
    "loss stalls": {"tol": 1.0, "n_iter_no_change": 2},
    "score stalls": {"early_stopping": True, "tol": 1.0, "n_iter_no_change": 2},
    "lower rate": {**SOLVERS["adaptive"], "tol": 1.0, "n_iter_no_change": 1},
    "rate too small": {
        **SOLVERS["adaptive"],
        "learning_rate_init": 3e-6,
        "tol": 1.0,
        "n_iter_no_change": 1,
    },
    "rate lowered for the score": {
        **SOLVERS["adaptive"],
        "early_stopping": True,
        "tol": 1.0,
        "n_iter_no_change": 1,
    },
}


@pytest.mark.parametrize("data", ["breast cancer", "diabetes"])
@pytest.mark.parametrize("params", VERBOSE.values(), ids=list(VERBOSE))
def test_verbose_output_equals_sklearn(data, params, capsys):
    printed = []
    X, y = DATA[data]()
    for model in _models(data, random_state=0, verbose=True):
        model.set_params(**{"max_iter": 12} | params)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            model.fit(X, y)
        printed.append(capsys.readouterr().out.splitlines())
    assert printed[1] == printed[0]
    assert len(printed[0]) >= 3


def _warned(model, X, y, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, **kwargs)
    # Ours point at the caller's line, theirs into scikit-learn.
    assert (
        all(w.filename == __file__ for w in caught)
        or type(model).__module__[0] == ("sklearn"[0])
    )
    return [(w.category, str(w.message)) for w in caught]


@pytest.mark.parametrize(
    "params",
    [
        {"max_iter": 2},
        {"max_iter": 2, "batch_size": 10_000},
        {"max_iter": 2, "early_stopping": True},
        {"max_iter": 2, "solver": "sgd", "learning_rate": "adaptive"},
        {"max_iter": 500, "tol": 1.0},
        {"max_iter": 2, "solver": "lbfgs"},
        {"max_fun": 3, "solver": "lbfgs"},
    ],
    ids=str,
)
@pytest.mark.parametrize("data", ["iris", "diabetes"])
def test_warnings_equal_sklearn(data, params):
    X, y = DATA[data]()
    their, our = _models(data, random_state=0, **params)
    assert _warned(our, X, y) == _warned(their, X, y)


def test_column_vector_y_warns_as_in_sklearn():
    X, y = DATA["diabetes"]()
    for data, column in (("diabetes", y), ("breast cancer", (y > 0).astype(int))):
        their, our = _models(data, random_state=0, max_iter=500, tol=1.0)
        assert _warned(our, X, column[:, None]) == _warned(their, X, column[:, None])
        assert our.predict(X).shape == their.predict(X).shape == (len(X),)


class _InterruptAtEpoch:
    """Stands for a user who presses Ctrl-C."""

    def __init__(self, calls):
        self.calls = calls

    def __call__(self, *args, **kwargs):
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("early_stopping", [False, True])
def test_ctrl_c_keeps_finished_epochs_as_in_sklearn(early_stopping, monkeypatch):
    X, y = DATA["iris"]()
    params = {"random_state": 0, "early_stopping": early_stopping}
    their, our = _models("iris", **params)
    # The order of rows is drawn at the start of every epoch, once in an epoch.
    monkeypatch.setattr(
        "sklearn.neural_network._multilayer_perceptron.shuffle",
        _interrupted_shuffle(_InterruptAtEpoch(3)),
    )
    monkeypatch.setattr(
        BatchLoader, "next_order", _interrupted_order(_InterruptAtEpoch(3))
    )
    said = _warned(their, X, y)
    assert (
        _warned(our, X, y) == said == [(UserWarning, "Training interrupted by user.")]
    )
    assert our.n_iter_ == their.n_iter_ == 3
    _assert_same_network(their, our)


def _interrupted_order(interrupt):
    next_order = BatchLoader.next_order

    def interrupted(batches):
        if batches.random_state is not None:  # not those of validation
            interrupt()
        return next_order(batches)

    return interrupted


def _interrupted_shuffle(interrupt):
    from sklearn.utils import shuffle

    def interrupted(*args, **kwargs):
        interrupt()
        return shuffle(*args, **kwargs)

    return interrupted


# What is refused


@pytest.mark.parametrize(
    "params",
    [
        {"hidden_layer_sizes": -1},
        {"hidden_layer_sizes": (4, 0)},
        {"activation": "cosine"},
        {"solver": "newton"},
        {"alpha": -1.0},
        {"batch_size": 0},
        {"batch_size": "all"},
        {"learning_rate": "falling"},
        {"learning_rate_init": 0.0},
        {"power_t": -1.0},
        {"max_iter": 0},
        {"max_iter": 2.5},
        {"shuffle": "yes"},
        {"random_state": "seed"},
        {"tol": -1.0},
        {"warm_start": "yes"},
        {"momentum": 1.5},
        {"nesterovs_momentum": "yes"},
        {"early_stopping": "yes"},
        {"validation_fraction": 1.0},
        {"beta_1": 1.0},
        {"beta_2": -0.1},
        {"epsilon": 0.0},
        {"n_iter_no_change": 0},
        {"max_fun": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("data", ["iris", "diabetes"])
def test_invalid_parameters_are_refused_as_in_sklearn(data, params):
    X, y = DATA[data]()
    errors = []
    for model in _models(data, **params):
        with pytest.raises((ValueError, TypeError)) as raised:
            model.fit(X, y)
        errors.append(raised.type)
        assert not hasattr(model, "net_")
    assert errors[0] is errors[1]


_ROWS = np.arange(24.0).reshape(8, 3)
_TARGETS = np.array([0, 1] * 4)


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (_ROWS[:7], _TARGETS),
        (np.where(_ROWS == 4, np.nan, _ROWS), _TARGETS),
        (np.where(_ROWS == 4, np.inf, _ROWS), _TARGETS),
        (_ROWS, np.where(_TARGETS == 1, np.nan, 0.0)),
        (_ROWS, None),
        (_ROWS[0], _TARGETS),
        (_ROWS[:0], _TARGETS[:0]),
        (_ROWS[:, :0], _TARGETS),
        (_ROWS + 1j, _TARGETS),
    ],
    ids=[
        "fewer rows than targets",
        "NaN",
        "infinity",
        "NaN in y",
        "no y",
        "one dimension",
        "no rows",
        "no columns",
        "complex",
    ],
)
@pytest.mark.parametrize("data", ["iris", "diabetes"])
def test_invalid_data_are_refused_as_in_sklearn(data, X, y):
    errors = []
    for model in _models(data):
        with pytest.raises((ValueError, TypeError)) as raised:
            model.fit(X, y)
        errors.append(raised.type)
    assert errors[0] is errors[1]


def test_continuous_targets_are_refused_for_classification():
    X, y = DATA["diabetes"]()
    for model in _models("iris"):
        with pytest.raises(ValueError, match="Unknown label type"):
            model.fit(X, y)


@pytest.mark.parametrize("weight", [np.ones(3), -np.ones(150), np.full(150, np.nan)])
def test_invalid_sample_weights_are_refused(weight):
    X, y = DATA["iris"]()
    with pytest.raises(ValueError, match=r"[wW]eight"):
        ours.MLPClassifier().fit(X, y, weight)


def test_equal_sample_weights_only_scale_penalty():
    X, y = DATA["iris"]()
    _, plain = _fit_both("iris", X, y, alpha=0.0)
    _, weighted = _fit_both("iris", X, y, np.full(len(y), 2.0), alpha=0.0)
    assert_allclose(weighted.loss_curve_, plain.loss_curve_)
    # scikit-learn divides the penalty by the sum of the weights; so do we.
    their, our = _fit_both("iris", X, y, np.full(len(y), 2.0), alpha=1.0)
    assert_allclose(our.loss_curve_, their.loss_curve_)
