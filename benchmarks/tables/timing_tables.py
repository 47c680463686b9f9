"""Records and tables that the programs `speed` and `search` share."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.tables.model_table import print_heading

Record = dict[str, Any]


def read(path: Path, suite: str, needed: Iterable[str]) -> list[Record]:
    """Read the records of a program. Every record has the `needed` fields.

    Raises
    ------
    ValueError
        If a line is not such a record. The message names the file and the line.
    """
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            record = json.loads(line)
            for name in needed:
                record[name]
        except (ValueError, TypeError, KeyError):
            raise ValueError(
                f"Line {number} of {str(path)!r} is not a record of {suite}; delete "
                "that line to read the others."
            ) from None
        records.append(record)
    return records


def versions(record: Record) -> str:
    """Return the versions of our packages and of the peers."""
    packages = {**record["versions"], **record["peers"]}
    return ", ".join(f"{name} {v}" for name, v in packages.items() if v) + "."


@dataclass(frozen=True)
class TimingTable:
    """A table of measurements, whose first two columns are names.

    With `whole_names` the names are not broken where the terminal is narrow.
    """

    heading: list[str]
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    commands: list[str]
    remarks: list[str] = field(default_factory=list)
    whole_names: bool = False

    def show(self, as_markdown: bool) -> None:
        """Print the table, for the terminal or as Markdown."""
        if as_markdown:
            print(self.markdown(), end="")
        else:
            self.print_to(Console())

    def print_to(self, console: Console) -> None:
        """Print the table with its heading."""
        print_heading(self.heading, console)
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
        for i, name in enumerate(self.columns):
            whole = i < 2 and self.whole_names
            table.add_column(name, justify="left" if i < 2 else "right", no_wrap=whole)
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        for line in self.remarks:
            console.print(line, style="dim", highlight=False, markup=False)

    def markdown(self) -> str:
        """Return the table as Markdown, with the commands that measured it."""
        title, *rest = self.heading
        text = [f"**{title}**: {' '.join(rest)}", ""]
        text += [f"Measured by {', '.join(f'`{c}`' for c in self.commands)}.", ""]
        text.append("| " + " | ".join(self.columns) + " |")
        text.append("| --- | ---" + " | ---:" * (len(self.columns) - 2) + " |")
        text += ["| " + " | ".join(row) + " |" for row in self.rows]
        if self.remarks:
            text += ["", *(f"- {line}" for line in self.remarks)]
        return "\n".join(text) + "\n"


def commands_of(records: list[Record]) -> list[str]:
    """Return the commands that measured the records, without repetition."""
    return list(dict.fromkeys(record["command"] for record in records))
