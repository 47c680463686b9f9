"""A contestant's process: it waits for a slice of work and answers with its time."""

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
    threads : int
        For OpenMP, BLAS, torch and TensorFlow alike.
    """

    def __init__(self, contestant: str, threads: int) -> None:
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(contestant, threads, theirs), daemon=True
        )
        with _environment({name: str(threads) for name in THREAD_VARIABLES}):
            self._process.start()
        theirs.close()

    def slice(self, work: Workload, folder: Path) -> dict[str, float]:
        """Let it do the work once; return seconds of the clock and of its CPUs.

        Raises
        ------
        RuntimeError
            With what went wrong there.
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
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set variables while a process starts; it inherits them."""
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


def _serve(contestant: str, threads: int, connection: Connection) -> None:
    """Measure what is asked for until the parent closes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    jobs_of: Any = None
    while True:
        try:
            work, folder = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            if jobs_of is None:
                jobs_of = _limited(threads)
            connection.send(_measure(contestant, work, folder))
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            connection.send(f"{type(error).__name__}: {error}")


def _limited(threads: int) -> Any:
    """Hold every BLAS and OpenMP that scikit-learn brings to so many threads."""
    import sklearn  # noqa: F401
    from threadpoolctl import threadpool_limits

    return threadpool_limits(threads)


def _measure(contestant: str, work: Workload, folder: Path) -> dict[str, float]:
    """Prepare a job, then time it alone."""
    from benchmarks.speed.contestants import prepare

    X = np.load(folder / f"{work.data}-X.npy", mmap_mode="c")
    y = np.load(folder / f"{work.data}-y.npy")
    if work.kind == "fit":
        X, y = X[: work.rows], y[: work.rows]
    # A memory map's pages are shared by all processes; an array without its class.
    job = prepare(contestant, work, np.asarray(X), y)
    gc.collect()
    started, cpu = perf_counter(), process_time()
    job()
    return {
        "seconds": (perf_counter() - started) / work.repeat,
        "cpu_seconds": (process_time() - cpu) / work.repeat,
    }
