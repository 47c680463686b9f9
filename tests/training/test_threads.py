"""Threads are put back, also by fits that overlap."""

import threading

import pytest
import torch

from skmlp.training.threads import single_threaded

pytestmark = pytest.mark.usefixtures("three_threads")


def number_in_a_new_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_one_thread_here_and_in_new_threads():
    with single_threaded(), single_threaded():
        assert torch.get_num_threads() == number_in_a_new_thread() == 1
    assert torch.get_num_threads() == number_in_a_new_thread() == 3


def test_whoever_ends_last_puts_back_what_the_first_found():
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
