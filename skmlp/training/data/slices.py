"""How many samples or batches are gathered or computed at once."""

import torch

from skmlp.training.compute.memory import ALIGNMENT

# Maximum number of values of a chunk in its widest layer, by the type of the device. A
# chunk is large enough to use a device fully, and small enough to limit the memory.
_VALUES_PER_CHUNK = 2**21
_VALUES_PER_CUDA_CHUNK = 2**26

# Number of feature values that one call of index_select gathers. Several small batches
# are gathered by one call. The result still fits into the last-level cache.
_VALUES_PER_GATHER = 2**20


def batches_per_gather(values_per_batch: int, dtype: torch.dtype) -> int:
    """Return how many batches of `values_per_batch` feature values one call gathers."""
    # BLAS results can depend on the alignment of addresses. If the size of a batch is
    # no multiple of ALIGNMENT, each batch is gathered alone, so that it is aligned.
    if values_per_batch * dtype.itemsize % ALIGNMENT:
        return 1
    return max(1, _VALUES_PER_GATHER // max(1, values_per_batch))


def slices_of_size(n_samples: int, size: int) -> list[slice]:
    """Return slices of at most `size` samples.

    `sklearn.utils.gen_batches` returns the same. Its checks take longer than the
    prediction of a sample.
    """
    starts = range(0, n_samples, size)
    return [slice(start, min(start + size, n_samples)) for start in starts]


def samples_per_chunk(widest_layer: int, device_type: str = "cpu") -> int:
    """Return how many samples to compute at once, to limit the memory.

    `widest_layer` is the number of values of a sample in its widest layer.
    """
    is_cuda = device_type == "cuda"
    n_values = _VALUES_PER_CUDA_CHUNK if is_cuda else _VALUES_PER_CHUNK
    return max(1, n_values // max(1, widest_layer))
