"""The same parameters and seed train scikit-learn's network.

The cases form a pairwise covering design: each pair of levels of two factors occurs in
some case (`pairwise_cases`). L-BFGS, float32 and unscaled data have smaller designs.
The reference is the installed version of scikit-learn.
"""

import warnings
from itertools import combinations, product

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import (
    load_breast_cancer,
)
from sklearn.exceptions import ConvergenceWarning

CLASSES = ("digits", "iris", "breast cancer", "digits, three labels each")
NUMBERS = ("diabetes", "diabetes, two outputs", "counts")

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
    # This tol is so large that the learning rate is lowered within 20 epochs.
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
    "data": CLASSES + NUMBERS,
    "solver": tuple(SOLVERS),
    "activation": ("relu", "tanh", "logistic", "identity"),
    "hidden_layer_sizes": (12, (11, 6), ()),
    "alpha": (1e-4, 0.0, 1.0),
    "batch_size": ("auto", 32, 17),
    "shuffle": (True, False),
    "early_stopping": (False, True),
    "weighted": (False, True),
}


def pairwise_cases(factors):
    """Yield cases that together hold every pair of levels of two different factors."""
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
                    missing & set(pairs_of({**case, name: level}, names))
                ),
            )
        missing -= set(pairs_of(case, names))
        yield case


def pairs_of(case, names):
    present = [(name, case[name]) for name in names if name in case]
    return combinations(present, 2)


def case_name(case):
    """Join the levels of a case."""
    return ", ".join(f"{value}" for value in case.values())


def draw_weights(y):
    return np.random.RandomState(5).uniform(0.2, 3.0, len(y))


@pytest.mark.parametrize("case", list(pairwise_cases(FACTORS)), ids=case_name)
def test_stochastic_training_matches_sklearn(
    case, load, fit_both, assert_equal_weights
):
    params = dict(case)
    data, weighted = params.pop("data"), params.pop("weighted")
    X, y = load(data)
    params.update(SOLVERS[params["solver"]])
    their, our = fit_both(data, X, y, draw_weights(y) if weighted else None, **params)

    assert our.n_iter_ == their.n_iter_
    assert our.t_ == their.t_
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-6)
    assert_equal_weights(our, their, rtol=1e-6, atol=1e-12)
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
    "data": CLASSES + NUMBERS,
    "activation": FACTORS["activation"],
    "hidden_layer_sizes": FACTORS["hidden_layer_sizes"],
    "alpha": FACTORS["alpha"],
    "weighted": (False, True),
}


@pytest.mark.parametrize("case", list(pairwise_cases(LBFGS_FACTORS)), ids=case_name)
def test_lbfgs_predictions_match_sklearn(case, load, fit_both):
    params = dict(case)
    data, weighted = params.pop("data"), params.pop("weighted")
    X, y = load(data)
    their, our = fit_both(
        data, X, y, draw_weights(y) if weighted else None, solver="lbfgs", **params
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


@pytest.mark.parametrize("case", list(pairwise_cases(FLOAT32_FACTORS)), ids=case_name)
def test_float32_accuracy_matches_sklearn(case, load, fit_both):
    params = dict(case)
    data = params.pop("data")
    params.update(SOLVERS[params["solver"]])
    X, y = load(data)
    X = X.astype(np.float32)
    their, our = fit_both(data, X, y, **params)
    assert [w.dtype for w in our.coefs_] == [w.dtype for w in their.coefs_]
    assert our.score(X, y) == pytest.approx(their.score(X, y), abs=0.01)


@pytest.mark.parametrize("solver", ["adam", "plain", "nesterov"])
@pytest.mark.parametrize("activation", FACTORS["activation"])
@pytest.mark.filterwarnings("ignore::skmlp.exceptions.DataScaleWarning")
def test_training_on_unscaled_data_matches_sklearn(
    solver, activation, fit_both, assert_equal_weights
):
    X, y = load_breast_cancer(return_X_y=True)
    params = SOLVERS[solver] | {"learning_rate_init": 1e-5}
    their, our = fit_both("breast cancer", X, y, activation=activation, **params)
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-6)
    assert_equal_weights(our, their, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("data", ["digits", "diabetes"])
@pytest.mark.parametrize("form", ["csr_matrix", "csc_matrix", "csr_array"])
def test_training_on_sparse_data_matches_sklearn(
    data, form, load, fit_both, assert_equal_weights
):
    X, y = load(data)
    X = getattr(scipy.sparse, form)(X)
    their, our = fit_both(data, X, y, hidden_layer_sizes=12)
    assert_equal_weights(our, their, rtol=1e-6, atol=1e-12)
    assert_allclose(our.predict(X), their.predict(X), rtol=1e-6)


def test_training_to_convergence_matches_sklearn(load, make_models):
    X, y = load("iris")
    their, our = make_models(
        "iris", random_state=0, max_iter=2000, learning_rate_init=0.01
    )
    their.fit(X, y)
    our.fit(X, y)
    assert our.n_iter_ == their.n_iter_ < 2000
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=1e-6)


def test_random_state_is_consumed_as_in_sklearn(load, make_models):
    X, y = load("iris")
    states = np.random.RandomState(7), np.random.RandomState(7)
    for model, state in zip(
        make_models("iris", early_stopping=True), states, strict=True
    ):
        model.set_params(random_state=state, max_iter=5, tol=1, n_iter_no_change=2)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            model.fit(X, y).fit(X, y)
    assert states[0].randint(2**31) == states[1].randint(2**31)


def test_equal_sample_weights_only_scale_penalty(load, fit_both):
    X, y = load("iris")
    _, plain = fit_both("iris", X, y, alpha=0.0)
    _, weighted = fit_both("iris", X, y, np.full(len(y), 2.0), alpha=0.0)
    assert_allclose(weighted.loss_curve_, plain.loss_curve_)
    # Both divide the penalty by the sum of the weights.
    their, our = fit_both("iris", X, y, np.full(len(y), 2.0), alpha=1.0)
    assert_allclose(our.loss_curve_, their.loss_curve_)
