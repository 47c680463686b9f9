"""Work that a GPU repeats: recorded once, then launched as a whole.

The kernels of small networks end sooner than Python launches the next ones. A CUDA
graph launches all of a step's by one call.
"""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from skmlp.training.modules import Dropout

# The first calls make what later ones find: workspaces of BLAS, shares of batches.
CALLS_BEFORE = 3

# torch records for one thread at a time.
_recording = threading.Lock()


class _Recording(NamedTuple):
    """What was launched, from where it reads and to where it writes."""

    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]
    outputs: tuple[Tensor, ...]


class Recordings:
    """What a function of tensors launches, recorded where it is called often.

    The function is to do the same to equal shapes, to ask no tensor for its value, and
    to find what else it reads or writes at its former address.

    Parameters
    ----------
    networks : iterable of nn.Module
        Whose dropout the function draws.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        self._layers = [layer for network in networks for layer in network.modules()]
        self._calls: Counter[Hashable] = Counter()
        self._made: dict[Hashable, _Recording] = {}

    def call(
        self,
        function: Callable[..., tuple[Tensor, ...]],
        *inputs: Tensor,
        key: Hashable = None,
    ) -> tuple[Tensor, ...]:
        """Return the function's value, which the next call may overwrite.

        `key` is what decides, beside the inputs' shapes, what the function does.
        """
        key = key, *(tensor.shape for tensor in inputs)
        if key not in self._made:
            self._calls[key] += 1
            if self._calls[key] <= CALLS_BEFORE:
                return function(*inputs)
            self._made[key] = self._record(function, inputs)
        recording = self._made[key]
        torch._foreach_copy_(recording.inputs, inputs)
        recording.graph.replay()
        return recording.outputs

    def _record(
        self,
        function: Callable[..., tuple[Tensor, ...]],
        inputs: Iterable[Tensor],
    ) -> _Recording:
        """Record a call, which computes nothing yet."""
        own = [tensor.clone() for tensor in inputs]
        graph, device = torch.cuda.CUDAGraph(), own[0].device
        stream = _stream(device)
        for generator in {
            layer.generator for layer in self._layers if isinstance(layer, Dropout)
        } - {None}:
            graph.register_generator_state(generator)
        with (
            _recording,
            torch.cuda.device(device),
            torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
        ):
            outputs = function(*own)
        # torch resets the generators' places on that stream, a replay sets them here.
        torch.cuda.current_stream(device).wait_stream(stream)
        return _Recording(graph, own, outputs)


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream that all recordings on a device are made on."""
    return torch.cuda.Stream(device)
