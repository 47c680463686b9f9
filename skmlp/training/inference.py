"""Compute logits in chunks, which limits the memory. Chunks run in parallel threads."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skmlp.training.compute.ambient_modes import in_default_modes, inference_mode
from skmlp.training.compute.threads import single_threaded
from skmlp.training.data.batches import (
    samples_per_chunk,
    slices_of_size,
    to_dense_aligned,
)
from skmlp.training.data.sources import Source
from skmlp.training.modules.introspection import (
    copy_sharing_weights,
    known_modules,
    max_values_per_sample,
    reference_parameter,
)

# Number of logits that an output activation gets at once.
_LOGITS_PER_CHUNK = 2**18


@in_default_modes
def forward_in_chunks(
    network: nn.Module, X: Any, transform: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Return the output of a network, or of its first layers, for every sample of X.

    The rounding of BLAS depends on the number of threads. Each chunk is therefore
    computed by one thread, and several chunks run at the same time. The result is
    exactly equal for any number of threads.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    X : ndarray, CSR matrix or Source of shape (n, features)
    transform : callable or None
        Function that is applied to the samples of every chunk before the network.

    Returns
    -------
    logits : Tensor of shape (n, outputs)
        On the CPU, in the dtype of the network.
    """
    n_samples, n_features = X.shape
    widest = (
        n_features if n_samples == 1 else max_values_per_sample(network, n_features)
    )
    size = samples_per_chunk(widest)
    if not isinstance(X, Source):
        return _compute(network, X, transform, size)
    # All outputs are in one array. Many small arrays would fragment the memory.
    outputs: Tensor | None = None
    for window in X.windows(np.arange(n_samples), size):
        in_order = bool((window.positions[1:] > window.positions[:-1]).all())
        samples = window.X if in_order else window.X[window.positions]
        output = _compute(network, samples, transform, size)
        if outputs is None:
            outputs = output.new_empty((n_samples, *output.shape[1:]))
        outputs[window.order_slice] = output
    assert outputs is not None
    return outputs


def _compute(
    network: nn.Module,
    X: Any,
    transform: Callable[[Tensor], Tensor] | None,
    size: int,
) -> Tensor:
    """Return the output for samples in memory, in chunks of `size` samples."""
    first = reference_parameter(network)

    def compute(chunk: slice, network: nn.Module = network) -> Tensor:
        with inference_mode(True):
            x = to_dense_aligned(X[chunk], first.dtype, first.device)
            return network(x if transform is None else transform(x)).cpu()

    first_chunk, *chunks = slices_of_size(X.shape[0], size)
    n_threads = min(torch.get_num_threads(), len(chunks))
    with single_threaded():
        output = compute(first_chunk)
        if not chunks:
            return output
        outputs = output.new_empty((X.shape[0], *output.shape[1:]))
        outputs[first_chunk] = output

        free_networks: SimpleQueue[nn.Module] = SimpleQueue()

        def fill(chunk: slice) -> None:
            free = free_networks.get()
            outputs[chunk] = compute(chunk, free)
            free_networks.put(free)

        if n_threads == 1 or first.device.type != "cpu":
            free_networks.put(network)
            for chunk in chunks:
                fill(chunk)
        else:
            # A user's module may store values between the calls of its parts.
            is_known = known_modules(network) is not None
            for _ in range(n_threads):
                free_networks.put(
                    network if is_known else copy_sharing_weights(network)
                )
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(fill, chunks))
    return outputs


@in_default_modes
def activate(logits: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply the output activation. To save memory, many logits are overwritten."""
    size = max(1, _LOGITS_PER_CHUNK // max(1, math.prod(logits.shape[1:])))
    if len(logits) <= size:
        return activation(logits)
    with inference_mode(True):
        for chunk in slices_of_size(len(logits), size):
            logits[chunk] = activation(logits[chunk])
    return logits
