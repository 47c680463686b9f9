"""Show the progress of a fit: one line after the fit, or a bar that counts epochs.

The parameter ``verbose`` has four cases: nothing (False, 0), one line (1), lines for
every epoch (True, int of at least 2), and the bar ('bar').
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import current_process
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from skmlp.training.run import ProgressCallback, TrainingRun


def prints_epochs(verbose: bool | int | str) -> bool:
    """Return whether to print lines for every epoch: True, or an int of at least 2."""
    if isinstance(verbose, str):
        return False
    return bool(verbose) and (isinstance(verbose, bool | np.bool_) or verbose > 1)


def prints_line(verbose: bool | int | str) -> bool:
    """Return whether to print one line after the fit: the int 1, but not True."""
    if isinstance(verbose, str | bool | np.bool_):
        return False
    return verbose == 1


def print_line(estimator: Any, seconds: float) -> None:
    """Print epochs, seconds, device, loss and best validation score of a fit."""
    unit = "iteration" if estimator.solver == "lbfgs" else "epoch"
    plural = "" if estimator.n_iter_ == 1 else "s"
    line = (
        f"{type(estimator).__name__}: {estimator.n_iter_} {unit}{plural} in "
        f"{seconds:.3g} s on {estimator.device_}, loss {estimator.loss_:.4g}"
    )
    score = getattr(estimator, "best_validation_score_", None)
    if score is not None:
        line += f", validation score {score:.4f}"
    print(line)  # noqa: T201


@contextmanager
def show_progress(
    verbose: bool | int | str,
    title: str,
    runs: Sequence[TrainingRun],
    progress_callback: ProgressCallback,
) -> Iterator[ProgressCallback]:
    """Yield a progress callback.

    With ``verbose='bar'`` the callback updates a progress bar and calls
    `progress_callback`. Otherwise it is `progress_callback` itself.
    """
    if verbose != "bar":
        yield progress_callback
        return
    with SCREEN.row(title, sum(run.max_epochs for run in runs)) as update:

        def show(n_epochs: int) -> None:
            update(n_epochs, _mean_loss_and_score(runs))
            progress_callback(n_epochs)

        yield show


def _mean_loss_and_score(runs: Sequence[TrainingRun]) -> str:
    """Write the last loss and validation score, averaged over several runs."""
    records = [run.net.history[-1] for run in runs if run.net.history]
    losses = [r["train_loss"] for r in records if "train_loss" in r]
    scores = [r["valid_score"] for r in records if "valid_score" in r]
    text = f"loss {fmean(losses):.4g}" if losses else ""
    return text + (f" score {fmean(scores):.4f}" if scores else "")


class _Screen:
    """The only live display of the process, with one row for each bar.

    Two `rich.progress.Progress` displays would overwrite each other. All threads, and a
    search and its fits, therefore share this one. It exists as long as it has rows.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._display: Progress | None = None
        self._n_rows = 0

    @contextmanager
    def row(self, title: str, total: int) -> Iterator[Callable[[int, str], None]]:
        """Yield a function ``update(n_epochs, text)`` for a new row of the display.

        The end of the block removes the row. Without a terminal or a notebook, there is
        no row, and the function does nothing.
        """
        with self._shared() as display:
            if display is None:
                yield lambda epochs, text: None
                return
            task = display.add_task(title, total=total, text="")
            try:
                yield lambda epochs, text: display.update(
                    task, advance=epochs, text=text
                )
            finally:
                display.remove_task(task)

    @contextmanager
    def _shared(self) -> Iterator[Progress | None]:
        """Start the display with its first row, and stop it after its last row."""
        with self._lock:
            if self._display is None:
                self._display = _make_display()
            display = self._display
            self._n_rows += 1
        try:
            if display is not None:
                display.start()
            yield display
        finally:
            with self._lock:
                self._n_rows -= 1
                if not self._n_rows:
                    self._display = None
                    if display is not None:
                        display.stop()


SCREEN = _Screen()
if hasattr(os, "register_at_fork"):  # not on Windows
    # The thread that draws, or holds the lock, does not exist in a forked process.
    os.register_at_fork(after_in_child=SCREEN.__init__)  # type: ignore[misc]


def _make_display() -> Progress | None:
    """Return a display on stderr, or None without a terminal or a notebook.

    The display is removed from the screen when it stops.
    """
    # Workers of a search write to the same terminal and would overwrite each other.
    if current_process().name != "MainProcess":
        return None
    console = Console(stderr=True)
    # is_terminal is not enough: FORCE_COLOR makes it true for a pipe.
    in_terminal = console.is_interactive and console.file.isatty()
    in_notebook = console.is_jupyter and find_spec("ipywidgets") is not None
    if not (in_terminal or in_notebook):
        return None
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[text]}"),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        expand=True,
        # If stdout is a terminal, printed text appears above the bar. If stdout is a
        # file, the text is written to the file.
        redirect_stdout=in_notebook or (sys.stdout is not None and sys.stdout.isatty()),
    )
