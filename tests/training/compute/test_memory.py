"""Batches of one size reuse the memory of the batches before."""

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
