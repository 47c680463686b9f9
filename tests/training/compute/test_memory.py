"""Batches of one size take memory from the system once."""

import os
import subprocess
import sys

import pytest

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
def test_batches_of_one_size_take_memory_once():
    # Dask, in a test before, tells processes that are started to give memory back.
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
