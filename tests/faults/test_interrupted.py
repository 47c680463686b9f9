"""Ctrl-C keeps the epochs of a fit that the user started, and ends all else."""

import gc
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_digits
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn
from torch._functorch import vmap

from skmlp.inspection import summary
from skmlp.model_selection import (
    PackedGridSearchCV,
    PackedHalvingGridSearchCV,
    packed_cross_validate,
)
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
    TorchClassifier,
)
from skmlp.training import lbfgs, trainer

SCRIPT = Path(__file__).with_name("interrupts.py")

X, Y = load_digits(return_X_y=True)
X, Y = X[:100] / 16, Y[:100]
MLP = MLPClassifier((8,), max_iter=6, random_state=0)
LBFGS = MLPClassifier((8,), solver="lbfgs", max_iter=20, random_state=0)
CNN = CNNClassifier((2,), hidden_layer_sizes=4, max_iter=6, random_state=0)
SOFTMAX = SoftmaxRegression(solver="adam", max_iter=6, random_state=0)
REGRESSOR = MLPRegressor(hidden_layer_sizes=8, max_iter=6, random_state=0)
GRID = {"alpha": [1e-4, 1e-2]}

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge"),
]


@pytest.fixture
def press_ctrl_c(monkeypatch):
    """Function that lets Ctrl-C be pressed in the middle of an epoch or iteration."""
    epochs = []

    def press_in(number):
        train_batch = trainer.Trainer.train_batch
        evaluate = lbfgs._Objective.__call__

        def interrupted_batch(self, *args):
            if self.run.net.epochs_ == number - 1:
                signal.raise_signal(signal.SIGINT)
            return train_batch(self, *args)

        def interrupted_evaluation(self, values):
            epochs.append(1)
            if len(epochs) == 3 * number:
                signal.raise_signal(signal.SIGINT)
            return evaluate(self, values)

        monkeypatch.setattr(trainer.Trainer, "train_batch", interrupted_batch)
        monkeypatch.setattr(lbfgs._Objective, "__call__", interrupted_evaluation)

    return press_in


class SmallNetwork(nn.Sequential):
    """A user's own network."""

    def __init__(self, n_features, n_classes):
        super().__init__(nn.Linear(n_features, n_classes))


class Subclass(MLPClassifier):
    """A network whose `fit` does something before."""

    def fit(self, X, y):
        return super().fit(np.asarray(X), y)


class Averaging(ClassifierMixin, BaseEstimator):
    """An ensemble of a user, which knows nothing of this package."""

    def fit(self, X, y):
        self.members_ = [clone(MLP).fit(X, y) for _ in range(2)]
        return self


@pytest.mark.parametrize(
    "model",
    [
        MLP,
        CNN,
        SOFTMAX,
        REGRESSOR,
        LBFGS,
        Subclass((8,), max_iter=6, random_state=0),
        clone(MLP).set_params(early_stopping=True, refit_full=True),
        clone(MLP).set_params(callbacks=[Callback()]),
        make_pipeline(StandardScaler(), MLP),
        make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), LBFGS)),
        TransformedTargetRegressor(REGRESSOR, transformer=StandardScaler()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_fit_of_user_keeps_its_epochs(model, press_ctrl_c):
    press_ctrl_c(3)
    with pytest.warns(UserWarning, match=r"^Training interrupted by user\.$"):
        model = clone(model).fit(X, Y)
    assert model.predict(X).shape == Y.shape
    network = getattr(model, "regressor_", model)
    while hasattr(network, "steps"):
        network = network[-1]
    assert network.net_.interrupted_
    if network.solver == "lbfgs":
        assert 1 <= network.n_iter_ < network.max_iter
        assert np.isfinite(network.loss_)
    else:
        assert network.n_iter_ == len(network.loss_curve_) == 2
        assert len(network.history_) == 2
        assert all("train_loss" in record for record in network.history_)


@pytest.mark.parametrize("model", [MLP, CNN, SOFTMAX, REGRESSOR])
def test_fit_without_whole_epoch_raises_and_leaves_no_trace(model, press_ctrl_c):
    model = clone(model)
    press_ctrl_c(1)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert set(vars(model)) == set(model.get_params())


def test_interrupt_while_a_network_without_values_is_made(monkeypatch):
    # torch's device mode is on for this time. torch switches it off and on in Python.
    class Interrupted:
        def __init__(self):
            self.manager = pop_mode_temporarily()

        def __enter__(self):
            mode = self.manager.__enter__()
            if not presses:
                presses.append(1)
                signal.raise_signal(signal.SIGINT)
            return mode

        def __exit__(self, *error):
            return self.manager.__exit__(*error)

    presses = []
    pop_mode_temporarily = torch.overrides._pop_mode_temporarily
    monkeypatch.setattr(torch.overrides, "_pop_mode_temporarily", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        summary(TorchClassifier(SmallNetwork), X, Y)
    monkeypatch.undo()
    gc.collect()
    assert torch._C._len_torch_function_stack() == 0
    assert torch.empty(1).device.type == "cpu"


def test_interrupt_in_a_pack_of_modules_closes_the_level_of_vmap(monkeypatch):
    original = vmap._vmap_decrement_nesting

    def interrupted():
        signal.raise_signal(signal.SIGINT)
        return original()

    monkeypatch.setattr(vmap, "_vmap_decrement_nesting", interrupted)
    network = TorchClassifier(SmallNetwork, max_iter=2, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        PackedGridSearchCV(network, GRID, cv=2).fit(X, Y)
    assert torch._C._functorch.peek_interpreter_stack() is None


def test_lbfgs_without_whole_iteration_raises(monkeypatch):
    def interrupted(self, values):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(lbfgs._Objective, "__call__", interrupted)
    model = clone(LBFGS)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert set(vars(model)) == set(model.get_params())


def test_interrupted_lbfgs_has_parameters_and_loss_of_its_last_iteration(press_ctrl_c):
    press_ctrl_c(4)
    with pytest.warns(UserWarning, match="interrupted"):
        interrupted = clone(LBFGS).fit(X, Y)
    whole = clone(LBFGS).set_params(max_iter=interrupted.n_iter_).fit(X, Y)
    assert interrupted.n_iter_ == whole.n_iter_
    assert interrupted.loss_ == whole.loss_
    np.testing.assert_array_equal(interrupted.coefs_[0], whole.coefs_[0])


@pytest.mark.parametrize("name", ["fit", "partial_fit"])
def test_interrupted_further_training_is_undone(name, press_ctrl_c):
    model = clone(MLP).set_params(warm_start=True).fit(X, Y)
    expected, n_iter = model.predict_proba(X), model.n_iter_
    press_ctrl_c(1)
    with pytest.raises(KeyboardInterrupt):
        getattr(model, name)(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    assert model.n_iter_ == n_iter == len(model.loss_curve_)


SEARCHES = {
    "GridSearchCV": lambda m: GridSearchCV(m, GRID, cv=2).fit(X, Y),
    "GridSearchCV of pipelines": lambda m: GridSearchCV(
        make_pipeline(StandardScaler(), m), {"standardscaler__with_mean": [True]}, cv=2
    ).fit(X, Y),
    "cross_validate": lambda m: cross_validate(m, X, Y, cv=2),
    "cross_val_predict": lambda m: cross_val_predict(m, X, Y, cv=2),
    "BaggingClassifier": lambda m: BaggingClassifier(m, 2).fit(X, Y),
    "OneVsRestClassifier": lambda m: OneVsRestClassifier(m).fit(X, Y),
    "EnsembleClassifier": lambda m: EnsembleClassifier(m, 2).fit(X, Y),
    "EnsembleClassifier of pipelines": lambda m: EnsembleClassifier(
        make_pipeline(StandardScaler(), m), 2
    ).fit(X, Y),
    "EnsembleClassifier.n_jobs": lambda m: EnsembleClassifier(m, 2, n_jobs=1).fit(X, Y),
    "PackedGridSearchCV": lambda m: PackedGridSearchCV(m, GRID, cv=2).fit(X, Y),
    "packed_cross_validate": lambda m: packed_cross_validate(m, X, Y, cv=2),
    "halving": lambda m: PackedHalvingGridSearchCV(
        m, GRID, cv=2, resource="max_iter", max_resources=6, min_resources=3
    ).fit(X, Y),
    "ensemble of the user": lambda m: Averaging().fit(X, Y),
    "joblib": lambda m: Parallel(1)(delayed(clone(m).fit)(X, Y) for _ in range(2)),
}


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize(
    "model",
    # None of these trains in a pack.
    [clone(MLP).set_params(solver="nadam"), LBFGS],
    ids=["nadam", "lbfgs"],
)
@pytest.mark.filterwarnings("error:Training interrupted by user")
def test_search_and_ensemble_end_at_interrupt(name, model, press_ctrl_c):
    press_ctrl_c(3)
    with pytest.raises(KeyboardInterrupt):
        SEARCHES[name](model)


def test_search_raises_interrupt_of_refit(press_ctrl_c):
    search = GridSearchCV(clone(MLP).set_params(max_iter=2), {"max_iter": [6]}, cv=2)
    press_ctrl_c(5)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert not hasattr(search, "best_estimator_") or search.best_estimator_ is not None


def test_interrupt_in_threads_ends_search():
    """The main thread raises, whichever fits the other threads are in."""
    first = threading.Lock()

    class Presser(Callback):
        def on_epoch_end(self, net, **kwargs):
            if first.acquire(blocking=False):
                os.kill(os.getpid(), signal.SIGINT)

    others = set(threading.enumerate())
    model = clone(MLP).set_params(callbacks=[Presser()])
    with parallel_config("threading"), pytest.raises(KeyboardInterrupt):
        GridSearchCV(model, {"alpha": [1, 2, 3, 4]}, cv=2, n_jobs=2).fit(X, Y)
    for thread in set(threading.enumerate()) - others:
        thread.join(60)


WORKERS = """
import sys, warnings
import numpy as np
from sklearn.model_selection import GridSearchCV
from skmlp.neural_network import MLPClassifier
warnings.simplefilter("ignore")
X = np.random.RandomState(0).rand(2000, 20)
search = GridSearchCV(
    MLPClassifier(max_iter=10**6, n_iter_no_change=10**6, verbose=True),
    {"alpha": [1, 2]}, cv=2, n_jobs=2,
)
try:
    search.fit(X, X[:, 0] > 0.5)
except KeyboardInterrupt:
    print("raised", hasattr(search, "cv_results_"), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="this system has no groups")
def test_interrupt_of_process_group_ends_search_in_workers():
    """A terminal sends Ctrl-C to all processes of a group, to the workers too."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", WORKERS],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline().startswith("Iteration")  # a worker trains
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert out.endswith("raised False\n")


def test_callback_that_raises_keyboard_interrupt_is_not_ctrl_c():
    """skorch's callbacks end training that way; a search continues."""

    class Stopper(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    model = clone(MLP).set_params(callbacks=[Stopper()])
    assert clone(model).fit(X, Y).n_iter_ == 2
    search = GridSearchCV(model, GRID, cv=2).fit(X, Y)
    assert search.best_estimator_.n_iter_ == 2


def test_real_interrupt_during_callback_ends_search():
    class Presser(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                signal.raise_signal(signal.SIGINT)

    model = clone(MLP).set_params(callbacks=[Presser()])
    with pytest.raises(KeyboardInterrupt):
        GridSearchCV(model, GRID, cv=2).fit(X, Y)
    with pytest.warns(UserWarning, match="interrupted by user"):
        assert clone(model).fit(X, Y).n_iter_ == 2


def test_random_interrupts_leave_nothing_wrong():
    command = [sys.executable, "-W", "ignore", str(SCRIPT), "84"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.endswith(" 0 faults\n")


def test_interrupt_at_the_end_leaves_a_search_as_it_was():
    class Search(PackedGridSearchCV):
        def __setattr__(self, name, value):
            super().__setattr__(name, value)
            if name == "cv_results_":
                signal.raise_signal(signal.SIGINT)

    search = Search(MLP, GRID, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert set(vars(search)) == set(search.get_params(deep=False))


class Deleted:
    """Python drops the KeyboardInterrupt of Ctrl-C during its deletion."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_dropped_interrupt_ends_a_search():
    class Scorer:
        def __call__(self, model, X, y):
            Deleted()
            return 0.0

    search = PackedGridSearchCV(MLP, GRID, cv=2, scoring=Scorer())
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert not hasattr(search, "cv_results_")
