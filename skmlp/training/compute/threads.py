"""Limit torch to one thread, and give single operations more of them.

Small operations are fastest on one thread. `single_threaded` limits torch to it for the
time of a fit. Within, `using_threads` lets one operation use more threads.
"""

import threading
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from threadpoolctl import ThreadpoolController

# Multiplications of a batch from which several threads are faster than one. A smaller
# operation ends before a second thread has helped. If other processes use the cores,
# waiting for that thread costs milliseconds.
_MIN_MULTIPLY_ADDS = 20_000_000
# The same if a `ThreadTuner` splits the matrix products: the rest of a step decides.
_MIN_MULTIPLY_ADDS_TUNED = 50_000_000

# Limits by BLAS library: this one is in the wheels of NumPy and SciPy.
_BLAS_LIMITS = {"libscipy_openblas": 1}

# torch's thread counts before each `single_threaded` block that is open in any thread.
# A block that is entered within another one reads 1. The count of the first block is
# therefore the one to restore when the last block ends.
_lock = threading.Lock()
_counts_before_blocks: list[int] = []


class _ThreadLocal(threading.local):
    """Number of open `single_threaded` blocks that this thread entered."""

    n_blocks = 0


_this_thread = _ThreadLocal()


class single_threaded:  # a contextmanager takes longer than some operations
    """Compute on one thread, here and in threads that are started meanwhile."""

    __slots__ = ("count_before",)

    def __enter__(self) -> None:
        with _lock:
            self.count_before = torch.get_num_threads()
            _counts_before_blocks.append(self.count_before)
            _this_thread.n_blocks += 1
            torch.set_num_threads(1)

    def __exit__(self, *error: object) -> None:
        with _lock:
            first = _counts_before_blocks[0]
            _counts_before_blocks.pop()  # the first count stays until the last block
            _this_thread.n_blocks -= 1
            torch.set_num_threads(self.count_before if _counts_before_blocks else first)


class single_threaded_blas:
    """Limit NumPy's and SciPy's BLAS to one thread.

    - Its idle threads would keep cores busy that torch computes on.
    - Sums have the same bits on any number of cores.
    - A BLAS library that torch may also use is not limited.
    """

    _n_blocks = 0
    _limit: Any = None

    def __enter__(self) -> None:
        cls = type(self)
        with _lock:
            if not cls._n_blocks:
                cls._limit = _thread_pools().limit(limits=_BLAS_LIMITS)
            cls._n_blocks += 1

    def __exit__(self, *error: object) -> None:
        cls = type(self)
        with _lock:
            cls._n_blocks -= 1
            if not cls._n_blocks:
                cls._limit.restore_original_limits()


@cache  # the search takes milliseconds
def _thread_pools() -> ThreadpoolController:
    """Return the thread pools of the process."""
    return ThreadpoolController()


def threads_for_work(
    n_multiply_adds: int, tuned: bool = False
) -> AbstractContextManager[None]:
    """Compute on one thread if a batch has too few multiplications for more.

    `tuned` says that a `ThreadTuner` splits the matrix products in both cases.
    """
    enough = _MIN_MULTIPLY_ADDS_TUNED if tuned else _MIN_MULTIPLY_ADDS
    return nullcontext() if n_multiply_adds >= enough else single_threaded()


def available_threads() -> int:
    """Return how many threads an operation in this thread may use.

    It is torch's count before the `single_threaded` block of this thread, and 1 if
    other such blocks are open.
    """
    with _lock:
        return _counts_before_blocks[0] if _has_only_block() else 1


def _has_only_block() -> bool:
    """Return whether this thread entered the only open `single_threaded` block."""
    return len(_counts_before_blocks) == _this_thread.n_blocks == 1


class using_threads:
    """Let one operation use `n_threads`, unless other fits run at the same time.

    The value of the context manager says whether the operation uses them.
    """

    __slots__ = ("granted", "n_threads")

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self.granted = False

    def __enter__(self) -> bool:
        if self.n_threads > 1:
            with _lock:
                self.granted = _has_only_block()
                if self.granted:
                    torch.set_num_threads(self.n_threads)
        return self.granted

    def __exit__(self, *error: object) -> None:
        if self.granted:
            torch.set_num_threads(1)
