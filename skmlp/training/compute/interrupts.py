"""Ctrl-C while a network trains: it can wait, and it differs from a callback's wish.

A skorch callback raises KeyboardInterrupt to end training. A user who presses Ctrl-C
raises the same exception, at any moment. `InterruptWatch` tells the two apart, and
delays Ctrl-C while a fit is between two states: while the record of an epoch is
incomplete, and after the last epoch until `fit` returns.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

# The watches that have begun and not ended, the innermost one last. All belong to the
# main thread, because Python raises no KeyboardInterrupt in other ones.
_watches: list["InterruptWatch"] = []


class InterruptWatch:
    """Handles Ctrl-C until the previous handler receives it, or until `end`.

    Attributes
    ----------
    seen : bool
        Whether Ctrl-C was pressed.
    waits : bool
        Whether Ctrl-C has to wait for `stop_waiting`. Pressed again, it acts at once.
    is_pending : bool
        Whether Ctrl-C was pressed and waits.
    waits_after_training : bool
        Whether Ctrl-C waits from the end of the last epoch on. The owner of the watch
        then has to look at `seen`.
    """

    def __init__(self) -> None:
        self.seen = False
        self.waits = False
        self.is_pending = False
        self.waits_after_training = False
        self._before: Any = None

    def begin(self) -> None:
        """Handle Ctrl-C from now on."""
        if threading.current_thread() is not threading.main_thread():
            return
        before = signal.getsignal(signal.SIGINT)
        if callable(before):  # else the process ignores Ctrl-C or dies of it
            self._before = before
            _watches.append(self)
            signal.signal(signal.SIGINT, self._handle)

    def end(self) -> None:
        """Reinstall the previous signal handler."""
        if self._before is None:
            return
        if self in _watches:
            _watches.remove(self)
        self._reinstall_previous_handler()

    def stop_waiting(self) -> None:
        """Let Ctrl-C act from now on, also if it was pressed while it had to wait."""
        self.waits = False
        if self.is_pending:
            self.is_pending = False
            signal.raise_signal(signal.SIGINT)

    def release_between_epochs(self, is_last: bool) -> None:
        """Let Ctrl-C act after an epoch, unless it waits after the last one."""
        if not (is_last and self.waits_after_training):
            self.stop_waiting()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        if self.waits and not self.is_pending:
            self.is_pending = True
            return
        # First, because Ctrl-C may have interrupted `end` before it had reinstalled the
        # previous handler.
        self._reinstall_previous_handler()
        self._before(number, frame)

    def _reinstall_previous_handler(self) -> None:
        if signal.getsignal(signal.SIGINT) == self._handle:
            signal.signal(signal.SIGINT, self._before)


@contextmanager
def delayed_interrupt() -> Iterator[None]:
    """Let Ctrl-C wait until the end of the block. Pressed again, it acts at once.

    Blocks that change a global state need it. An interrupt may arrive after the change,
    but before Python knows that it has to leave the block.
    """
    watch = InterruptWatch()
    watch.waits = True
    try:
        watch.begin()
        yield
    finally:
        try:
            watch.stop_waiting()
        finally:
            watch.end()


def raise_lost_interrupt() -> None:
    """Raise a KeyboardInterrupt that Python has dropped.

    Python drops exceptions that are raised while it deletes an object.
    """
    watch = current_watch()
    if watch is not None and watch.seen and not watch.is_pending:
        raise KeyboardInterrupt


def ended_by_interrupt(function: F) -> F:
    """Let Ctrl-C end the function with a KeyboardInterrupt, in any case."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        watch = InterruptWatch()
        try:
            watch.begin()
            result = function(*args, **kwargs)
            raise_lost_interrupt()
            return result
        finally:
            watch.end()

    return call  # type: ignore[return-value]


def current_watch() -> InterruptWatch | None:
    """Return the innermost watch of this thread."""
    is_main = threading.current_thread() is threading.main_thread()
    return _watches[-1] if is_main and _watches else None
