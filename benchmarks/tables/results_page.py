"""Which table shows which experiment's records, and the page of all of them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rich.console import Console

from benchmarks.result_store.result_files import Record
from benchmarks.tables.model_table import definition

PAGE = """\
# Stored results

Made from the records beside it by
`python -m benchmarks --tables --markdown > benchmarks/results/README.md`.

Test accuracy is the mean over seeds with its sample deviation; seeds count from 0, none
is left out. "reported" is what the source of an experiment prints, "difference" our
mean less the higher such figure. Seconds are of the wall clock on a machine that had
other work too, and no measure of speed.
"""


def layout(records: list[Record]) -> Any:
    """Return the module that lays out these records."""
    return import_module(definition(records).layout)


def print_table(records: list[Record], console: Console) -> None:
    """Print one table with its heading."""
    layout(records).print_table(records, console)


def markdown(records: list[Record]) -> str:
    """Write the same as Markdown."""
    return layout(records).markdown(records)


def page(tables: list[list[Record]]) -> str:
    """Write every table, with a word on how to read them."""
    return "\n".join([PAGE, *map(markdown, tables)])
