"""How tensors are aligned, and what the process does with freed memory."""

import threading
from functools import cache

import torch
from torch import Tensor

from skmlp.training.compute.ambient_modes import inference_mode

# Bytes. The rounding of BLAS depends on addresses modulo this number.
ALIGNMENT = 64

# Number of values for which a thread keeps the memory of its temporaries.
_MAX_KEPT_VALUES = 2**18

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


_of_thread = threading.local()


def temporaries(like: Tensor, n: int) -> list[Tensor]:
    """Return `n` uninitialized tensors with shape, strides and dtype of `like`.

    The next call in the same thread may return the same memory, which is then still in
    the processor's cache. glibc would return memory that was used long ago. Writing to
    it takes up to ten times as long.
    """
    size = like.numel()
    is_kept = like.is_cpu and 0 < n * size <= _MAX_KEPT_VALUES
    if not is_kept or not (like.is_contiguous() or like.mT.is_contiguous()):
        return [torch.empty_like(like) for _ in range(n)]
    kept: dict[torch.dtype, Tensor] = vars(_of_thread).setdefault("kept", {})
    if like.dtype not in kept or len(kept[like.dtype]) < n * size:
        with inference_mode(False):  # its tensors could not be changed elsewhere
            kept[like.dtype] = torch.empty(n * size, dtype=like.dtype)
    memory = kept[like.dtype]
    return [
        memory[i * size : (i + 1) * size].as_strided(
            like.shape, like.stride(), i * size
        )
        for i in range(n)
    ]


class ReusedMemory:
    """The memory of one result, which is computed in every step of a training.

    On a CPU, each call returns the same tensor for the same shape. So the previous
    result must not be needed any more.
    """

    def __init__(self) -> None:
        self._tensor: Tensor | None = None

    def empty(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return an uninitialized tensor with dtype and device of `like`."""
        if not like.is_cpu:
            return like.new_empty(shape)
        tensor = self._tensor
        if tensor is None or tensor.shape != shape:
            with inference_mode(False):
                tensor = torch.empty(shape, dtype=like.dtype)
            self._tensor = tensor
        return tensor
