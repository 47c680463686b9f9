"""Streams, events, and the copies that they order.

A copy from pinned memory ends at an unknown time. Two uses are races:

- The host changes the pinned memory before it has waited for the copy.
- Another stream uses the result before it has waited for the stream of the copy.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef


class RaceError(RuntimeError):
    """A use of memory that a copy may still read or write."""


@dataclass(eq=False)
class _Copy:
    """An asynchronous copy."""

    source: StorageWeakRef
    result: StorageWeakRef
    stream: "Stream"


def _is_storage_of(reference: StorageWeakRef, tensor: Tensor) -> bool:
    return (
        not reference.expired() and reference.cdata == tensor.untyped_storage()._cdata
    )


@dataclass(eq=False)
class Stream:
    """Stand-in for `torch.cuda.Stream`."""

    simulation: Any
    device: Any = None
    copies: list[_Copy] = field(default_factory=list)  # that have ended for this stream

    def wait_event(self, event: "Event") -> None:
        self.copies += event.copies

    def wait_stream(self, other: "Stream") -> None:
        self.copies += other.copies

    def synchronize(self) -> None:
        self.simulation.note("synchronize")
        self.simulation.streams.end(self.copies)


@dataclass(eq=False)
class Event:
    """Stand-in for `torch.cuda.Event`."""

    simulation: Any
    copies: list[_Copy] = field(default_factory=list)

    def record(self, stream: Stream) -> None:
        self.copies = list(stream.copies)

    def synchronize(self) -> None:
        self.simulation.streams.end(self.copies)


class Streams:
    """The current stream, and the copies that may not have ended."""

    def __init__(self, simulation: Any) -> None:
        self.default = self.current = Stream(simulation)
        self._unended: list[_Copy] = []  # for the host
        self._on_other_streams: list[_Copy] = []

    @contextmanager
    def use(self, stream: Stream) -> Iterator[None]:
        """Make a stream the current one."""
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    def begin_copy(self, source: Tensor, result: Tensor) -> None:
        """Note a copy on the current stream."""
        references = (StorageWeakRef(t.untyped_storage()) for t in (source, result))
        copy = _Copy(*references, self.current)
        self.current.copies.append(copy)
        self._unended = [c for c in self._unended if not c.source.expired()] + [copy]
        others = [c for c in self._on_other_streams if not c.result.expired()]
        self._on_other_streams = others
        if self.current is not self.default:
            others.append(copy)

    def end(self, copies: Iterable[_Copy]) -> None:
        """Note that the host has waited for copies."""
        ended = set(map(id, copies))
        self._unended = [c for c in self._unended if id(c) not in ended]

    def check_host_writes(self, written: list[Tensor], line: Callable[[], str]) -> None:
        """Raise if the host changes memory from which a copy may still read."""
        for copy in self._unended:
            if any(_is_storage_of(copy.source, t) for t in written):
                raise RaceError(f"memory is changed during its copy, at {line()}")

    def check_use(self, used: list[Tensor], line: Callable[[], str]) -> None:
        """Raise if the current stream has not waited for a copy that it uses."""
        for copy in self._on_other_streams:
            if copy.stream is self.current or copy in self.current.copies:
                continue
            if any(_is_storage_of(copy.result, t) for t in used):
                raise RaceError(f"a stream uses the result of another one, at {line()}")
