"""Measurements that need a new process: import time and peak memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.speed.workloads import (
    FLOAT32,
    HALF,
    KERAS,
    OURS,
    PACKAGES,
    Workload,
)

IMPORTS = {
    OURS: "import skmlp.neural_network",
    PACKAGES: "import sklearn.neural_network, skorch, torch",
    KERAS: "import keras",
}

N_PIXELS = 784
_STATUS = Path("/proc/self/status")


def seconds_of_import(contestant: str) -> float:
    """Return the time of a new interpreter that imports a package and ends."""
    started = perf_counter()
    subprocess.run(
        [sys.executable, "-c", IMPORTS[contestant]], check=True, capture_output=True
    )
    return perf_counter() - started


def bytes_at_peak(contestant: str, work: Workload, folder: Path) -> int:
    """Return how far a fit or predictions raise the peak memory, in bytes.

    The memory before includes the interpreter, the imports, a small fit and, for
    predictions, the samples.

    Raises
    ------
    RuntimeError
        With the error of the process.
    """
    if contestant == FLOAT32:
        return work.rows * N_PIXELS * 4
    if contestant == HALF:
        contestant, work = OURS, replace(work, rows=work.rows // 2)
    context = get_context("spawn")
    connection, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_send_peak, args=(contestant, work, folder, theirs)
    )
    process.start()
    theirs.close()
    try:
        answer = connection.recv()
    except EOFError:
        raise RuntimeError("its process ended") from None
    finally:
        process.join()
    if isinstance(answer, str):
        raise RuntimeError(answer)
    return answer


def can_measure_memory() -> bool:
    """Whether this system reports the peak memory of a process."""
    return _STATUS.exists()


def _send_peak(
    contestant: str, work: Workload, folder: Path, connection: Connection
) -> None:
    try:
        connection.send(_measure_peak(contestant, work, folder))
    except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
        connection.send(f"{type(error).__name__}: {error}")


def _measure_peak(contestant: str, work: Workload, folder: Path) -> int:
    """Measure in this process, which is new."""
    import warnings

    from benchmarks.speed.contestants import estimator

    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    few = rng.integers(0, 256, (200, N_PIXELS)).astype(np.uint8)
    fitted = estimator(work, contestant == OURS).fit(few, np.arange(200) % 10)
    fitted.predict_proba(few)
    path = folder / "images.npy"
    if "fit" in work.name:
        before = _read_memory("VmHWM")
        X = np.load(path)[: work.rows]
        fitted.fit(X, np.arange(len(X)) % 10)
    else:
        images = np.load(path, mmap_mode="r")
        X = np.empty((work.rows, N_PIXELS), np.uint8)
        for start in range(0, work.rows, len(images)):
            # In place, because a copy would raise the peak before the measurement.
            X[start : start + len(images)] = images[: work.rows - start]
        before = _read_memory("VmHWM")
        fitted.predict_proba(X)
    return max(0, _read_memory("VmHWM") - before)


def _read_memory(name: str) -> int:
    """Return a memory figure of this process in bytes. VmHWM is the peak."""
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{_STATUS} has no {name}")
