"""How many threads a network deserves."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from skmlp.training.modules import Conv2d, evaluating, weight_layers

# Below this many multiplications an operation ends before a second thread has helped;
# and where other processes want the cores, waiting for that thread costs milliseconds.
_WORTH_SHARING = 20_000_000

# Numbers of threads that those found who compute on one now. A thread that starts
# meanwhile finds 1, and would leave it behind if it were the last.
_lock = threading.Lock()
_found: list[int] = []


def multiply_adds(network: nn.Sequential, n_features: int) -> int:
    """Return how many multiplications one row takes on its way to the logits."""
    layers = list(weight_layers(network))
    if not any(isinstance(layer, Conv2d) for layer in layers):
        return sum(layer.weight.numel() for layer in layers)
    count = 0

    def add(layer: nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal count
        positions = output[0, 0].numel() if output.dim() == 4 else 1
        count += positions * layer.weight.numel()  # type: ignore[operator]

    handles = [layer.register_forward_hook(add) for layer in layers]
    first = layers[0].weight
    with evaluating(network), torch.no_grad():
        network(torch.zeros(1, n_features, dtype=first.dtype, device=first.device))
    for handle in handles:
        handle.remove()
    return count


@contextmanager
def single_threaded() -> Iterator[None]:
    """Compute on one thread, here and in threads that are started meanwhile."""
    with _lock:
        before = torch.get_num_threads()
        _found.append(before)
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            first = _found[0]
            _found.pop()  # of their number, so that the first stays to the last
            torch.set_num_threads(before if _found else first)


def threads_for(work: int) -> AbstractContextManager[None]:
    """Compute on one thread if `work` multiplications are too few to be shared."""
    return nullcontext() if work >= _WORTH_SHARING else single_threaded()
