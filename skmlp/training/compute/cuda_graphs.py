"""Work that a GPU repeats: recorded once, then launched as a whole.

The kernels of small networks end sooner than Python launches the next ones. A CUDA
graph launches all of a step's by one call.
"""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

# The first calls make what later ones find: workspaces of BLAS, shares of batches.
CALLS_BEFORE_RECORDING = 3

# Kinds of calls that are counted; of more, none may come often.
_MOST_KINDS = 64

# torch records for one thread at a time.
_one_at_a_time = threading.Lock()


class _RecordedGraph(NamedTuple):
    """What was launched, from where it reads and to where it writes."""

    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]
    outputs: tuple[Tensor, ...]


class GraphRecorder:
    """Records what a function of tensors launches, once the same call has come often.

    The function is to do the same to equal shapes, to ask no tensor for its value, and
    to find what else it reads or writes at its former address. The first kind of call
    that comes often is recorded, and no other: a recording keeps its memory.

    Parameters
    ----------
    generators : callable
        Returns the generators that the function draws from. It is called before the
        recording.
    """

    def __init__(self, generators: Callable[[], Iterable[torch.Generator]]) -> None:
        self._generators = generators
        self._calls: Counter[Hashable] = Counter()
        self._kind: Hashable = None
        self._recording: _RecordedGraph | None = None

    def call(
        self,
        function: Callable[..., tuple[Tensor, ...]],
        *inputs: Tensor,
        key: Hashable = None,
    ) -> tuple[Tensor, ...]:
        """Return the function's value, which the next call may overwrite.

        `key` is what decides, beside the inputs' shapes, what the function does.
        """
        kind = key, *(tensor.shape for tensor in inputs)
        if self._recording is None and self._comes_often(kind):
            self._kind, self._recording = kind, self._record(function, inputs)
        if self._recording is None or kind != self._kind:
            return function(*inputs)
        torch._foreach_copy_(self._recording.inputs, inputs)
        self._recording.graph.replay()
        return self._recording.outputs

    def _comes_often(self, kind: Hashable) -> bool:
        """Count a call; return whether as many came before as it takes."""
        if kind in self._calls or len(self._calls) < _MOST_KINDS:
            self._calls[kind] += 1
        return self._calls[kind] > CALLS_BEFORE_RECORDING

    def _record(
        self, function: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor]
    ) -> _RecordedGraph:
        """Record a call, which computes nothing yet."""
        graph, device = torch.cuda.CUDAGraph(), inputs[0].device
        stream = _stream(device)
        with (
            _one_at_a_time,
            torch.cuda.device(device),
            # What fails while torch records would leave its stream in place.
            torch.cuda.stream(torch.cuda.current_stream(device)),
            # Generators' tensors are made now, and changed outside of that mode too.
            torch.inference_mode(False),
        ):
            for generator in self._generators():
                graph.register_generator_state(generator)
            own = [tensor.clone() for tensor in inputs]
            with torch.cuda.graph(
                graph, stream=stream, capture_error_mode="thread_local"
            ):
                outputs = function(*own)
        # torch resets the generators' places on that stream, a replay sets them here.
        torch.cuda.current_stream(device).wait_stream(stream)
        return _RecordedGraph(graph, own, outputs)


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream that all recordings on a device are made on."""
    return torch.cuda.Stream(device)
