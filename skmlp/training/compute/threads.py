"""One thread for what is too little to be shared, more for one operation of it."""

import threading
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from threadpoolctl import ThreadpoolController

# Below this many multiplications an operation ends before a second thread has helped;
# and where other processes want the cores, waiting for that thread costs milliseconds.
# Where a team shares the products, the other operations decide.
_WORTH_SHARING = 20_000_000
_WORTH_SHARING_OTHERS = 50_000_000

# The BLAS in the wheels of NumPy and SciPy, and how many threads it needs beside torch.
_OWN_BLAS = {"libscipy_openblas": 1}

# Numbers of threads that those found who compute on one now. A thread that starts
# meanwhile finds 1, and would leave it behind if it were the last.
_lock = threading.Lock()
_found: list[int] = []


class _Own(threading.local):
    """How many of those numbers this thread has found."""

    entered = 0


_own = _Own()


class single_threaded:  # a contextmanager takes longer than some operations
    """Compute on one thread, here and in threads that are started meanwhile."""

    __slots__ = ("before",)

    def __enter__(self) -> None:
        with _lock:
            self.before = torch.get_num_threads()
            _found.append(self.before)
            _own.entered += 1
            torch.set_num_threads(1)

    def __exit__(self, *error: object) -> None:
        with _lock:
            first = _found[0]
            _found.pop()  # of their number, so that the first stays to the last
            _own.entered -= 1
            torch.set_num_threads(self.before if _found else first)


class single_threaded_blas:
    """Keep NumPy's and SciPy's BLAS on one thread, whose others spin beside torch's.

    What it adds up has the same bits then on any number of cores. A BLAS that torch
    may compute with as well is left alone.
    """

    _entered = 0
    _limit: Any = None

    def __enter__(self) -> None:
        cls = type(self)
        with _lock:
            if not cls._entered:
                cls._limit = _pools().limit(limits=_OWN_BLAS)
            cls._entered += 1

    def __exit__(self, *error: object) -> None:
        cls = type(self)
        with _lock:
            cls._entered -= 1
            if not cls._entered:
                cls._limit.restore_original_limits()


@cache  # to look for them takes milliseconds
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


def threads_for_work(work: int, shared: bool = False) -> AbstractContextManager[None]:
    """Compute on one thread if `work` multiplications are too few for more.

    `shared` says that a team shares them, whatever the others are computed on.
    """
    enough = _WORTH_SHARING_OTHERS if shared else _WORTH_SHARING
    return nullcontext() if work >= enough else single_threaded()


def available_threads() -> int:
    """Return what this thread found when it chose one, if it is the only one to."""
    with _lock:
        return _found[0] if _alone() else 1


def _alone() -> bool:
    """Whether this thread, and no other, computes on one thread by choice."""
    return len(_found) == _own.entered == 1


class using_threads:
    """Let one operation compute on `n` threads, unless other fits go on beside.

    Its value is whether it does.
    """

    __slots__ = ("n", "shared")

    def __init__(self, n: int) -> None:
        self.n = n
        self.shared = False

    def __enter__(self) -> bool:
        if self.n > 1:
            with _lock:
                self.shared = _alone()
                if self.shared:
                    torch.set_num_threads(self.n)
        return self.shared

    def __exit__(self, *error: object) -> None:
        if self.shared:
            torch.set_num_threads(1)
