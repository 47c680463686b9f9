"""Kill fits at random moments, resume them, and compare them with uninterrupted fits.

    python tests/faults/kill_fit.py fit 50
    python tests/faults/kill_fit.py search 50

A process that fits with ``checkpoint=`` is killed by SIGKILL after a random time, and
another process resumes the fit. This is repeated for the given number of kills. Then
every fit is completed. One line is printed:

- the number of kills, and the progress of the fits when they were killed,
- the number of checkpoints that could not be read,
- the number of results that do not equal those of an uninterrupted fit to the bit.

The exit status is 1 if one of the last two numbers is not 0. The seed determines the
fits and the times.
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
    "regularized": {"dropout": 0.2, "weight_averaging": 0.9, "batch_norm": True},
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
    """Search with packs of several kinds, and with single fits."""
    X, y = load_digits(n_class=4, return_X_y=True)
    network = MLPClassifier(16, max_iter=12, random_state=0)
    learning_rates = {"learning_rate_init": [0.001, 0.003, 0.01]}
    if kind == "grid":
        grid = [
            {"hidden_layer_sizes": [8, 16, 24, 32], **learning_rates},
            {"batch_norm": [True], **learning_rates},
            {"activation": ["gelu"], **learning_rates},
        ]
        fitted = PackedGridSearchCV(network, grid, cv=3, checkpoint=path)
    else:
        fitted = PackedRandomizedSearchCV(
            network,
            {"activation": ["relu", "tanh", "logistic"], "solver": ["sgd", "adam"]}
            | learning_rates,
            n_iter=12,
            cv=3,
            random_state=0,
            checkpoint=path,
        )
    fitted.fit(X / 16, y)
    scores = {
        name: values
        for name, values in fitted.cv_results_.items()
        if "time" not in name and "test" in name
    }
    return fitted.best_estimator_, [scores[name].tolist() for name in sorted(scores)]


JOBS: dict[str, tuple[Callable[[str, Path | None], Any], list[str]]] = {
    "fit": (fit, list(FITS)),
    "search": (search, ["grid", "randomized"]),
}


def work(sender: Any, job: str, kind: str, path: Path | None) -> None:
    """Run a fit or search in this process, and send a hash of its result."""
    warnings.simplefilter("ignore")
    network, figures = JOBS[job][0](kind, path)
    digest = hashlib.sha256(json.dumps(figures).encode())
    for array in (*network.coefs_, *network.intercepts_):
        digest.update(np.ascontiguousarray(array).data)
    sender.send(digest.hexdigest())


class KilledJob:
    """One fit or search that is killed and resumed several times.

    Parameters
    ----------
    job, kind : str
        What to fit.
    folder : Path
        The folder of the checkpoint.
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
        """Fork a process, whose imports are already done; it sends one answer."""
        receiver, sender = FORK.Pipe(duplex=False)
        process = FORK.Process(target=work, args=(sender, self.job, self.kind, path))
        process.start()
        sender.close()
        return process, receiver

    def _result_of(self, process: Any, receiver: Any) -> str | None:
        """Wait for a process, and return its answer, or None if it failed."""
        try:
            result = receiver.recv()
        except EOFError:
            result = None
        process.join()
        return result

    def kill(self, rng: random.Random) -> None:
        """Start or resume the fit, and kill it after a random time."""
        process, receiver = self._start(self.path)
        process.join(rng.random() * 0.5 * self.seconds)
        process.kill()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            self.kills += 1
            self._read_checkpoints()
        else:
            self._compare(self._result_of(process, receiver))

    def complete(self) -> None:
        """Resume the fit, and wait until it ends."""
        self._compare(self._result_of(*self._start(self.path)))

    def _compare(self, result: str | None) -> None:
        """Count a result that differs, and remove the checkpoint."""
        self.wrong += result != self.expected
        for file in self._files():
            file.unlink()

    def _files(self) -> list[Path]:
        """Return the files of the checkpoint."""
        if self.path.is_dir():
            return sorted(self.path.iterdir())
        return [self.path] if self.path.exists() else []

    def _read_checkpoints(self) -> None:
        """Read the checkpoints that a killed process left, and record its progress."""
        epochs, packs = 0, 0
        for file in self._files():
            if file.name.endswith(".part"):
                continue  # partly written, and never read
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
    """Parse the arguments and kill the fits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("n_kills", type=int, nargs="?", default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)  # threads do not survive a fork
    return report(args.job, args.n_kills, args.seed)


def report(job: str, n_kills: int, seed: int) -> int:
    """Kill, resume and compare; print the numbers and return the exit status."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        kinds = JOBS[job][1][:n_kills]
        jobs = [KilledJob(job, kind, Path(folder)) for kind in kinds]
        while sum(killed.kills for killed in jobs) < n_kills:
            min(jobs, key=lambda killed: killed.kills).kill(rng)
        for killed in jobs:
            killed.complete()
    progress = [seen for killed in jobs for seen in killed.progress]
    unreadable = sum(killed.unreadable for killed in jobs)
    wrong = sum(killed.wrong for killed in jobs)
    unit = "packs" if job == "search" else "epochs"
    print(
        f"{job}: killed {sum(killed.kills for killed in jobs)} times, after "
        f"{min(progress)} to {max(progress)} {unit}, {len(set(progress))} different "
        f"numbers of them; {unreadable} unreadable checkpoints; {wrong} results that "
        "differ from an uninterrupted one"
    )
    return bool(unreadable or wrong)


if __name__ == "__main__":
    sys.exit(main())
