"""Kill fits at random moments, resume them, compare with fits left alone.

    python tests/faults/kill_fit.py fit 50
    python tests/faults/kill_fit.py search 50

A process that fits with ``checkpoint=`` is ended by SIGKILL after a random while, and
another one goes on, until as many were killed as asked for; then every fit is let
through. One line is printed: processes killed, how far the fits were when they were,
checkpoints that could not be read, results that were not the bits of an uninterrupted
fit. It ends with status 1 if there were any of the latter two. A seed gives the same
fits and the same whiles.
"""

import argparse
import hashlib
import json
import multiprocessing
import random
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from skmlp.augmentation import GaussianNoise
from skmlp.model_selection import PackedGridSearchCV, PackedRandomizedSearchCV
from skmlp.neural_network import MLPClassifier
from skmlp.storage.checkpoint import read_checkpoint

FORK: Any = multiprocessing.get_context("fork")

FITS = {
    "plain": {"solver": "sgd", "learning_rate": "adaptive"},
    "regularised": {"dropout": 0.2, "weight_averaging": 0.9, "batch_norm": True},
    "validated": {"early_stopping": True, "refit_full": True, "dropout": 0.1},
    "scheduled": {"solver": "nadam", "learning_rate": "cosine", "train_size": 0.7},
}
EPOCHS = 40


def fit(kind: str, path: Path | None) -> Any:
    """Fit one network on digits."""
    X, y = load_digits(return_X_y=True)
    model = MLPClassifier(
        (100, 50),
        max_iter=EPOCHS,
        random_state=0,
        augmentation=GaussianNoise(0.05) if kind == "scheduled" else None,
        checkpoint=path,
        **FITS[kind],
    ).fit(X / 16, y)
    return model, [model.loss_curve_, model.validation_scores_, model.n_iter_]


def search(kind: str, path: Path | None) -> Any:
    """Search with packs of several kinds and fits that are none."""
    X, y = load_digits(n_class=4, return_X_y=True)
    network = MLPClassifier(16, max_iter=12, random_state=0)
    rates = {"learning_rate_init": [0.001, 0.003, 0.01]}
    if kind == "grid":
        grid = [
            {"hidden_layer_sizes": [8, 16, 24, 32], **rates},
            {"batch_norm": [True], **rates},
            {"activation": ["gelu"], **rates},
        ]
        found = PackedGridSearchCV(network, grid, cv=3, checkpoint=path)
    else:
        found = PackedRandomizedSearchCV(
            network,
            {"activation": ["relu", "tanh", "logistic"], "solver": ["sgd", "adam"]}
            | rates,
            n_iter=12,
            cv=3,
            random_state=0,
            checkpoint=path,
        )
    found.fit(X / 16, y)
    scores = {
        name: values
        for name, values in found.cv_results_.items()
        if "time" not in name and "test" in name
    }
    return found.best_estimator_, [scores[name].tolist() for name in sorted(scores)]


JOBS: dict[str, tuple[Callable[[str, Path | None], Any], list[str]]] = {
    "fit": (fit, list(FITS)),
    "search": (search, ["grid", "randomized"]),
}


def work(sender: Any, job: str, kind: str, path: Path | None) -> None:
    """Do the work of one process, and send a digest of its result."""
    warnings.simplefilter("ignore")
    network, figures = JOBS[job][0](kind, path)
    digest = hashlib.sha256(json.dumps(figures).encode())
    for array in (*network.coefs_, *network.intercepts_):
        digest.update(np.ascontiguousarray(array).data)
    sender.send(digest.hexdigest())


class Fault:
    """One checkpoint, of fits that are killed again and again.

    Parameters
    ----------
    job, kind : str
        What to fit.
    folder : Path
        Where the checkpoint is to be.
    """

    def __init__(self, job: str, kind: str, folder: Path) -> None:
        self.job, self.kind = job, kind
        self.path = folder / f"{job}-{kind}"
        self.expected = self._result_of(*self._start(None))
        start = time.monotonic()
        whole = self._result_of(*self._start(folder / f"{job}-{kind}-whole"))
        self.seconds = time.monotonic() - start
        self.kills, self.unreadable = 0, 0
        self.wrong = int(whole != self.expected)
        self.progress: list[int] = []

    def _start(self, path: Path | None) -> tuple[Any, Any]:
        """Start a process, forked so that its imports are done; it answers once."""
        receiver, sender = FORK.Pipe(duplex=False)
        process = FORK.Process(target=work, args=(sender, self.job, self.kind, path))
        process.start()
        sender.close()
        return process, receiver

    def _result_of(self, process: Any, receiver: Any) -> str | None:
        """Wait for a process; None if it failed."""
        try:
            result = receiver.recv()
        except EOFError:
            result = None
        process.join()
        return result

    def kill(self, rng: random.Random) -> None:
        """Start the fit, or go on with it, and kill it after a random while."""
        process, receiver = self._start(self.path)
        process.join(rng.random() * 0.5 * self.seconds)
        process.kill()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            self.kills += 1
            self._look()
        else:
            self._compare(self._result_of(process, receiver))

    def let_through(self) -> None:
        """Go on to the end."""
        self._compare(self._result_of(*self._start(self.path)))

    def _compare(self, found: str | None) -> None:
        """Count results that differ; the next fit starts anew."""
        self.wrong += found != self.expected
        for file in self._files():
            file.unlink()

    def _files(self) -> list[Path]:
        if self.path.is_dir():
            return sorted(self.path.iterdir())
        return [self.path] if self.path.exists() else []

    def _look(self) -> None:
        """Read every checkpoint that a killed process has left."""
        epochs, packs = 0, 0
        for file in self._files():
            if file.name.endswith(".part"):
                continue  # half-written, beside the one that counts
            try:
                content = read_checkpoint(file)
            except ValueError:
                self.unreadable += 1
                continue
            packs += "outcomes" in content
            for stage in content.get("stages", {}).values():
                epochs += stage["state"]["epochs"] if stage["state"] else 0
        self.progress.append(packs if self.job == "search" else epochs)


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("n_kills", type=int, nargs="?", default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)  # threads do not survive a fork
    return report(given.job, given.n_kills, given.seed)


def report(job: str, n_kills: int, seed: int) -> int:
    """Kill, resume, compare; print the figures and return the exit status."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        kinds = JOBS[job][1][:n_kills]
        faults = [Fault(job, kind, Path(folder)) for kind in kinds]
        while sum(fault.kills for fault in faults) < n_kills:
            min(faults, key=lambda fault: fault.kills).kill(rng)
        for fault in faults:
            fault.let_through()
    progress = [seen for fault in faults for seen in fault.progress]
    unreadable = sum(fault.unreadable for fault in faults)
    wrong = sum(fault.wrong for fault in faults)
    unit = "packs" if job == "search" else "epochs"
    print(
        f"{job}: killed {sum(fault.kills for fault in faults)} times, after "
        f"{min(progress)} to {max(progress)} {unit}, {len(set(progress))} different "
        f"numbers of them; {unreadable} unreadable checkpoints; {wrong} results that "
        "differ from an uninterrupted one"
    )
    return bool(unreadable or wrong)


if __name__ == "__main__":
    sys.exit(main())
