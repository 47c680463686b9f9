"""Rounds of measured slices, and their records."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import sklearn.datasets
from sklearn.preprocessing import scale

from benchmarks.running import environment
from benchmarks.speed import fresh_processes
from benchmarks.speed.busy_processes import busy_processes
from benchmarks.speed.contestants import why_absent
from benchmarks.speed.worker import Worker
from benchmarks.speed.workloads import (
    BUSY_PROCESSES,
    RANDOM_DATA,
    TINY_DATA,
    Workload,
    describe,
)

Record = dict[str, Any]


def run_all(
    workloads: list[Workload],
    *,
    rounds: int,
    threads: int,
    quick: bool,
    data_home: str | None,
    command: str,
    on_start: Callable[[str], None],
) -> Iterator[Record]:
    """Yield a record for every workload and contestant."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="skmlp-speed-")))
        write_data(folder, {work.data for work in workloads}, quick, data_home)
        workers: dict[str, Worker] = {}
        for work in workloads:
            on_start(work.name)
            if quick:
                work = work.quick()
            skipped = {name: _why_absent(name, work) for name in work.contestants}
            present = [name for name in work.contestants if not skipped[name]]
            for name in present:
                if work.needs_worker and name not in workers:
                    workers[name] = Worker(name, threads)
                    stack.enter_context(closing(workers[name]))
            load = [_load_average()]
            slices, failed = measure_in_turn(work, present, rounds, workers, folder)
            load.append(_load_average())
            for name in work.contestants:
                yield {
                    "experiment": "speed",
                    **describe(work),
                    "contestant": name,
                    "slices": slices.get(name, []),
                    "error": skipped[name] or failed.get(name),
                    "quick": quick,
                    **environment.describe(),
                    "threads": threads,
                    "peers": environment.peer_versions(),
                    "load_average": load,
                    "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                    "command": command,
                }


def measure_in_turn(
    work: Workload,
    contestants: list[str],
    rounds: int,
    workers: dict[str, Worker],
    folder: Path,
) -> tuple[dict[str, list[dict[str, float]]], dict[str, str]]:
    """Measure one slice of each contestant in turn, after a warm-up that is dropped."""
    slices: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    failed: dict[str, str] = {}
    warm_up = work.needs_worker
    for i in range(rounds + warm_up):
        for name in contestants:
            if name in failed:
                continue
            try:
                measured = _measure_slice(work, name, workers, folder)
            except RuntimeError as error:
                failed[name] = str(error)
            else:
                if i or not warm_up:
                    slices[name].append(measured)
    return slices, failed


def _measure_slice(
    work: Workload, contestant: str, workers: dict[str, Worker], folder: Path
) -> dict[str, float]:
    if work.kind == "import":
        return {"seconds": fresh_processes.seconds_of_import(contestant)}
    if work.kind == "memory":
        return {"bytes": fresh_processes.bytes_at_peak(contestant, work, folder)}
    worker = workers[contestant]
    alone = worker.slice(work, folder)
    if work.kind != "busy":
        return alone
    with busy_processes(BUSY_PROCESSES):
        shared = worker.slice(work, folder)
    return {
        "factor": shared["seconds"] / alone["seconds"],
        "seconds_alone": alone["seconds"],
        "seconds_shared": shared["seconds"],
    }


def _why_absent(contestant: str, work: Workload) -> str | None:
    """Return why a contestant cannot do the work, or None."""
    if work.kind == "memory" and not fresh_processes.can_measure_memory():
        return "this system does not tell a process the peak of its memory"
    return why_absent(contestant)


def write_data(
    folder: Path, names: set[str], quick: bool, data_home: str | None
) -> None:
    """Write samples that all processes map: pixels in [0, 1], in float32.

    With `quick` the pixels are random, so that no data set is needed.
    """
    for name in names:
        X, y = _load_samples(name, quick, data_home)
        if name == "fashion-mnist":
            np.save(folder / "images.npy", np.rint(X * 255).astype(np.uint8))
            if not quick:  # 100,000 samples for prediction
                X, y = np.resize(X, (100_000, X.shape[1])), np.resize(y, 100_000)
        np.save(folder / f"{name}-X.npy", X)
        np.save(folder / f"{name}-y.npy", y)


def _load_samples(
    name: str, quick: bool, data_home: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return features in float32 and targets."""
    from benchmarks.data import datasets

    if name in TINY_DATA:
        X, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
        return scale(X).astype(np.float32), y
    if name.startswith(RANDOM_DATA):
        rng = np.random.default_rng(0)
        n_features = int(name.removeprefix(RANDOM_DATA))
        X = rng.standard_normal((1_000 if quick else 100_000, n_features), np.float32)
        return X, rng.integers(0, 10, len(X))
    if quick and name != "digits":
        rng = np.random.default_rng(0)
        pixels, y = rng.integers(0, 256, (1_000, 784)), rng.integers(0, 10, 1_000)
        return (pixels / np.float32(255)).astype(np.float32), y
    data = datasets.load(name, data_home)
    X = np.concatenate([data.X_train, data.X_test])
    y = np.concatenate([data.y_train, data.y_test])
    top = np.float32(data.pixel_max or 1.0)
    return (X / top).astype(np.float32), y.astype(np.int64)


def _load_average() -> float | None:
    """Return the system's load average of the last minute."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
