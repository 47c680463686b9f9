"""Stand-in for CUDA graphs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from simulated_cuda.operations import (
    generators_of,
    launches_kernel,
    name_of,
    returns_view,
    written_tensors,
)
from simulated_cuda.storages import CPU, CaptureError, generator_device

_thread = threading.local()


@contextmanager
def unseen() -> Iterator[None]:
    """Call torch without the simulation."""
    before = is_unseen()
    _thread.unseen = True
    try:
        with (
            torch.no_grad(),
            torch._C.DisableTorchFunction(),
            torch._C._DisableTorchDispatch(),
        ):
            yield
    finally:
        _thread.unseen = before


def is_unseen() -> bool:
    """Return whether the simulation is switched off in this thread."""
    return getattr(_thread, "unseen", False)


class Capture:
    """The operations of a graph.

    A capture computes nothing on CUDA. The stand-in computes, and then restores the
    tensors and the generators that the operations changed.
    """

    def __init__(self, generators: list[Any]) -> None:
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self._generators = generators
        self._states = [(g, g.get_state()) for g in generators]
        self._contents: dict[int, tuple[Tensor, Tensor]] = {}  # before, by storage
        self._created: set[int] = set()  # storages
        self._kept: list[Any] = []  # tensors without content

    def before(self, operation: Any, args: Any, kwargs: Any) -> None:
        """Check an operation, and remember what it will change."""
        generators = generators_of(args, kwargs)
        registered = {g._cdata for g in self._generators}
        if any(g._cdata not in registered for g in generators):
            raise CaptureError(f"{operation} draws from an unregistered generator")
        is_random = torch.Tag.nondeterministic_seeded in operation.tags
        if is_random and not generators:
            raise CaptureError(f"{operation} draws from a global generator")
        for tensor in written_tensors(operation, args, kwargs):
            storage = tensor.untyped_storage()
            if storage._cdata in self._contents or storage._cdata in self._created:
                continue
            content = torch.empty(0, dtype=torch.uint8).set_(storage)
            self._contents[storage._cdata] = content, content.clone()

    def after(self, operation: Any, args: Any, kwargs: Any, result: Any) -> None:
        """Record an operation."""
        if returns_view(operation):
            self._kept.append(result)
            return
        written = {id(t) for t in written_tensors(operation, args, kwargs)}
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and id(tensor) not in written:
                self._created.add(tensor.untyped_storage()._cdata)
        if launches_kernel(operation):
            self.operations.append((operation, args, kwargs, result))
        else:
            self._kept.append(result)

    def undo(self) -> None:
        """Restore tensors and generators."""
        with unseen():
            for tensor, content in self._contents.values():
                tensor.copy_(content)
            for generator, state in self._states:
                generator.set_state(state)


def make_graph_class(simulation: Any) -> type:
    """Return the stand-in for `torch.cuda.CUDAGraph`."""

    class CUDAGraph:
        def __init__(self, keep_graph: bool = False) -> None:
            self._operations: list[Any] = []
            self._generators: list[Any] = []

        def register_generator_state(self, generator: Any) -> None:
            if torch.is_inference_mode_enabled():
                raise CaptureError("a generator is registered in inference mode")
            if generator_device(generator) == CPU:
                raise CaptureError("a generator of the CPU is registered")
            self._generators.append(generator)

        def begin(self) -> None:
            if simulation.capture is not None:
                raise CaptureError("two captures at once")
            simulation.capture = Capture(self._generators)

        def end(self) -> None:
            capture, simulation.capture = simulation.capture, None
            capture.undo()
            self._operations = capture.operations
            names = [name_of(operation) for operation, *_ in self._operations]
            simulation.record.graphs.append(names)

        def replay(self) -> None:
            simulation.record.replays += 1
            simulation.record.replayed_kernels += len(self._operations)
            with unseen():
                for operation in self._operations:
                    _repeat(*operation)

        def reset(self) -> None:
            self._operations = []

        def pool(self) -> tuple[int, int]:
            return 0, 0

    return CUDAGraph


def _repeat(operation: Any, args: Any, kwargs: Any, result: Any) -> None:
    """Call an operation again, and write the results into the old tensors."""
    new_result = operation(*args, **kwargs)
    written = {id(t) for t in written_tensors(operation, args, kwargs)}
    pairs = zip(tree_leaves(result), tree_leaves(new_result), strict=True)
    for old, new in pairs:
        if not isinstance(old, Tensor) or id(old) in written or not old.numel():
            continue
        if old.data_ptr() != new.data_ptr():
            old.copy_(new)
