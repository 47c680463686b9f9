"""A progress bar that is shown only in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


class ProgressBar:
    """Progress bar of a rich display, with the interface that pooch expects."""

    def __init__(self, display: Progress, description: str, total: int) -> None:
        self._display = display
        self._task = display.add_task(description, total=total)

    @property
    def total(self) -> float | None:
        """The amount at which the bar is full."""
        return self._display.tasks[0].total  # the display has one task

    @total.setter
    def total(self, total: float) -> None:
        self._display.update(self._task, total=total)

    def update(self, n: float) -> None:
        """Advance the bar by an amount."""
        self._display.advance(self._task, n)

    def reset(self) -> None:
        """Set the bar to zero."""
        self._display.reset(self._task)

    def close(self) -> None:
        """Draw the bar for the last time."""
        self._display.stop()


@contextmanager
def progress_bar(
    description: str,
    total: int,
    *,
    in_bytes: bool = False,
    enabled: bool = True,
    console: Console | None = None,
) -> Iterator[ProgressBar | None]:
    """Show a progress bar during the block, if stderr is a terminal.

    Parameters
    ----------
    description : str
        Text in front of the bar.
    total : int
        The amount at which the bar is full.
    in_bytes : bool, default=False
        If True, amounts are shown in kB, MB or GB, with the speed.
    enabled : bool, default=True
        If False, no bar is shown.
    console : rich.console.Console, default=None
        Where to draw the bar. If None, it is stderr.

    Yields
    ------
    bar : ProgressBar or None
        The bar, or None if no bar is shown.
    """
    if not enabled:
        yield None
        return
    from rich import progress
    from rich.console import Console

    console = console or Console(stderr=True)
    # With FORCE_COLOR, rich treats a pipe as a terminal. So `isatty` is checked too.
    if not (console.is_interactive and console.file.isatty()):
        yield None
        return
    amounts: list[progress.ProgressColumn] = (
        [progress.DownloadColumn(), progress.TransferSpeedColumn()]
        if in_bytes
        else [progress.MofNCompleteColumn()]
    )
    display = progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        *amounts,
        progress.TimeRemainingColumn(),
        console=console,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with display:
        yield ProgressBar(display, description, total)
