"""What tests of threads share: a team beside one thread, and the threads asked for."""

import pytest
import torch

from skmlp.training.team import Team
from skmlp.training.threads import on_threads, single_threaded


@pytest.fixture
def alone_and_together():
    """Computes something on one thread, then with a team of many."""

    def compute_twice(n_threads, compute):
        results = []
        before = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        try:
            with single_threaded(), Team(n_threads) as team:
                for size in (1, n_threads):
                    team.take(size)
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

        class Noted(on_threads):
            def __init__(self, n):
                asked_for.append(n)
                super().__init__(n)

        monkeypatch.setattr(module, "on_threads", Noted)
        monkeypatch.setattr(module, "team_size", lambda: 4)
        return asked_for

    return watch
