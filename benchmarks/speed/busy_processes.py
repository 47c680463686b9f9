"""Processes that keep cores busy while a contestant works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Event

# Longest time that a process may take to start.
_SECONDS_TO_START = 60


def _compute(began: Event) -> None:
    """Count for ever; the parent ends the process."""
    began.set()
    while True:
        sum(range(1_000_000))


@contextmanager
def busy_processes(n: int) -> Iterator[None]:
    """Let `n` processes compute on one core each within the block."""
    context = get_context("spawn")
    processes = []
    try:
        for _ in range(n):
            began = context.Event()
            process = context.Process(target=_compute, args=(began,), daemon=True)
            process.start()
            processes.append(process)
            if not began.wait(_SECONDS_TO_START):
                raise RuntimeError("a busy process did not start")
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()
