"""Limit torch to one thread, and allow more threads for selected operations.

Small operations are fastest on one thread. `single_threaded` limits torch to one thread
for the time of a fit. Within such a block, `using_threads` lets one operation use more
threads. The number of threads is a setting of the whole process. Therefore
`using_threads` has an effect only if no other fit runs in the process.
"""

import threading
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from threadpoolctl import ThreadpoolController

# Minimum multiply-adds of a batch for which several threads are faster than one. A
# smaller operation ends before a second thread can help. If other processes use the
# cores, waiting for that thread costs milliseconds.
_MIN_MULTIPLY_ADDS = 20_000_000
# Threshold if a `ThreadTuner` already chooses the threads of the matrix products. Only
# the other operations gain from more threads then.
_MIN_MULTIPLY_ADDS_TUNED = 50_000_000

# Thread limits by the prefix of threadpoolctl for a BLAS library. This prefix is the
# OpenBLAS in the wheels of NumPy and SciPy.
_BLAS_LIMITS = {"libscipy_openblas": 1}

# torch's thread count at the start of each open `single_threaded` block, of all threads
# of the process. The first entry is the count to restore when no block is open.
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
    """Compute on one thread within the block if a batch has too few multiply-adds.

    `tuned` states whether a `ThreadTuner` chooses the threads of the matrix products.
    One thread is then the better choice up to a larger batch.
    """
    enough = _MIN_MULTIPLY_ADDS_TUNED if tuned else _MIN_MULTIPLY_ADDS
    return nullcontext() if n_multiply_adds >= enough else single_threaded()


def available_threads() -> int:
    """Return how many threads an operation in this thread may use.

    It is torch's thread count before the `single_threaded` block of this thread. It is
    1 if there is no such block, or if other such blocks are open.
    """
    with _lock:
        return _counts_before_blocks[0] if _has_only_block() else 1


def _has_only_block() -> bool:
    """Return whether this thread entered the only open `single_threaded` block."""
    return len(_counts_before_blocks) == _this_thread.n_blocks == 1


class using_threads:
    """Let one operation use `n_threads` within the block.

    It has an effect only inside the only open `single_threaded` block of the process.
    ``as granted`` is True if the threads are used.
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
