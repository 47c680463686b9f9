"""Logits of many rows: in chunks that bound the memory, the chunks in threads."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skmlp.training.compute.threads import single_threaded
from skmlp.training.data.batches import features, samples_per_chunk, slices_of_size
from skmlp.training.data.sources import Source
from skmlp.training.modules.introspection import widest_layer_size

# Values that an output activation takes at once.
_ACTIVATED = 2**18


def compute_logits(
    network: nn.Sequential, X: Any, change: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Return the network's output for every row of X, on the CPU.

    BLAS rounds differently with other numbers of threads. So every chunk is computed
    by one, and chunks side by side: bits depend neither on the threads there are nor on
    their number.

    Parameters
    ----------
    network : nn.Sequential
        In evaluation mode.
    X : ndarray, CSR matrix or Source of shape (n, features)
    change : callable or None
        Applied to the rows of every chunk.

    Returns
    -------
    logits : Tensor of shape (n, outputs)
        In the dtype of the network.
    """
    n_rows, n_features = X.shape
    widest = n_features if n_rows == 1 else widest_layer_size(network, n_features)
    size = samples_per_chunk(widest)
    if not isinstance(X, Source):
        return _compute(network, X, change, size)
    # In one piece: pieces kept from between the chunks' large arrays would keep
    # the allocator from using that memory again.
    outputs: Tensor | None = None
    for window in X.windows(np.arange(n_rows), size):
        in_turn = bool((window.positions[1:] > window.positions[:-1]).all())
        rows = window.X if in_turn else window.X[window.positions]
        part = _compute(network, rows, change, size)
        if outputs is None:
            outputs = part.new_empty((n_rows, *part.shape[1:]))
        outputs[window.order_slice] = part
    assert outputs is not None
    return outputs


def _compute(
    network: nn.Sequential,
    X: Any,
    change: Callable[[Tensor], Tensor] | None,
    size: int,
) -> Tensor:
    """Return the output for rows in memory, `size` of them at once."""
    first = next(network.parameters())

    def compute(part: slice) -> Tensor:
        with torch.inference_mode():
            x = features(X[part], first.dtype, first.device)
            return network(x if change is None else change(x)).cpu()

    first_part, *parts = slices_of_size(X.shape[0], size)
    workers = min(torch.get_num_threads(), len(parts))
    with single_threaded():
        output = compute(first_part)
        if not parts:
            return output
        outputs = output.new_empty((X.shape[0], *output.shape[1:]))
        outputs[first_part] = output

        def keep(part: slice) -> None:
            outputs[part] = compute(part)

        if workers == 1 or first.device.type != "cpu":
            for part in parts:
                keep(part)
        else:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(keep, parts))
    return outputs


def activate(logits: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    """Turn logits into predictions; many rows in place, some at a time.

    So these take no more memory than they need in the end.
    """
    size = max(1, _ACTIVATED // max(1, math.prod(logits.shape[1:])))
    if len(logits) <= size:
        return activation(logits)
    with torch.inference_mode():
        for part in slices_of_size(len(logits), size):
            logits[part] = activation(logits[part])
    return logits
