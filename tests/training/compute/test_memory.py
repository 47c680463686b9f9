"""Batches of one size reuse the memory of the batches before."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from skmlp.training.compute.memory import ReusedMemory, temporaries

SCRIPT = """
import resource
import torch
from skmlp.training.compute.memory import keep_freed_memory

def maps():
    return [torch.ones(2**20) for _ in range(8)]

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        maps()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
keep_freed_memory()
maps()
print(before, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' allocators differ")
def test_batches_of_one_size_reuse_their_memory():
    # Dask sets an environment variable for new processes that releases memory.
    env = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env=env,
    )
    before, after = map(int, done.stdout.split())
    if before < 1000:
        pytest.skip("this allocator keeps what is freed")
    assert after < before / 10


@pytest.mark.parametrize("transposed", [False, True])
def test_temporaries_have_the_layout_of_the_tensor_and_do_not_overlap(transposed):
    like = torch.zeros(3, 4, 5)
    like = like.mT if transposed else like
    first, second = temporaries(like, 2)
    assert first.shape == second.shape == like.shape
    assert first.stride() == second.stride() == like.stride()
    first.fill_(1.0), second.fill_(2.0)
    assert (first == 1.0).all()


def test_temporaries_of_a_thread_use_the_same_memory():
    like = torch.zeros(3, 4, 5)
    (here,) = temporaries(like, 1)
    assert temporaries(like, 1)[0].data_ptr() == here.data_ptr()
    with ThreadPoolExecutor(1) as pool:
        (there,) = pool.submit(temporaries, like, 1).result()
    assert there.data_ptr() != here.data_ptr()


def test_temporaries_of_inference_mode_can_be_changed_outside():
    like = torch.zeros(2, 3)
    with torch.inference_mode():
        (inside,) = temporaries(like, 1)
    inside.add_(1.0)
    assert not inside.is_inference()


def test_result_of_an_equal_shape_has_the_memory_of_the_previous_one():
    memory, like = ReusedMemory(), torch.zeros(1)
    first = memory.empty((2, 3), like)
    assert memory.empty((2, 3), like) is first
    assert memory.empty((3, 3), like).shape == (3, 3)
