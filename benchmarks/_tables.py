"""Tables from stored records, and from nothing else: for the terminal and Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import fmean, stdev

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import _side_by_side
from benchmarks._results import Record


@dataclass(frozen=True)
class Row:
    """One model's runs, summarised: means over the seeds that trained to an end.

    `members` are the mean accuracies of an ensemble's single members, one for each run.
    """

    model: str
    layers: str
    architecture: str
    n_parameters: str
    train_rows: str
    epochs: str
    fit_seconds: str
    accuracies: tuple[float, ...]
    members: tuple[float, ...]
    reported: tuple[float, ...]

    @property
    def accuracy(self) -> str:
        """Mean test accuracy ± sample deviation over seeds."""
        return mean_and_deviation(self.accuracies) if self.accuracies else "failed"

    @property
    def reported_text(self) -> str:
        """The reported figures, as their source prints them."""
        return " / ".join(f"{figure:.4f}" for figure in self.reported)

    @property
    def difference(self) -> str:
        """Our mean less the higher reported figure."""
        if not self.reported or not self.accuracies:
            return ""
        return f"{fmean(self.accuracies) - max(self.reported):+.4f}"


def mean_and_deviation(figures: tuple[float, ...]) -> str:
    """Write ``0.9512 ±0.0013``; one figure has no deviation, none is empty."""
    if len(figures) > 1:
        return f"{fmean(figures):.4f} ±{stdev(figures):.4f}"
    return f"{figures[0]:.4f}" if figures else ""


Column = tuple[str, Callable[[Row], str]]

COLUMNS: tuple[Column, ...] = (
    ("model", lambda row: row.model),
    ("layers", lambda row: row.layers),
    ("architecture", lambda row: row.architecture),
    ("parameters", lambda row: row.n_parameters),
    ("train size", lambda row: row.train_rows),
    ("epochs", lambda row: row.epochs),
    ("fit s", lambda row: row.fit_seconds),
    ("test accuracy", lambda row: row.accuracy),
)
SEEDS: Column = ("seeds", lambda row: str(len(row.accuracies)))
MEMBERS: Column = ("average member", lambda row: mean_and_deviation(row.members))
BESIDE_REPORTED: tuple[Column, ...] = (
    ("reported", lambda row: row.reported_text),
    ("difference", lambda row: row.difference),
)
NARROW = {"parameters": "param-\neters", "train size": "train\nsize"}
TEXT_COLUMNS = ("model", "architecture")


def summarise(records: Iterable[Record]) -> list[Row]:
    """Make a row for each model, in the order of the records."""
    runs: dict[str, list[Record]] = {}
    for record in records:
        runs.setdefault(record["model"], []).append(record)
    return [_row(model, each) for model, each in runs.items()]


def _row(model: str, runs: list[Record]) -> Row:
    done = [run for run in runs if not run["error"]]
    return Row(
        model=model,
        layers=_one(run["layers"] for run in done),
        architecture=_one(run["architecture"] for run in runs),
        n_parameters=_one(run["n_parameters"] for run in done),
        train_rows=_one(_train_rows(run) for run in runs),
        epochs=f"{fmean(run['epochs'] for run in done):.0f}" if done else "",
        fit_seconds=_seconds([run["fit_seconds"] for run in done]),
        accuracies=tuple(run["test_accuracy"] for run in done),
        members=tuple(
            fmean(run["member_accuracies"])
            for run in done
            if run.get("member_accuracies")
        ),
        reported=tuple(runs[-1]["reported"]),
    )


def heading(records: list[Record]) -> list[str]:
    """State the task, the number of runs, the versions, the hardware, the command."""
    first = records[0]
    size = "" if first["train_size"] is None else f", train size {first['train_size']}"
    quick = ", quick: small data and few epochs, for tests" if first["quick"] else ""
    seeds = _one(len(_of(records, model)) for model in {r["model"] for r in records})
    train, held, test = (
        _one(
            _train_rows(run) if part == "train" else run["rows"][part]
            for run in records
        )
        for part in ("train", "validation", "test")
    )
    packages = sorted({p for run in records for p in run["versions"]}, key=_rank)
    versions = ", ".join(
        f"{package} {_one(run['versions'].get(package) for run in records)}"
        for package in packages
    )
    return [
        f"{first['experiment']} on {first['dataset']}{size}{quick}",
        f"{train} training rows, {held} of them for validation; {test} test rows.",
        f"Runs: {len(records)}, {seeds} for each model; mean and deviation over seeds.",
        f"{versions}.",
        f"{_one(run['platform'] for run in records)}, "
        f"{_one(run['cpu'] for run in records)}, "
        f"{_one(run['cpu_count'] for run in records)} CPUs, "
        f"{_one(run['threads'] for run in records)} threads; "
        f"device {_one(run['device_name'] for run in records)}.",
    ]


def first_seeds(records: Iterable[Record]) -> list[str]:
    """Say what the first seeds alone give where a model has more runs than others."""
    rows = summarise(records)
    least = min((len(row.accuracies) for row in rows if row.accuracies), default=0)
    return [
        f"{row.model}: {mean_and_deviation(row.accuracies[:least])} "
        f"over the first {least} of its {len(row.accuracies)} seeds"
        for row in rows
        if len(row.accuracies) > least > 1
    ]


def failures(records: Iterable[Record]) -> list[str]:
    """Say which runs failed, and why."""
    return [
        f"{run['model']} seed {run['seed']} failed: {run['error']}"
        for run in records
        if run["error"]
    ]


def notes(records: list[Record]) -> list[str]:
    """Say what a table's columns have no room for."""
    return first_seeds(records) + failures(records)


def print_table(records: list[Record], console: Console) -> None:
    """Print one table with its heading, and beside it what there is to compare with."""
    if _compares_packages(records):
        _side_by_side.print_table(records, console)
        return
    title, *rest = heading(records)
    console.print(title, style="bold", highlight=False)
    for line in rest:
        console.print(line, style="dim", highlight=False)
    rows = summarise(records)
    console.print(_table(rows, COLUMNS))
    if beside := _beside(rows):
        console.print()
        console.print(_table(rows, (COLUMNS[0], COLUMNS[-1], *beside)))
    for line in notes(records):
        console.print(line, highlight=False, markup=False)


def _compares_packages(records: list[Record]) -> bool:
    """Whether the records hold two packages' figures each."""
    return "largest_weight_difference" in records[0]


def _beside(rows: list[Row]) -> tuple[Column, ...]:
    """Columns of what the test accuracies stand beside, if anything."""
    members = (MEMBERS,) if any(row.members for row in rows) else ()
    reported = BESIDE_REPORTED if any(row.reported for row in rows) else ()
    return members + reported


def _table(rows: list[Row], columns: tuple[Column, ...]) -> Table:
    """Lay out rows so that at a narrow width only the architecture breaks."""
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for name, _ in columns:
        table.add_column(
            NARROW.get(name, name),
            justify="left" if name in TEXT_COLUMNS else "right",
            no_wrap=name != "architecture",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(cell(row) for _, cell in columns))
    return table


def markdown(records: list[Record]) -> str:
    """Write the same as Markdown, one wide table, with the commands that made it."""
    if _compares_packages(records):
        return _side_by_side.markdown(records)
    rows = summarise(records)
    columns = (*COLUMNS, SEEDS, *_beside(rows))
    title, *rest = heading(records)
    commands = dict.fromkeys(run["command"] for run in records)
    lines = [f"### {title}", "", *rest, ""]
    lines += ["Measured by", "", *(f"- `{command}`" for command in commands), ""]
    lines.append("| " + " | ".join(name for name, _ in columns) + " |")
    marks = ("---" if name in TEXT_COLUMNS else "---:" for name, _ in columns)
    lines.append("| " + " | ".join(marks) + " |")
    lines += ["| " + " | ".join(c(row) for _, c in columns) + " |" for row in rows]
    if said := notes(records):
        lines += ["", *(f"- {line}" for line in said)]
    return "\n".join(lines) + "\n"


PAGE = """\
# Stored results

Made from the records beside it by
`python -m benchmarks --tables --markdown > benchmarks/results/README.md`.

Test accuracy is the mean over seeds with its sample deviation; seeds count from 0, none
is left out. "reported" is what the source of an experiment prints, "difference" our
mean less the higher such figure. Seconds are of the wall clock on a machine that had
other work too, and no measure of speed.
"""


def page(tables: list[list[Record]]) -> str:
    """Write every table, with a word on how to read them."""
    return "\n".join([PAGE, *map(markdown, tables)])


def _seconds(times: list[float]) -> str:
    """Write a mean time; below ten seconds with hundredths."""
    if not times:
        return ""
    return f"{fmean(times):.2f}" if fmean(times) < 10 else f"{fmean(times):.0f}"


def _train_rows(run: Record) -> int:
    """Count the rows a model was given, its validation rows among them."""
    return run["rows"]["train"] + run["rows"]["validation"]


def _of(records: list[Record], model: str) -> list[Record]:
    return [record for record in records if record["model"] == model]


def _one(values: Iterable[object]) -> str:
    """Write the value that all share, or the different ones."""
    seen = dict.fromkeys(values)
    return " or ".join(
        f"{value:,}" if isinstance(value, int) else str(value)
        for value in seen
        if value is not None
    )


def _rank(package: str) -> tuple[int, str]:
    """Ourselves first, Python next, the others by name."""
    first = ("skmlp", "python")
    return (first.index(package) if package in first else len(first), package)
