"""Fork after the parent has used torch's threads, and call every method in the child.

    python tests/faults/forks.py

prints every method that did not end in the child within a minute, or that gave another
result than in the parent. It ends with status 1 if there is one.
"""

import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits

from skmlp.model_selection import PackedGridSearchCV, packed_cross_validate
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.neural_network._fit.progress import SCREEN
from skmlp.persistence import load_model, save_model
from skmlp.training.compute.shared_settings import SharedSetting

_SECONDS = 60

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
MLP = MLPClassifier((600,), max_iter=2, random_state=0)
MODELS: dict[str, Any] = {
    "mlp": MLP,
    "lbfgs": MLPClassifier((50,), solver="lbfgs", max_iter=5, random_state=0),
    "cnn": CNNClassifier((16,), max_iter=1, hidden_layer_sizes=300, random_state=0),
    "softmax": SoftmaxRegression(max_iter=5, random_state=0),
    "regressor": MLPRegressor(hidden_layer_sizes=(600,), max_iter=2, random_state=0),
    "ensemble": EnsembleClassifier(MLP, 2, random_state=0),
}
NETWORK = MLPClassifier((16,), max_iter=2, random_state=0)
GRID = {"alpha": [1e-4, 1e-2]}


def train_further(model: Any, y: np.ndarray) -> float:
    """Call `partial_fit`; return the score."""
    return model.partial_fit(X, y).score(X, y)


def make_calls(folder: Path) -> dict[str, Callable[[], Any]]:
    """Return calls of all methods of fitted estimators, by their names."""
    calls: dict[str, Callable[[], Any]] = {}
    for name, model in MODELS.items():
        y = Y.astype(float) if name == "regressor" else Y
        fitted = clone(model).fit(X, y)
        save_model(fitted, folder / name) if name != "ensemble" else None
        calls[f"{name}.fit"] = lambda m=model, y=y: clone(m).fit(X, y).predict(X)
        calls[f"{name}.predict"] = lambda m=fitted: m.predict(X)
        calls[f"{name}.score"] = lambda m=fitted, y=y: m.score(X, y)
        if name != "regressor":
            calls[f"{name}.predict_proba"] = lambda m=fitted: m.predict_proba(X)
        if getattr(fitted, "solver", "adam") != "lbfgs":
            calls[f"{name}.partial_fit"] = lambda m=fitted, y=y: train_further(m, y)
        if name != "ensemble":
            path = folder / name
            calls[f"{name}: load_model"] = lambda p=path: load_model(p).predict(X)
    with_bar = clone(NETWORK).set_params(verbose="bar")
    calls["fit with a progress bar"] = lambda: with_bar.fit(X, Y).predict(X)
    calls["packed search"] = lambda: (
        PackedGridSearchCV(NETWORK, GRID, cv=2).fit(X, Y).cv_results_["mean_test_score"]
    )
    calls["packed search of cnns"] = lambda: (
        PackedGridSearchCV(MODELS["cnn"], GRID, cv=2)
        .fit(X[:200], Y[:200])
        .cv_results_["mean_test_score"]
    )
    calls["packed cross-validation"] = lambda: packed_cross_validate(
        NETWORK, X, Y, cv=3
    )["test_score"]
    return calls


def ends_in_child(call: Callable[[], Any]) -> str:
    """Call in a forked process; return what went wrong."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if np.isfinite(call()).all() else 2
        finally:
            os._exit(status)
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return "" if status == 0 else f"failed with status {status}"
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return f"did not end in {_SECONDS} seconds"


def hold_locks(release: threading.Event) -> None:
    """Hold all locks of the package, as another thread may do when a process forks."""
    locks = [setting.lock for setting in SharedSetting.all] + [SCREEN._lock]
    for lock in locks:
        lock.acquire()
    release.wait()
    for lock in locks:
        lock.release()


def main() -> int:
    """Fork for every call and print what went wrong."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(3)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        calls = make_calls(Path(folder))
        torch.ones(1000, 1000) @ torch.ones(1000, 1000)  # starts torch's threads
        release = threading.Event()
        for name, call in calls.items():
            release.clear()
            thread = threading.Thread(target=hold_locks, args=(release,))
            thread.start()
            while not SCREEN._lock.locked():
                time.sleep(0.001)
            fault = ends_in_child(call)
            release.set()
            thread.join()
            if torch.get_num_threads() != 3:
                fault += " changed the number of threads of the parent"
            if fault:
                wrong += 1
                print(f"{name}: {fault}", flush=True)
    print(f"{len(calls)} forks, {wrong} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
