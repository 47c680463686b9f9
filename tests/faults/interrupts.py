"""Interrupt fits, searches and loading at random moments, and look what is left.

    python tests/faults/interrupts.py 1500

sends SIGINT, as Ctrl-C does, at a random moment of a call. Afterwards

- a fit that had ended an epoch (an iteration of L-BFGS) is fitted, with scikit-learn's
  warning, and its record is complete;
- a fit without a whole epoch, a search, a cross-validation and an ensemble raise
  `KeyboardInterrupt` and leave the estimator as it was;
- a call that was too fast for the interrupt gives its usual result;
- no interrupt is lost;
- global settings are those of before: autograd, inference mode, autocast, torch's
  device mode, levels of `vmap`, threads of torch and of BLAS, random generators,
  filters of warnings, scikit-learn's configuration, the handler of SIGINT.

An interrupt that arrives in this script, before or after the call, is not counted as
one. The script prints the number of trials and, by kind, what was left wrong. It ends
with status 1 if anything was.
"""

import argparse
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import sklearn
import torch
from joblib import parallel_config
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from threadpoolctl import threadpool_info
from torch import nn

from skmlp.model_selection import (
    PackedGridSearchCV,
    PackedHalvingGridSearchCV,
    packed_cross_validate,
)
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPAutoencoder,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
    TabularClassifier,
    TorchClassifier,
)
from skmlp.persistence import load_model, save_model
from skmlp.training import lbfgs
from skmlp.training.run import TrainingRun

X, Y = load_digits(return_X_y=True)
X = (X[:400] / 16).astype(np.float32)
Y = Y[:400]
NETWORK = MLPClassifier((16,), max_iter=8, batch_size=50, random_state=0)
GRID = {"alpha": [1e-4, 1e-2], "solver": ["adam", "sgd", "nadam"]}


class Watching(Callback):
    """A callback of skorch that does nothing, in Python."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Count up to a hundred."""
        sum(range(100))


class Perceptron(nn.Sequential):
    """A user's own network."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__(nn.Linear(n_features, 16), nn.ReLU(), nn.Linear(16, n_classes))


FITS: dict[str, Any] = {
    "mlp": NETWORK,
    "mlp, early stopping": clone(NETWORK).set_params(early_stopping=True),
    "mlp, refit": clone(NETWORK).set_params(early_stopping=True, refit_full=True),
    "mlp, callback": clone(NETWORK).set_params(callbacks=[Watching()]),
    "mlp, average": clone(NETWORK).set_params(
        weight_averaging=0.9, early_stopping=True
    ),
    "mlp, mixed precision": clone(NETWORK).set_params(amp=True, activation="prelu"),
    "pipeline": make_pipeline(StandardScaler(), NETWORK),
    "softmax": SoftmaxRegression(max_iter=20, solver="adam", random_state=0),
    "cnn": CNNClassifier((4,), max_iter=3, hidden_layer_sizes=8, random_state=0),
    "wide mlp": MLPClassifier((700,), max_iter=3, random_state=0),
    "regressor": MLPRegressor(hidden_layer_sizes=(16,), max_iter=8, random_state=0),
    "lbfgs": MLPClassifier((16,), solver="lbfgs", max_iter=30, random_state=0),
    "own module": TorchClassifier(Perceptron, max_iter=8, random_state=0),
    "autoencoder": MLPAutoencoder(4, hidden_layer_sizes=8, max_iter=4, random_state=0),
    "softmax of lbfgs": SoftmaxRegression(max_iter=30, solver="lbfgs"),
}
# Estimators that are fitted already, and are trained further.
FURTHER: dict[str, Any] = {
    "warm start": clone(NETWORK).set_params(warm_start=True),
    "warm start of lbfgs": clone(FITS["lbfgs"]).set_params(warm_start=True),
    "partial_fit": NETWORK,
    "partial_fit of cnn": FITS["cnn"],
}
WHOLES: dict[str, Any] = {
    "ensemble": EnsembleClassifier(NETWORK, n_estimators=4, random_state=0),
    "ensemble of lbfgs": EnsembleClassifier(
        clone(FITS["lbfgs"]), n_estimators=2, random_state=0
    ),
    "ensemble of cnns": EnsembleClassifier(
        FITS["cnn"], n_estimators=2, n_jobs=1, random_state=0
    ),
    "bagging": BaggingClassifier(NETWORK, n_estimators=3, random_state=0),
    "grid search": GridSearchCV(NETWORK, GRID, cv=2),
    "grid search in threads": GridSearchCV(NETWORK, GRID, cv=2, n_jobs=2),
    "packed grid search": PackedGridSearchCV(NETWORK, GRID, cv=2),
    "packed search of own modules": PackedGridSearchCV(
        TorchClassifier(Perceptron, max_iter=4, random_state=0), GRID, cv=2
    ),
    "tables": TabularClassifier(n_estimators=2, max_iter=3, random_state=0),
    "packed halving search": PackedHalvingGridSearchCV(
        NETWORK, GRID, cv=2, resource="max_iter", max_resources=8, random_state=0
    ),
}


def global_state() -> dict[str, Any]:
    """Return the settings that no call may change."""
    return {
        "autograd": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "torch threads": torch.get_num_threads(),
        "BLAS threads": [
            (pool["filepath"], pool["num_threads"])
            for pool in threadpool_info()
            if pool["user_api"] == "blas"
        ],
        "torch generator": torch.get_rng_state().numpy().tobytes(),
        "NumPy generator": np.random.get_state()[1].tobytes(),  # noqa: NPY002
        "cuDNN": (
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
        ),
        "autocast": (
            torch.is_autocast_enabled("cpu"),
            torch.is_autocast_cache_enabled(),
        ),
        "device mode": torch._C._len_torch_function_stack(),
        "level of vmap": torch._C._functorch.peek_interpreter_stack() is None,
        "warning filters": list(warnings.filters),
        "scikit-learn": sklearn.get_config(),
        "SIGINT": signal.getsignal(signal.SIGINT),
    }


# Idle workers of a thread pool of joblib. An interrupt that Python drops in a callback
# of a weak reference keeps joblib from ending its pool.
_LOST_THREADS: set[threading.Thread] = set()


class Trial:
    """One call that is interrupted after a number of seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_in_call = False
        self.arrived_in_call = False
        self.interrupted = False  # whether KeyboardInterrupt came out of the call
        self.warned = False
        self.error: BaseException | None = None

    def run(self, call: Callable[[], Any]) -> Any:
        """Call and interrupt; return the value, or None after an interrupt."""
        ended = threading.Event()

        def send() -> None:
            if not ended.wait(self.seconds):
                os.kill(os.getpid(), signal.SIGINT)

        sender = threading.Thread(target=send)
        value = None
        signal.signal(signal.SIGINT, self._handle)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                sender.start()
                self.is_in_call = True
                value = call()
                self.is_in_call = False
                ended.set()
                sender.join()
                time.sleep(0)  # an interrupt that was sent late arrives here
            except KeyboardInterrupt:
                self.interrupted = self.arrived_in_call
            except BaseException as error:  # noqa: BLE001  # any other is a fault
                self.error = error
            finally:
                ended.set()
                sender.join()
        self.warned = any("interrupted by user" in str(w.message) for w in caught)
        for thread in set(threading.enumerate()) - _LOST_THREADS:
            # Ctrl-C in `Thread.start` leaves a thread in the list that never starts.
            if thread is not threading.main_thread() and thread.is_alive():
                thread.join(30)  # a search in threads ends its fits
                if thread.is_alive():
                    _LOST_THREADS.add(thread)
        return value

    def _handle(self, number: int, frame: FrameType | None) -> None:
        own_file = Trial.run.__code__.co_filename
        callers = [frame, frame and frame.f_back]
        own = [f.f_code.co_filename == own_file for f in callers if f is not None]
        # `run` and its lambdas are not the call, but a callback of this script is.
        self.arrived_in_call = self.is_in_call and not all(own)
        raise KeyboardInterrupt


class EpochCounter:
    """Counts the epochs and iterations that end."""

    def __init__(self) -> None:
        self.n_epochs = 0
        finish_epoch = TrainingRun.finish_epoch
        end_iteration = lbfgs._Objective.end_iteration

        def count_epoch(run: TrainingRun, *args: Any) -> None:
            finish_epoch(run, *args)
            self.n_epochs += 1

        def count_iteration(objective: Any, values: np.ndarray) -> None:
            end_iteration(objective, values)
            self.n_epochs += 1

        TrainingRun.finish_epoch = count_epoch  # type: ignore[method-assign]
        lbfgs._Objective.end_iteration = count_iteration


def faults_of_fit(model: Any, trial: Trial, n_epochs: int) -> list[str]:
    """Return what an interrupted fit of a new network has left wrong."""
    network = getattr(model, "steps", [(None, model)])[-1][1]
    fitted = "net_" in vars(network)
    if trial.interrupted:
        faults = ["raised after a whole epoch"] if n_epochs else []
        left = set(vars(network)) - set(network.get_params())
        return faults + [f"raised, but has {name}" for name in left]
    if not fitted:
        return ["returned, but is not fitted"] if trial.arrived_in_call else []
    predict = model.predict if hasattr(model, "predict") else model.transform
    return faults_of_record(network, trial) + (
        [] if len(predict(X)) == len(X) else ["does not predict"]
    )


def faults_of_record(network: Any, trial: Trial) -> list[str]:
    """Return what is wrong with the attributes of a fitted network."""
    faults = []
    if trial.warned and network.n_iter_ < 1:
        faults.append("is fitted without a whole epoch")
    if not all(np.isfinite(weights).all() for weights in network.coefs_):
        faults.append("has weights that are not finite")
    if network.solver != "lbfgs":
        last = network.n_iter_
        if len(network.loss_curve_[-last:]) != last:
            faults.append("has another loss_curve_ than epochs")
        if any("train_loss" not in record for record in network.history_):
            faults.append("has a record of half an epoch")
        if len(network.history_) < last:
            faults.append("has too few records")
    if any("tuner" in vars(layer) for layer in network.net_.module_.modules()):
        faults.append("holds objects of its training")
    if network.net_.module_.training:
        faults.append("is in training mode")
    return faults


def faults_of_further_training(
    model: Any, trial: Trial, before: dict[str, Any], n_epochs: int
) -> list[str]:
    """Return what interrupted further training has left wrong."""
    if not trial.interrupted:
        return faults_of_record(model, trial)
    faults = ["raised after a whole epoch"] if n_epochs else []
    after = _learned(model)
    return faults + [
        f"raised, but changed {name}"
        for name, value in before.items()
        if not np.array_equal(value, after[name])
    ]


def _learned(model: Any) -> dict[str, Any]:
    """Return what training changes."""
    return {
        "predictions": model.predict_proba(X),
        "n_iter_": model.n_iter_,
        "loss_": model.loss_,
        "history_": len(model.history_),
        "names of attributes": sorted(vars(model)),
    }


def faults_of_whole(model: Any, trial: Trial, expected: np.ndarray) -> list[str]:
    """Return what an interrupted search or ensemble has left wrong."""
    fitted = hasattr(model, "cv_results_") or hasattr(model, "estimators_")
    if isinstance(model, BaggingClassifier):
        fitted = len(getattr(model, "estimators_", ())) == model.n_estimators
    if trial.interrupted:
        return ["raised, but is fitted"] if fitted else []
    if trial.warned:
        return ["was interrupted and returned"]
    if not fitted and not trial.arrived_in_call:
        return []
    same = fitted and np.array_equal(_outcome(model), expected)
    return [] if same else ["has another result"]


def _outcome(model: Any) -> np.ndarray:
    if hasattr(model, "cv_results_"):
        return model.cv_results_["mean_test_score"]
    return model.predict_proba(X)


def duration(call: Callable[[], Any]) -> float:
    """Return the seconds of a call that is not interrupted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        call()
        return time.perf_counter() - start


def _targets(name: str) -> np.ndarray:
    return Y.astype(float) if name == "regressor" else Y


def _train_further(model: Any, name: str) -> None:
    if name.startswith("partial_fit"):
        model.partial_fit(X, Y)
    else:
        model.fit(X, Y)


def _store(model: Any, path: Path) -> None:
    save_model(model, path)
    load_model(path)


class Trials:
    """All kinds of calls, with the seconds and the results without an interrupt."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = np.random.RandomState(seed)
        self.counter = EpochCounter()
        self.seconds: dict[str, float] = {}
        self.expected: dict[str, np.ndarray] = {}
        self.fitted: dict[str, bytes] = {}
        self.scores = {
            "cross_validate": lambda: cross_validate(NETWORK, X, Y, cv=3),
            "packed_cross_validate": lambda: packed_cross_validate(NETWORK, X, Y, cv=3),
        }
        self.path = folder / "model.safetensors"
        # Everything runs once before, so that no lazy import is interrupted.
        with warnings.catch_warnings(action="ignore"), parallel_config("threading"):
            self._run_all()
        self.names = [*FITS, *FURTHER, *WHOLES, *self.scores, "save and load"]

    def _run_all(self) -> None:
        for name, model in (FITS | WHOLES).items():
            for _ in range(2):
                fitted, y = clone(model), _targets(name)
                self.seconds[name] = duration(lambda m=fitted, y=y: m.fit(X, y))
            if name in WHOLES:
                self.expected[name] = _outcome(fitted)
        for name, model in FURTHER.items():
            fitted = clone(model).fit(X, Y)
            self.fitted[name] = pickle.dumps(fitted)
            _train_further(pickle.loads(self.fitted[name]), name)
            self.seconds[name] = duration(lambda m=fitted, n=name: _train_further(m, n))
        for name, call in self.scores.items():
            self.seconds[name] = duration(call)
            self.expected[name] = call()["test_score"]
        self.stored = clone(NETWORK).fit(X, Y)
        save_model(self.stored, self.path)
        self.seconds["save and load"] = duration(lambda: _store(self.stored, self.path))

    def run(self, name: str) -> tuple[Trial, list[str]]:
        """Interrupt a call; return the trial and what was left wrong."""
        trial = Trial(self.rng.uniform(0, 1.05 * self.seconds[name]))
        handler = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, trial._handle)
        before = global_state()
        self.counter.n_epochs = 0
        try:
            faults = self._run(name, trial)
            after = global_state()
        finally:
            signal.signal(signal.SIGINT, handler)
        if trial.error is not None:
            faults.append(f"raised {type(trial.error).__name__}: {trial.error}")
        if "in threads" in name:
            # Threads share the filters, and each restores those that it found.
            after["warning filters"] = before["warning filters"]
        faults += [f"changed {key}" for key in before if before[key] != after[key]]
        if trial.arrived_in_call and not (trial.interrupted or trial.warned):
            faults.append("lost the interrupt")
        return trial, faults

    def _run(self, name: str, trial: Trial) -> list[str]:
        if name in FITS:
            model, y = clone(FITS[name]), _targets(name)
            trial.run(lambda: model.fit(X, y))
            return faults_of_fit(model, trial, self.counter.n_epochs)
        if name in FURTHER:
            model = pickle.loads(self.fitted[name])
            learned = _learned(model)
            trial.run(lambda: _train_further(model, name))
            n_epochs = self.counter.n_epochs
            return faults_of_further_training(model, trial, learned, n_epochs)
        if name in WHOLES:
            model = clone(WHOLES[name])
            with parallel_config("threading"):
                trial.run(lambda: model.fit(X, Y))
            return faults_of_whole(model, trial, self.expected[name])
        if name in self.scores:
            value = trial.run(self.scores[name])
            if trial.interrupted or value is None:
                return []
            same = np.array_equal(value["test_score"], self.expected[name])
            return [] if same else ["has another result"]
        trial.run(lambda: _store(self.stored, self.path))
        whole = np.array_equal(load_model(self.path).predict(X), self.stored.predict(X))
        faults = [] if whole else ["left a file that is not whole"]
        left = [file for file in self.path.parent.iterdir() if file != self.path]
        for file in left:
            file.unlink()
        return faults + ["left a part of a file"] * len(left)


def main(argv: list[str] | None = None) -> int:
    """Run the trials and print what was left wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trials", type=int, nargs="?", default=1500)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    torch.set_num_threads(2)
    wrong: Counter[str] = Counter()
    n_raised = n_kept = 0
    with tempfile.TemporaryDirectory() as folder:
        trials = Trials(Path(folder), args.seed)
        for i in range(args.trials):
            name = trials.names[i % len(trials.names)]
            trial, faults = trials.run(name)
            n_raised += trial.interrupted
            n_kept += trial.warned
            wrong.update(f"{name}: {fault}" for fault in faults)
            torch.set_num_threads(2)
            torch.set_grad_enabled(True)
    for fault, count in sorted(wrong.items()):
        print(f"{count:4} {fault}")
    print(
        f"{args.trials} trials: {n_raised} raised KeyboardInterrupt, {n_kept} ended "
        f"early with a warning, {wrong.total()} faults"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
