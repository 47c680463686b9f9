"""The usual table: a row for each model, what stands beside it and what below it.

Figures come from stored records, and from nothing else. Which of them are shown, and
the sentences below, are the definition's of the records' experiment.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.definitions.experiment import COLUMNS, Experiment
from benchmarks.result_store.result_files import Record
from benchmarks.tables import detail_tables
from benchmarks.tables.model_summaries import COLUMNS as KNOWN_COLUMNS
from benchmarks.tables.model_summaries import (
    FIGURES,
    MEMBERS,
    SEEDS,
    Column,
    Row,
    mean_and_deviation,
    one,
    reported_columns,
    summarise,
    train_rows,
)

NARROW = {
    "parameters": "param-\neters",
    "train size": "train\nsize",
    "rows trained on": "trained\non",
    "train accuracy": "train\naccuracy",
    "validation accuracy": "validation\naccuracy",
    "test accuracy": "test accuracy",
}
TEXT_COLUMNS = ("model", "architecture")

# For records of an experiment that there is no more.
UNKNOWN = Experiment("", "", (), "")


def definition(records: list[Record]) -> Experiment:
    """Return the definition of the records' experiment."""
    from benchmarks.experiments import EXPERIMENTS

    return EXPERIMENTS.get(records[0]["experiment"], UNKNOWN)


def heading(records: list[Record]) -> list[str]:
    """State the task, the number of runs, the versions, the hardware, the command."""
    first = records[0]
    size = "" if first["train_size"] is None else f", train size {first['train_size']}"
    quick = ", quick: small data and few epochs, for tests" if first["quick"] else ""
    models = dict.fromkeys(record["model"] for record in records)
    seeds = one(len(_of(records, model)) for model in models)
    train, held, test = (
        one(
            train_rows(run) if part == "train" else run["rows"][part] for run in records
        )
        for part in ("train", "validation", "test")
    )
    remarks = dict.fromkeys(line for r in records for line in r.get("data_remarks", ()))
    return [
        f"{first['experiment']} on {first['dataset']}{size}{quick}",
        f"{train} training rows, {held} of them for validation; {test} test rows.",
        *remarks,
        f"Runs: {len(records)}, {seeds} for each model; mean and deviation over seeds.",
        *surroundings(records),
    ]


def surroundings(records: list[Record]) -> list[str]:
    """State versions and hardware."""
    packages = sorted({p for run in records for p in run["versions"]}, key=_rank)
    versions = ", ".join(
        f"{package} {one(run['versions'].get(package) for run in records)}"
        for package in packages
    )
    return [
        f"{versions}.",
        f"{one(run['platform'] for run in records)}, "
        f"{one(run['cpu'] for run in records)}, "
        f"{one(run['cpu_count'] for run in records)} CPUs, "
        f"{one(run['threads'] for run in records)} threads; "
        f"device {one(run['device_name'] for run in records)}.",
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


def explanations(records: list[Record]) -> list[str]:
    """Return the definition's sentences on what the table shows; none on a trial.

    Those on a model are about the figure that is reported for it, and stand beside it.
    """
    if records[0]["quick"]:
        return []
    experiment = definition(records)
    shown = {record["model"] for record in records if record.get("reported")}
    of_models = [
        f"{model.name}: {model.note}"
        for model in experiment.models
        if model.note and model.name in shown
    ]
    return [*experiment.notes, *of_models]


def unexplained(records: list[Record]) -> list[str]:
    """Name the models that fall short of what is reported without a word on why."""
    experiment = definition(records)
    explained = {model.name for model in experiment.models if model.note}
    return [
        row.model
        for row in summarise(records)
        if row.falls_short(experiment.figure) and row.model not in explained
    ]


def notes(records: list[Record]) -> list[str]:
    """Say what a table's columns have no room for."""
    return first_seeds(records) + failures(records) + explanations(records)


def print_heading(lines: list[str], console: Console) -> None:
    """Print a title, and beneath it what is to be known of the table."""
    title, *rest = lines
    console.print(title, style="bold", highlight=False)
    for line in rest:
        console.print(line, style="dim", highlight=False, markup=False)


def print_table(records: list[Record], console: Console) -> None:
    """Print one table with its heading, and beside it what there is to compare with."""
    print_heading(heading(records), console)
    experiment, rows = definition(records), summarise(records)
    columns = columns_of(experiment)
    console.print(_table(rows, columns))
    if beside := _beside(rows, experiment.figure):
        figure = next(c for c in columns if c[0] == FIGURES[experiment.figure])
        console.print()
        console.print(_table(rows, (columns[0], figure, *beside)))
    for block in detail_tables.blocks(experiment, records):
        console.print()
        console.print(block.title, highlight=False)
        console.print(block.as_table())
    for line in notes(records):
        console.print(line, highlight=False, markup=False)


def columns_of(experiment: Experiment) -> tuple[Column, ...]:
    """Return the experiment's columns."""
    names = experiment.columns or COLUMNS
    return tuple((name, KNOWN_COLUMNS[name]) for name in names)


def _beside(rows: list[Row], figure: str) -> tuple[Column, ...]:
    """Columns of what a figure stands beside, if anything."""
    members = (MEMBERS,) if any(row.members for row in rows) else ()
    reported = reported_columns(figure) if any(row.reported for row in rows) else ()
    return members + reported


def _table(rows: list[Row], columns: tuple[Column, ...]) -> Table:
    """Lay out rows so that at a narrow width cells break at their spaces, if any."""
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for name, cell in columns:
        table.add_column(
            NARROW.get(name, name),
            justify="left" if name in TEXT_COLUMNS else "right",
            no_wrap=not any(" " in cell(row) for row in rows),
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(cell(row) for _, cell in columns))
    return table


def markdown(records: list[Record]) -> str:
    """Write the same as Markdown, one wide table, with the commands that made it."""
    experiment, rows = definition(records), summarise(records)
    columns = (*columns_of(experiment), SEEDS, *_beside(rows, experiment.figure))
    title, *rest = heading(records)
    lines = [f"### {title}", "", *rest, "", *measured_by(records), ""]
    lines += markdown_table(
        [name for name, _ in columns],
        [[cell(row) for _, cell in columns] for row in rows],
        TEXT_COLUMNS,
    )
    for block in detail_tables.blocks(experiment, records):
        lines += ["", block.title, "", *markdown_table(block.header, block.rows)]
    if said := notes(records):
        lines += ["", *(f"- {line}" for line in said)]
    return "\n".join(lines) + "\n"


def measured_by(records: list[Record]) -> list[str]:
    """List the commands that made the records."""
    commands = dict.fromkeys(run["command"] for run in records)
    return ["Measured by", "", *(f"- `{command}`" for command in commands)]


def markdown_table(
    header: Iterable[str], rows: Iterable[Iterable[str]], text: Iterable[str] = ()
) -> list[str]:
    """Write the lines of a table; the columns named `text` are set to the left."""
    header, text = list(header), set(text) or {next(iter(header))}
    marks = ("---" if name in text else "---:" for name in header)
    return [f"| {' | '.join(cells)} |" for cells in (header, marks, *rows)]


def _of(records: list[Record], model: str) -> list[Record]:
    return [record for record in records if record["model"] == model]


def _rank(package: str) -> tuple[int, str]:
    """Ourselves first, Python next, the others by name."""
    first = ("skmlp", "python")
    return (first.index(package) if package in first else len(first), package)
