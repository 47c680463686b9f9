"""`SimulatedCuda`, which replaces `torch.cuda` for the time of a test."""

import sys
from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Self

import torch

# It keeps the functions of torch that it finds at its import. A simulation that runs at
# that time would replace one of them for good.
import torch.utils._device
from torch import Tensor
from torch.utils._pytree import tree_leaves

from simulated_cuda.graphs import Capture, make_graph_class
from simulated_cuda.modes import DispatchMode, FunctionMode
from simulated_cuda.storages import (
    CPU,
    CaptureError,
    DeviceTags,
    SimulatedGenerator,
    with_index,
)
from simulated_cuda.streams import Event, Stream, Streams

_PACKAGE = "/skmlp/"

_real_autocast = torch.autocast
_real_restore_location = torch.serialization.default_restore_location
_real_stack_length = torch._C._len_torch_function_stack


@dataclass
class Record:
    """What the simulation has seen.

    Attributes
    ----------
    waits : Counter
        Numbers of copies and waits, by their kind and the line of `skmlp`. Copies from
        pinned memory with ``non_blocking=True`` do not wait.
    launches : Counter
        Numbers of kernels outside of graphs, by the name of the operation.
    graphs : list of list of str
        The names of the kernels of each recorded graph.
    replays : int
        Number of graph launches.
    replayed_kernels : int
        Number of kernels in these launches.
    """

    waits: Counter[tuple[str, str]] = field(default_factory=Counter)
    launches: Counter[str] = field(default_factory=Counter)
    graphs: list[list[str]] = field(default_factory=list)
    replays: int = 0
    replayed_kernels: int = 0

    def clear(self) -> None:
        """Forget everything."""
        self.waits.clear()
        self.launches.clear()
        self.graphs.clear()
        self.replays = self.replayed_kernels = 0

    @property
    def n_waits(self) -> int:
        """The number of copies and waits."""
        return self.waits.total()


class SimulatedCuda:
    """Context manager in which torch has simulated CUDA devices.

    Parameters
    ----------
    n_devices : int
        Number of devices.

    Attributes
    ----------
    record : Record
        What the simulation has seen.
    """

    def __init__(self, n_devices: int = 1) -> None:
        self.n_devices = n_devices
        self.tags = DeviceTags()
        self.pinned = DeviceTags()
        self.record = Record()
        self.capture: Capture | None = None
        self.streams = Streams(self)
        self._stack = ExitStack()

    def source_line(self) -> str:
        """Return the innermost two lines of `skmlp` on the stack."""
        frame, lines = sys._getframe(1), []
        while frame is not None and len(lines) < 2:
            _, found, path = frame.f_code.co_filename.rpartition(_PACKAGE)
            if found:
                lines.append(f"{path}:{frame.f_lineno}")
            frame = frame.f_back
        return " < ".join(lines) or "outside of skmlp"

    def note(self, kind: str) -> None:
        """Record a copy or a wait; a capture forbids it."""
        if self.capture is not None:
            line = self.source_line()
            raise CaptureError(f"{kind} while a graph is captured, at {line}")
        self.record.waits[kind, self.source_line()] += 1

    def tag(self, value: Any, device: torch.device) -> Any:
        """Tag all tensors of a value; return the value."""
        for tensor in tree_leaves(value):
            if isinstance(tensor, Tensor) and not tensor.is_meta:
                self.tags.add(tensor.untyped_storage(), device)
        return value

    def pin(self, tensor: Tensor) -> Tensor:
        """Return a copy in pinned memory, from which copies need not wait."""
        copied = tensor.clone()
        self.pinned.add(copied.untyped_storage(), CPU)
        return copied

    def __enter__(self) -> Self:
        missing = object()
        self.capture = None
        for owner, name, value in self._replacements():
            before = owner.__dict__.get(name, missing)
            setattr(owner, name, value)
            if before is missing:
                self._stack.callback(delattr, owner, name)
            else:
                self._stack.callback(setattr, owner, name, before)
        self._stack.enter_context(FunctionMode(self))
        self._stack.enter_context(DispatchMode(self))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        self.capture = None

    def _replacements(self) -> list[tuple[Any, str, Any]]:
        """Return the attributes to replace, as owner, name and value."""

        @contextmanager
        def graph(graph, pool=None, stream=None, capture_error_mode="global"):
            graph.begin()
            try:
                yield
            finally:
                graph.end()

        def autocast(device_type, dtype=None, **kwargs):
            return _real_autocast("cpu", dtype or torch.bfloat16, **kwargs)

        def restore_location(storage, location):
            if not str(location).startswith("cuda"):
                return _real_restore_location(storage, location)
            self.note("host to device (unpickled)")
            moved = storage.clone()
            device = with_index(torch.device(location))
            self.tags.add(getattr(moved, "_untyped_storage", moved), device)
            return moved

        def device_of(tensor):
            return self.tags.device_of(tensor)

        cuda = {
            "is_available": lambda: True,
            "device_count": lambda: self.n_devices,
            "current_device": lambda: 0,
            "is_initialized": lambda: True,
            "_lazy_init": lambda: None,
            "current_stream": lambda device=None: self.streams.current,
            "Stream": lambda device=None, **_: Stream(self, device),
            "Event": lambda **_: Event(self),
            "stream": self.streams.use,
            "device": lambda device: nullcontext(),
            "synchronize": lambda device=None: self.note("synchronize"),
            "empty_cache": lambda: None,
            "mem_get_info": lambda device=None: (2**33, 2**34),
            "memory_reserved": lambda device=None: 0,
            "memory_allocated": lambda device=None: 0,
            "max_memory_allocated": lambda device=None: 0,
            "reset_peak_memory_stats": lambda device=None: None,
            "default_generators": tuple(
                SimulatedGenerator(torch.device("cuda", i))
                for i in range(self.n_devices)
            ),
            "get_rng_state": lambda device=None: torch.zeros(16, dtype=torch.uint8),
            "is_current_stream_capturing": lambda: self.capture is not None,
            "get_device_name": lambda device=None: "simulated CUDA device",
            "set_sync_debug_mode": lambda mode: None,
            "CUDAGraph": make_graph_class(self),
            "graph": graph,
        }
        return [
            (torch.serialization, "default_restore_location", restore_location),
            (torch.Tensor, "device", property(device_of)),
            (torch.Tensor, "is_cuda", property(lambda t: device_of(t).type == "cuda")),
            (torch.Tensor, "is_cpu", property(lambda t: device_of(t).type == "cpu")),
            (torch.Tensor, "pin_memory", lambda tensor: self.pin(tensor)),
            (torch.Tensor, "record_stream", lambda tensor, stream: None),
            (torch, "Generator", SimulatedGenerator),
            (torch, "autocast", autocast),
            # skmlp switches the modes of a user off. The simulation is none of them.
            (torch._C, "_len_torch_function_stack", lambda: _real_stack_length() - 1),
            *((torch.cuda, name, value) for name, value in cuda.items()),
        ]
