"""Parts of a result that several threads compute."""

import os
import threading

import pytest
import torch

from skmlp.training.compute.thread_pool import for_each


@pytest.mark.parametrize("n_threads", [1, 3])
def test_every_part_is_computed_once(n_threads):
    computed = []
    for_each(computed.append, range(20), n_threads)
    assert sorted(computed) == list(range(20))


def test_torch_computes_a_part_on_one_thread():
    before, counts = torch.get_num_threads(), []
    for_each(lambda _: counts.append(torch.get_num_threads()), range(8), 2)
    assert counts == [1] * 8
    assert torch.get_num_threads() == before


def test_threads_help_at_the_same_time():
    meeting = threading.Barrier(3, timeout=60)  # passed only by three threads at once
    for_each(lambda _: meeting.wait(), range(3), 3)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_error_ends_the_work(n_threads):
    begun = []

    def fail(part):
        begun.append(part)
        raise ZeroDivisionError(part)

    with pytest.raises(ZeroDivisionError):
        for_each(fail, range(100), n_threads)
    assert len(begun) <= n_threads


def test_error_of_another_thread_is_raised():
    meeting = threading.Barrier(2, timeout=60)
    this_thread = threading.get_ident()

    def fail_elsewhere(_):
        meeting.wait()
        if threading.get_ident() != this_thread:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        for_each(fail_elsewhere, range(2), 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_forked_process_starts_threads_of_its_own():
    for_each(lambda _: None, range(4), 2)
    child = os.fork()
    if child == 0:
        computed = []
        for_each(computed.append, range(4), 2)
        os._exit(0 if sorted(computed) == [0, 1, 2, 3] else 1)
    assert os.waitpid(child, 0)[1] == 0
