"""How many threads an operation of a training step takes: as many as the clock favours.

The products and the update of a network of middling size last some tens of
microseconds. Other threads shorten them where their cores are free, and cost
milliseconds where another process computes there. Only operations whose bits do not
depend on it are shared out, so the clock decides over nothing but time.
"""

import threading
from math import inf
from time import perf_counter
from typing import Self

from torch import Tensor

from skmlp.training.compute.threads import available_threads

# Steps timed in a row; fewer where they decide only whether it is worth more of them.
_STEPS = 16
_FEW_STEPS = 6
# Rows of steps after which other numbers are tried again; twice as many each time that
# they have not been faster.
_PATIENCE = 8
_MOST_PATIENCE = 2048

# Parameters from which other threads may shorten an update.
MIN_TUNED_PARAMETERS = 2**15


class ThreadTuner:
    """The threads that one training loop shares operations out among.

    Parameters
    ----------
    most : int
        Number of threads that there are.

    Notes
    -----
    Use it as a context manager, from the thread that trains.
    """

    def __init__(self, most: int) -> None:
        self.sizes = [1, *(2**i for i in range(1, most.bit_length()) if 2**i < most)]
        if most > 1:
            self.sizes.append(most)
        self._seconds: dict[int, float] = {}  # of a step, when last timed
        self._steps, self._elapsed = 0, 0.0
        self._row, self._limit = _FEW_STEPS, inf  # ends after so many, or so long
        self._began: float | None = None
        self._best, self._patience, self._age = 1, _PATIENCE, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        _here.size = 1

    def take(self, size: int) -> None:
        """Let the steps that follow have so many threads."""
        _here.size = size

    def pause(self) -> None:
        """Note that what comes before the next step is not part of a step."""
        self._began = None

    def begin_step(self) -> None:
        """Time the step before, and choose the number of threads of this one."""
        now = perf_counter()
        if self._began is not None:
            self._steps += 1
            self._elapsed += now - self._began
        self._began = now
        if self._steps == self._row or self._elapsed > self._limit:
            self._seconds[_here.size] = self._elapsed / self._steps
            self._steps, self._elapsed = 0, 0.0
            size = self._choose()
            self._row = _STEPS if size == self._best else _FEW_STEPS
            # Many threads are given up when one would have been through by now.
            self._limit = inf if size == 1 else _STEPS * self._seconds.get(1, inf)
            if size != _here.size:
                self.take(size)
                self._began = None  # the first step pays for the change

    def _choose(self) -> int:
        """Return the number that was fastest, or one that has to be tried."""
        if untried := [n for n in self.sizes if n not in self._seconds]:
            return untried[0]
        best = min(self.sizes, key=self._seconds.__getitem__)
        if best != self._best:
            self._best, self._patience, self._age = best, _PATIENCE, 0
        self._age += 1
        if self._age == self._patience:
            self._patience, self._age = min(2 * self._patience, _MOST_PATIENCE), 0
            self._seconds = {best: self._seconds[best]}
        return best


def make_thread_tuner(values: Tensor) -> ThreadTuner:
    """Return the threads that steps which move these parameters may be shared among."""
    worth_it = values.is_cpu and values.numel() >= MIN_TUNED_PARAMETERS
    return ThreadTuner(available_threads() if worth_it else 1)


class _Here(threading.local):
    """The number of threads of the team that this thread trains with."""

    size = 1


_here = _Here()


def tuned_thread_count() -> int:
    """Return on how many threads an operation of this thread's may be computed."""
    return _here.size
