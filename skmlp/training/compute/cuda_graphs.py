"""Record the work of a training step on a GPU once, then launch it by one call.

The kernels of a small network end sooner than Python can launch the next ones. A CUDA
graph holds all kernels of a step and launches them together.
"""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from skmlp._warnings import warn
from skmlp.training.compute.ambient_modes import inference_mode

# The first calls allocate what later calls reuse: workspaces of BLAS, cached tensors.
CALLS_BEFORE_RECORDING = 3

# Maximum number of kinds of calls that are counted. With so many kinds, no kind is
# likely to be frequent.
_MAX_COUNTED_KINDS = 64

# torch can record in one thread at a time.
_recording_lock = threading.Lock()


class _RecordedGraph(NamedTuple):
    """A CUDA graph with the tensors that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]
    outputs: tuple[Tensor, ...]


class GraphRecorder:
    """Records a function of tensors as a CUDA graph, and calls the graph.

    The kind of a call consists of its key and the shapes of its inputs. The recorder
    records the first kind that is frequent. It records no other kind, because every
    graph holds memory of its own. The function has to meet three conditions:

    - It launches the same kernels for equal shapes and keys.
    - It reads no value of a tensor on the host.
    - The other tensors that it reads or writes keep their addresses.

    Parameters
    ----------
    get_generators : callable
        Returns the random generators that the function draws from. It is called before
        a recording.
    """

    def __init__(self, get_generators: Callable[[], Iterable[torch.Generator]]) -> None:
        self._get_generators = get_generators
        self._n_calls: Counter[Hashable] = Counter()  # by kind
        self._recorded_kind: Hashable = None
        self._recorded: _RecordedGraph | None = None
        self._has_failed = False

    def call(
        self,
        function: Callable[..., tuple[Tensor, ...]],
        *inputs: Tensor,
        key: Hashable = None,
    ) -> tuple[Tensor, ...]:
        """Return the outputs of the function; the next call may overwrite them.

        `key` has to differ if the function launches other kernels for inputs of equal
        shapes.
        """
        kind = key, *(tensor.shape for tensor in inputs)
        if self._recorded is None and self._count_call(kind):
            self._recorded_kind = kind
            self._recorded = self._try_to_record(function, inputs)
        if self._recorded is None or kind != self._recorded_kind:
            return function(*inputs)
        torch._foreach_copy_(self._recorded.inputs, inputs)
        self._recorded.graph.replay()
        return self._recorded.outputs

    def _count_call(self, kind: Hashable) -> bool:
        """Count a call; return whether its kind occurred often enough to record it."""
        if self._has_failed:
            return False
        if kind in self._n_calls or len(self._n_calls) < _MAX_COUNTED_KINDS:
            self._n_calls[kind] += 1
        return self._n_calls[kind] > CALLS_BEFORE_RECORDING

    def _try_to_record(
        self, function: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor]
    ) -> _RecordedGraph | None:
        """Record a call; warn and return None if CUDA cannot record it.

        A layer or a loss of a subclass may wait for the GPU, which a graph cannot.
        """
        try:
            return self._record(function, inputs)
        except RuntimeError as error:
            self._has_failed = True
            warn(
                f"A training step could not be recorded as a CUDA graph ({error}). "
                "Training continues without the graph, which is slower.",
                RuntimeWarning,
            )
            return None

    def _record(
        self, function: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor]
    ) -> _RecordedGraph:
        """Record a call as a graph; torch computes nothing during the recording."""
        graph, device = torch.cuda.CUDAGraph(), inputs[0].device
        stream = _recording_stream(device)
        with (
            _recording_lock,
            torch.cuda.device(device),
            # Restores the current stream if the recording fails.
            torch.cuda.stream(torch.cuda.current_stream(device)),
            # torch creates state tensors of the generators here. It also changes them
            # outside inference mode, so they must not be inference tensors.
            inference_mode(False),
        ):
            for generator in self._get_generators():
                graph.register_generator_state(generator)
            own_inputs = [tensor.clone() for tensor in inputs]
            with torch.cuda.graph(
                graph, stream=stream, capture_error_mode="thread_local"
            ):
                outputs = function(*own_inputs)
        # torch resets the generators' offsets on the recording stream. A replay sets
        # them on the current stream, which has to wait.
        torch.cuda.current_stream(device).wait_stream(stream)
        return _RecordedGraph(graph, own_inputs, outputs)


@cache
def _recording_stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream on which all graphs of a device are recorded."""
    return torch.cuda.Stream(device)
