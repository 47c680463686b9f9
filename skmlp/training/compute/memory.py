"""How tensors are aligned, and what the process does with freed memory."""

from functools import cache

import torch

# Bytes. BLAS gives equal bits for addresses that are equal modulo this number.
ALIGNMENT = 64

# Bytes. glibc raises its thresholds up to 32 MiB, its own header included.
_LARGEST_THRESHOLD = 2**25 - 2**16


@cache
def keep_freed_memory() -> None:
    """Let the feature maps of a batch reuse the memory of the batch before.

    glibc returns a freed block to the system if the block is larger than any one that
    was freed before. It also returns free memory in excess of twice that size. To get
    memory back takes a page fault for every 4 KiB. Allocating and freeing one block of
    32 MiB raises both thresholds for this process (mallopt(3), M_MMAP_THRESHOLD).

    - Other allocators are not affected.
    - glibc is not affected if the environment sets a threshold, as in Dask's workers.
    """
    torch.empty(_LARGEST_THRESHOLD, dtype=torch.uint8)
