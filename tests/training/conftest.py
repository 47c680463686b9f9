"""What tests of threads share: a team beside one thread, and the threads asked for."""

import pytest
import torch

from skmlp.training.compute.thread_tuning import ThreadTuner
from skmlp.training.compute.threads import single_threaded, using_threads


@pytest.fixture
def alone_and_together():
    """Computes something on one thread, then with a team of many."""

    def compute_twice(n_threads, compute):
        results = []
        before = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        try:
            with single_threaded(), ThreadTuner(n_threads) as tuner:
                for size in (1, n_threads):
                    tuner.take(size)
                    results.append(compute())
        finally:
            torch.set_num_threads(before)
        return results

    return compute_twice


@pytest.fixture
def threads_asked_for(monkeypatch):
    """Lets a module have a team of four; lists the threads that it asks for."""

    def watch(module):
        asked_for = []

        class Noted(using_threads):
            def __init__(self, n):
                asked_for.append(n)
                super().__init__(n)

        monkeypatch.setattr(module, "using_threads", Noted)
        monkeypatch.setattr(module, "tuned_thread_count", lambda: 4)
        return asked_for

    return watch
