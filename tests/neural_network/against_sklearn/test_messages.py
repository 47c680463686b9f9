"""Printed lines, warnings and Ctrl-C are as in scikit-learn."""

import warnings

import pytest
from sklearn.exceptions import ConvergenceWarning

from skmlp.training.data.batches import BatchLoader

ADAPTIVE = {"solver": "sgd", "learning_rate": "adaptive"}

VERBOSE = {
    "max_iter reached": {"max_iter": 3},
    "loss stalls": {"tol": 1.0, "n_iter_no_change": 2},
    "score stalls": {"early_stopping": True, "tol": 1.0, "n_iter_no_change": 2},
    "lower learning rate": {**ADAPTIVE, "tol": 1.0, "n_iter_no_change": 1},
    "learning rate too small": {
        **ADAPTIVE,
        "learning_rate_init": 3e-6,
        "tol": 1.0,
        "n_iter_no_change": 1,
    },
    "learning rate lowered for the score": {
        **ADAPTIVE,
        "early_stopping": True,
        "tol": 1.0,
        "n_iter_no_change": 1,
    },
}


@pytest.mark.parametrize("data", ["breast cancer", "diabetes"])
@pytest.mark.parametrize("params", VERBOSE.values(), ids=list(VERBOSE))
def test_verbose_output_equals_sklearn(data, params, capsys, load, make_models):
    printed = []
    X, y = load(data)
    for model in make_models(data, random_state=0, verbose=True):
        model.set_params(**{"max_iter": 12} | params)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            model.fit(X, y)
        printed.append(capsys.readouterr().out.splitlines())
    assert printed[1] == printed[0]
    assert len(printed[0]) >= 3


def warnings_of(model, X, y, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, **kwargs)

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
def test_warnings_equal_sklearn(data, params, load, make_models):
    X, y = load(data)
    their, our = make_models(data, random_state=0, **params)
    assert warnings_of(our, X, y) == warnings_of(their, X, y)


def test_column_vector_y_warns_as_in_sklearn(load, make_models):
    X, y = load("diabetes")
    for data, column in (("diabetes", y), ("breast cancer", (y > 0).astype(int))):
        their, our = make_models(data, random_state=0, max_iter=500, tol=1.0)
        assert warnings_of(our, X, column[:, None]) == warnings_of(
            their, X, column[:, None]
        )
        assert our.predict(X).shape == their.predict(X).shape == (len(X),)


class InterruptAtCall:
    """Press Ctrl-C after some calls."""

    def __init__(self, calls):
        self.calls = calls

    def __call__(self, *args, **kwargs):
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("early_stopping", [False, True])
def test_ctrl_c_keeps_finished_epochs_as_in_sklearn(
    early_stopping, monkeypatch, load, make_models, assert_equal_weights
):
    X, y = load("iris")
    params = {"random_state": 0, "early_stopping": early_stopping}
    their, our = make_models("iris", **params)
    # Both shuffle the samples once, at the start of every epoch.
    monkeypatch.setattr(
        "sklearn.neural_network._multilayer_perceptron.shuffle",
        interrupted_shuffle(InterruptAtCall(3)),
    )
    monkeypatch.setattr(
        BatchLoader, "next_order", interrupted_order(InterruptAtCall(3))
    )
    expected = [(UserWarning, "Training interrupted by user.")]
    assert warnings_of(their, X, y) == warnings_of(our, X, y) == expected
    assert our.n_iter_ == their.n_iter_ == 3
    assert_equal_weights(our, their, rtol=1e-6, atol=1e-12)


def interrupted_order(interrupt):
    next_order = BatchLoader.next_order

    def interrupted(batches):
        if batches.random_state is not None:  # the validation set is not shuffled
            interrupt()
        return next_order(batches)

    return interrupted


def interrupted_shuffle(interrupt):
    from sklearn.utils import shuffle

    def interrupted(*args, **kwargs):
        interrupt()
        return shuffle(*args, **kwargs)

    return interrupted
