"""Limit torch to one thread, and allow more threads for selected operations.

Small operations are fastest on one thread. `single_threaded` limits torch to one thread
for the time of a fit. Within such a block, `using_threads` lets one operation use more
threads. The number of threads is a setting of the whole process. Therefore
`using_threads` has an effect only if no other fit runs in the process.

A forked process has one torch thread, because the threads of its parent do not exist in
it. OpenMP would wait for them for ever.
"""

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from itertools import repeat

import torch
from threadpoolctl import LibController, ThreadpoolController

from skmlp.training.compute.shared_settings import SharedSetting

# Minimum multiply-adds of a batch for which several threads are faster than one. A
# smaller operation ends before a second thread can help. If other processes use the
# cores, waiting for that thread costs milliseconds.
_MIN_MULTIPLY_ADDS = 20_000_000
# Threshold if a `ThreadTuner` already chooses the threads of the matrix products. Only
# the other operations gain from more threads then.
_MIN_MULTIPLY_ADDS_TUNED = 50_000_000

# The BLAS library in the wheels of NumPy and SciPy.
_BLAS_PREFIX = "libscipy_openblas"

_torch_threads = SharedSetting(
    torch.get_num_threads, torch.set_num_threads, 1, is_per_thread=True
)


@cache  # the search takes milliseconds
def _blas_libraries() -> list[LibController]:
    """Return the loaded BLAS libraries that are limited."""
    return ThreadpoolController().select(prefix=_BLAS_PREFIX).lib_controllers


def _get_blas_threads() -> Iterable[int]:
    """Return the number of threads of each library."""
    return [library.get_num_threads() for library in _blas_libraries()]


def _set_blas_threads(counts: Iterable[int]) -> None:
    """Set the number of threads of each library."""
    for library, count in zip(_blas_libraries(), counts, strict=False):
        library.set_num_threads(count)


_blas_threads: SharedSetting[Iterable[int]] = SharedSetting(
    _get_blas_threads, _set_blas_threads, repeat(1)
)


def single_threaded() -> AbstractContextManager[None]:
    """Compute on one thread, here and in threads that are started meanwhile."""
    return _torch_threads


def single_threaded_blas() -> AbstractContextManager[None]:
    """Limit NumPy's and SciPy's BLAS to one thread.

    - Its idle threads would keep cores busy that torch computes on.
    - Sums are exactly equal on any number of cores.
    - A BLAS library that torch may also use is not limited.
    """
    return _blas_threads


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
    with _torch_threads.lock:
        return _torch_threads.value_before if _torch_threads.is_only_block() else 1


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
            with _torch_threads.lock:
                self.granted = _torch_threads.is_only_block()
                if self.granted:
                    torch.set_num_threads(self.n_threads)
        return self.granted

    def __exit__(self, *error: object) -> None:
        if self.granted:
            torch.set_num_threads(1)


def _use_one_thread_in_child() -> None:
    """Let a forked process compute on one torch thread, now and after all blocks."""
    torch.set_num_threads(1)
    _torch_threads.set_restored_values(1)


if hasattr(os, "register_at_fork"):  # not on Windows
    # Children run these functions in the order of registration, so after the settings
    # have dropped the blocks of other threads.
    os.register_at_fork(after_in_child=_use_one_thread_in_child)
