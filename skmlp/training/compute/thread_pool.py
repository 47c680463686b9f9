"""Compute independent parts of a result in several threads, each part by one thread.

The rounding of BLAS depends on the number of threads that share a product. Here no
product is shared, so the result is exactly equal for any number of threads. The threads
are kept, because starting one takes as long as the prediction of a thousand samples.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from skmlp.training.compute.threads import single_threaded

T = TypeVar("T")

_MAX_THREADS = 1024

_pool: ThreadPoolExecutor | None = None


def _kept_pool() -> ThreadPoolExecutor:
    """Return the pool of this process; it starts threads as they are needed."""
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="skmlp")
    return _pool


def for_each(
    function: Callable[[T], object], parts: Iterable[T], n_threads: int
) -> None:
    """Call `function` for every part; this thread works, and at most others help.

    Parameters
    ----------
    function : callable
        Its result is ignored. torch computes it on one thread.
    parts : iterable
        The parts, in the order in which they begin.
    n_threads : int
        Number of threads that work at the same time, this one included.

    Raises
    ------
    BaseException
        The first error of this thread, or else of the others. No part is computed any
        more when it is raised.
    """
    remaining = list(parts)[::-1]

    def work() -> None:
        with single_threaded():
            while remaining:
                try:
                    part = remaining.pop()
                except IndexError:  # another thread took the last part
                    return
                function(part)

    helpers: list[Future[None]] = []
    try:
        n_helpers = min(n_threads, len(remaining)) - 1
        helpers.extend(_kept_pool().submit(work) for _ in range(n_helpers))
        work()
    finally:
        remaining.clear()
        # A helper that has not begun has nothing left to do.
        begun = [helper for helper in helpers if not helper.cancel()]
        errors = [helper.exception() for helper in begun]
    for error in errors:
        if error is not None:
            raise error


def _forget_pool_in_child() -> None:
    """Drop the pool in a forked process, which has none of its threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_pool_in_child)
