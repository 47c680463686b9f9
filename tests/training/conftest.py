"""Fixtures for tests of threads."""

import pytest
import torch

from skmlp.training.compute.thread_tuning import ThreadTuner
from skmlp.training.compute.threads import single_threaded, using_threads


@pytest.fixture
def on_one_and_many_threads():
    """Return a function that computes something on one thread, then on many."""

    def compute_twice(n_threads, compute):
        """Return the two results of ``compute(tuner)``."""
        results = []
        before = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        try:
            with single_threaded():
                tuner = ThreadTuner(n_threads)
                for n in (1, n_threads):
                    tuner.n_threads = n
                    results.append(compute(tuner))
        finally:
            torch.set_num_threads(before)
        return results

    return compute_twice


@pytest.fixture
def four_threads():
    """Return a tuner that chose four threads."""
    tuner = ThreadTuner(4)
    tuner.n_threads = 4
    return tuner


@pytest.fixture
def requested_threads(monkeypatch):
    """Return a function that lists the numbers of threads that a module requests."""

    def watch(module):
        requested = []

        class Recorded(using_threads):
            def __init__(self, n_threads):
                requested.append(n_threads)
                super().__init__(n_threads)

        monkeypatch.setattr(module, "using_threads", Recorded)
        return requested

    return watch
