"""The process of a contestant: it receives work and returns the time."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from benchmarks.speed.workloads import Workload

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


class Worker:
    """The parent's end of a contestant's process.

    Parameters
    ----------
    contestant : str
        Who does the work.
    threads : int
        Number of threads of OpenMP, BLAS, torch and TensorFlow.
    """

    def __init__(self, contestant: str, threads: int) -> None:
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve_slices, args=(contestant, threads, theirs), daemon=True
        )
        with _environment_variables({name: str(threads) for name in THREAD_VARIABLES}):
            self._process.start()
        theirs.close()

    def slice(self, work: Workload, folder: Path) -> dict[str, float]:
        """Measure the work once, and return wall-clock seconds and CPU seconds.

        Raises
        ------
        RuntimeError
            With the error of the process.
        """
        self._connection.send((work, folder))
        try:
            answer = self._connection.recv()
        except EOFError:
            raise RuntimeError("its process ended") from None
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(timeout=10)
        self._process.terminate()


@contextmanager
def _environment_variables(variables: dict[str, str]) -> Iterator[None]:
    """Set variables while a process starts, which inherits them."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve_slices(contestant: str, threads: int, connection: Connection) -> None:
    """Measure the requested work until the parent closes the connection."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    thread_limits: Any = None
    while True:
        try:
            work, folder = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            if thread_limits is None:
                thread_limits = _limit_threads(threads)
            connection.send(_measure(contestant, work, folder))
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            connection.send(f"{type(error).__name__}: {error}")


def _limit_threads(threads: int) -> Any:
    """Limit every BLAS and OpenMP that scikit-learn loads to this number of threads."""
    import sklearn  # noqa: F401
    from threadpoolctl import threadpool_limits

    return threadpool_limits(threads)


def _measure(contestant: str, work: Workload, folder: Path) -> dict[str, float]:
    """Prepare a job, then time it alone."""
    from benchmarks.speed.contestants import prepare

    X = np.load(folder / f"{work.data}-X.npy", mmap_mode="c")
    y = np.load(folder / f"{work.data}-y.npy")
    if work.is_fit:
        X, y = X[: work.rows], y[: work.rows]
    # asarray drops the class memmap. All processes share the pages of the memory map.
    job = prepare(contestant, work, np.asarray(X), y)
    gc.collect()
    started, cpu = perf_counter(), process_time()
    job()
    return {
        "seconds": (perf_counter() - started) / work.repeat,
        "cpu_seconds": (process_time() - cpu) / work.repeat,
    }
