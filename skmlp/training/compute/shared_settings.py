"""Settings of the whole process that fits in several threads change at the same time.

Ctrl-C may come after a block has changed a setting, but before Python knows that it has
to leave the block. No context manager in Python can prevent that. So every setting
remembers which thread opened a block, and `close_blocks` closes the blocks that an
interrupted thread left open (see `skmlp.training.compute.ambient_modes`).
"""

import os
import threading
from collections.abc import Callable
from threading import get_ident
from typing import Any, ClassVar, Generic, TypeVar

T = TypeVar("T")


class SharedSetting(Generic[T]):
    """A context manager that changes a setting as long as any block is open.

    The first block that opens changes the setting. The last block that closes restores
    it. An object may be entered many times, from any thread.

    Parameters
    ----------
    read : callable
        Returns the present value.
    write : callable
        Sets a value.
    value : object
        The value within blocks.
    is_per_thread : bool
        Whether each thread has a value of its own, in addition to the value for new
        threads. A thread then gets its value back when its own block closes.

    Attributes
    ----------
    value_before : object
        The value before the first open block. It has no meaning without open blocks.
    lock : Lock
        Held while blocks open and close.
    all : list of SharedSetting
        All settings of the process.
    """

    all: ClassVar[list["SharedSetting[Any]"]] = []

    def __init__(
        self,
        read: Callable[[], T],
        write: Callable[[T], None],
        value: T,
        is_per_thread: bool = False,
    ) -> None:
        self._read = read
        self._write = write
        self._value = value
        self._is_per_thread = is_per_thread
        self.lock = threading.Lock()
        self._blocks: list[tuple[int, T]] = []  # thread, and its value before
        self.value_before: T = value
        self.all.append(self)

    def __enter__(self) -> None:
        with self.lock:
            before = self._read()
            if not self._blocks:
                self.value_before = before
            # The block is registered first: it can then be closed after Ctrl-C.
            self._blocks.append((get_ident(), before))
            self._write(self._value)

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self._close_last_block()

    def count_blocks(self) -> int:
        """Return how many blocks of this thread are open."""
        if not self._blocks:
            return 0
        this_thread = get_ident()
        return sum(thread == this_thread for thread, _ in list(self._blocks))

    def close_blocks(self, n_open: int) -> None:
        """Close blocks of this thread until `n_open` blocks of it are open."""
        while self.count_blocks() > n_open:
            self.__exit__()

    def is_only_block(self) -> bool:
        """Return whether one block is open, and this thread opened it.

        The caller holds the lock.
        """
        blocks = self._blocks
        return len(blocks) == 1 and blocks[0][0] == get_ident()

    def _close_last_block(self) -> None:
        """Close the last block that this thread opened."""
        this_thread = get_ident()
        last = len(self._blocks) - 1
        while last >= 0 and self._blocks[last][0] != this_thread:
            last -= 1
        if last < 0:
            return
        # The value is written first: the block can then be closed again after Ctrl-C.
        if len(self._blocks) == 1:
            self._write(self.value_before)
        elif self._is_per_thread:
            self._write(self._blocks[last][1])
        del self._blocks[last]

    def reset_in_child(self) -> None:
        """Drop the blocks of threads that do not exist in a forked process."""
        self.lock = threading.Lock()
        blocks = [block for block in self._blocks if block[0] == get_ident()]
        if self._blocks and not blocks:
            self._write(self.value_before)
        self._blocks = blocks

    def set_restored_values(self, value: T) -> None:
        """Let all open blocks restore `value` when they close."""
        self.value_before = value
        self._blocks = [(thread, value) for thread, _ in self._blocks]


def _reset_all_in_child() -> None:
    for setting in SharedSetting.all:
        setting.reset_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_reset_all_in_child)
