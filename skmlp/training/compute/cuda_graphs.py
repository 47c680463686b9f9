"""Record the work of training steps on a GPU once, then launch it by one call.

The kernels of a small network end sooner than Python can launch the next ones. A CUDA
graph holds all kernels of one step, or of many steps, and launches them together.
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

# The first steps allocate what later steps reuse: workspaces of BLAS, cached tensors.
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
    records the first kinds that are frequent. It records no others, because every graph
    holds memory of its own. The function has to meet three conditions:

    - It launches the same kernels for equal shapes and keys.
    - It reads no value of a tensor on the host.
    - The other tensors that it reads or writes keep their addresses.

    Parameters
    ----------
    get_generators : callable
        Returns the random generators that the function draws from. It is called before
        a recording.
    max_graphs : int
        Maximum number of recorded kinds.
    """

    def __init__(
        self,
        get_generators: Callable[[], Iterable[torch.Generator]],
        max_graphs: int = 1,
    ) -> None:
        self._get_generators = get_generators
        self._max_graphs = max_graphs
        self._n_steps: Counter[Hashable] = Counter()  # by kind
        self._recorded: dict[Hashable, _RecordedGraph] = {}  # by kind
        self._has_failed = False

    def call(
        self,
        function: Callable[..., tuple[Tensor, ...]],
        *inputs: Tensor,
        key: Hashable = None,
        n_steps: int = 1,
        repeats: int = 1,
        may_record: bool = True,
    ) -> tuple[Tensor, ...]:
        """Return the outputs of the function; the next call may overwrite them.

        Parameters
        ----------
        function : callable
            Computes tensors from the inputs.
        *inputs : Tensor
        key : hashable
            It has to differ if the function launches other kernels for inputs of equal
            shapes.
        n_steps : int
            Number of training steps in the function.
        repeats : int
            How often to call the function with the same inputs.
        may_record : bool
            Whether the function meets the conditions in this call.
        """
        kind = key, *(tensor.shape for tensor in inputs)
        for i in range(repeats):
            recorded = self._recorded.get(kind) if may_record else None
            if may_record and recorded is None and self._count_steps(kind, n_steps):
                recorded = self._try_to_record(function, inputs)
                if recorded is not None:
                    self._recorded[kind] = recorded
            if recorded is None:
                outputs = function(*inputs)
                continue
            if i == 0:  # all repeats have the same inputs
                torch._foreach_copy_(recorded.inputs, inputs)
            recorded.graph.replay()
            outputs = recorded.outputs
        return outputs

    def _count_steps(self, kind: Hashable, n_steps: int) -> bool:
        """Count the steps of a call; return whether to record its kind."""
        if self._has_failed or len(self._recorded) == self._max_graphs:
            return False
        is_frequent = self._n_steps[kind] >= CALLS_BEFORE_RECORDING
        if kind in self._n_steps or len(self._n_steps) < _MAX_COUNTED_KINDS:
            self._n_steps[kind] += n_steps
        return is_frequent

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


class SegmentRecorder(GraphRecorder):
    """Records segments: functions that take many training steps.

    The inputs of all segments of an epoch are copied to the inputs of the graph at
    once. The graph counts its launches, and selects the inputs of its segment. Each
    segment is therefore a single launch.

    Parameters
    ----------
    get_generators : callable
        Argument of `GraphRecorder`.
    device : torch.device
    max_graphs : int
        Maximum number of recorded kinds.
    """

    def __init__(
        self,
        get_generators: Callable[[], Iterable[torch.Generator]],
        device: torch.device,
        max_graphs: int,
    ) -> None:
        super().__init__(get_generators, max_graphs)
        self._segment = torch.zeros(1, dtype=torch.long, device=device)

    def call_segments(
        self,
        function: Callable[..., None],
        *inputs: Tensor,
        n_steps: int,
        key: Hashable = None,
        may_record: bool = True,
    ) -> None:
        """Call the function for each segment.

        Parameters
        ----------
        function : callable
            Takes the inputs of a segment, without the dimension of segments.
        *inputs : Tensor of shape (segments, ...)
        n_steps : int
            Number of steps in a segment.
        key : hashable
            Argument of `call`.
        may_record : bool
            Argument of `call`.
        """

        def call_next(*inputs: Tensor) -> tuple[Tensor, ...]:
            selected = [tensor.index_select(0, self._segment) for tensor in inputs]
            self._segment.add_(1)
            function(*(tensor.squeeze(0) for tensor in selected))
            return ()

        self._segment.zero_()
        self.call(
            call_next,
            *inputs,
            key=key,
            n_steps=n_steps,
            repeats=len(inputs[0]),
            may_record=may_record,
        )


def divide_into_segments(
    n_equal: int, n_steps: int, max_steps: int
) -> list[tuple[int, int]]:
    """Divide the steps of an epoch into segments.

    Parameters
    ----------
    n_equal : int
        Number of steps at the beginning of the epoch that launch the same kernels.
    n_steps : int
        Number of steps of the epoch.
    max_steps : int
        Maximum number of steps in a segment.

    Returns
    -------
    segments : list of (n_segments, n_steps)
        Numbers of equal segments, and numbers of steps in each of them. The steps that
        are left are in further segments.
    """
    if n_steps <= max_steps:
        return [(1, n_steps)]
    size = n_equal // -(-n_equal // max_steps)  # the divisor is rounded up
    n_segments = n_equal // size
    first_left = n_segments * size
    return [(n_segments, size)] + [
        (1, min(max_steps, n_steps - first))
        for first in range(first_left, n_steps, max_steps)
    ]


@cache
def _recording_stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream on which all graphs of a device are recorded."""
    return torch.cuda.Stream(device)
