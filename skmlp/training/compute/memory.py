"""Memory: how tensors are aligned, and what the process keeps between batches."""

from functools import cache

import torch

# Bytes. Addresses that are equal modulo this number give equal bits from BLAS.
ALIGNMENT = 64

# glibc never raises its thresholds for more than 32 MiB, its own header included.
_LARGEST = 2**25 - 2**16


@cache
def keep_freed_memory() -> None:
    """Let feature maps lie where those of the batch before have lain.

    glibc gives blocks back to the system that are larger than any one freed so far, and
    what is free in excess of twice that; to get them again takes a page fault for every
    4 KiB. One block that nobody writes to raises both thresholds, for this process
    (mallopt(3), M_MMAP_THRESHOLD). Other allocators are indifferent, and so is glibc
    where the environment sets one of them, as it does in Dask's workers.
    """
    torch.empty(_LARGEST, dtype=torch.uint8)
