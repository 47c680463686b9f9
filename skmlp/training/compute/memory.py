"""How tensors are aligned, and what the process does with freed memory."""

from functools import cache

import torch

# Bytes. The rounding of BLAS depends on addresses modulo this number.
ALIGNMENT = 64

# Bytes. Largest block for which glibc raises its thresholds: 32 MiB minus its header.
_LARGEST_THRESHOLD = 2**25 - 2**16


@cache
def keep_freed_memory() -> None:
    """Stop glibc from returning the freed memory of a batch to the system.

    The next batch can then reuse the memory without page faults. glibc sets its
    threshold for large blocks to the size of the largest freed block, at most 32 MiB
    (mallopt(3), M_MMAP_THRESHOLD). This function allocates and frees a block of this
    size, once in a process.

    - Other allocators are not affected.
    - glibc is not affected if the environment sets a threshold, as in Dask's workers.
    """
    torch.empty(_LARGEST_THRESHOLD, dtype=torch.uint8)
