"""The table of any experiment's records, and the page of all tables."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rich.console import Console

from benchmarks.result_store.result_files import Record
from benchmarks.tables.model_table import definition

PAGE_HEAD = """\
# Stored results

This page is made from the records in this folder by
`python -m benchmarks --tables --markdown > benchmarks/results/README.md`.

- Test accuracy is the mean over seeds with its sample deviation. Seeds count from 0,
  and no seed is left out.
- "reported" is the figure that the source of an experiment prints.
- "difference" is our mean minus the higher reported figure.
- Seconds are wall-clock time on a machine with other work. They do not measure speed.
"""


def table_module(records: list[Record]) -> Any:
    """Return the module that prints these records."""
    return import_module(definition(records).layout)


def print_table(records: list[Record], console: Console) -> None:
    """Print one table with its heading."""
    table_module(records).print_table(records, console)


def markdown(records: list[Record]) -> str:
    """Return the table as Markdown."""
    return table_module(records).markdown(records)


def make_page(tables: list[list[Record]]) -> str:
    """Return the page of all tables, with an introduction."""
    return "\n".join([PAGE_HEAD, *map(markdown, tables)])
