"""Thread counts are limited and restored, also by overlapping fits."""

import threading

import pytest
import scipy.linalg  # noqa: F401, which loads SciPy's BLAS
import torch
from threadpoolctl import ThreadpoolController

from skmlp.training.compute.threads import single_threaded, single_threaded_blas

pytestmark = pytest.mark.usefixtures("three_threads")


def number_in_a_new_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_single_threaded_limits_this_thread_and_new_threads():
    with single_threaded(), single_threaded():
        assert torch.get_num_threads() == number_in_a_new_thread() == 1
    assert torch.get_num_threads() == number_in_a_new_thread() == 3


def test_blas_is_limited_until_the_last_block_ends():
    pools = ThreadpoolController().select(prefix="libscipy_openblas")

    def threads():
        return [pool["num_threads"] for pool in pools.info()]

    with pools.limit(limits=2):
        before = threads()
        first, second = single_threaded_blas(), single_threaded_blas()
        first.__enter__()
        second.__enter__()
        first.__exit__()
        assert set(threads()) == {1}
        second.__exit__()
        assert threads() == before


def test_last_block_to_end_restores_the_first_count():
    entered, leave = threading.Event(), threading.Event()

    def overlap():
        with single_threaded():
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=overlap)
    with single_threaded():
        thread.start()
        assert entered.wait(60)
    assert torch.get_num_threads() == 3
    leave.set()
    thread.join()
    assert torch.get_num_threads() == number_in_a_new_thread() == 3
