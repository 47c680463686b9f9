"""The default table: one line for each model, with notes and further tables below it.

All figures come from stored records. The definition of the experiment chooses which of
them are shown, and gives the sentences below the table.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.definitions.experiment import COLUMNS, Experiment
from benchmarks.result_store.result_files import Record
from benchmarks.tables import detail_tables
from benchmarks.tables.model_summaries import (
    FIGURES,
    KNOWN_COLUMNS,
    MEMBERS_COLUMN,
    SEEDS_COLUMN,
    Column,
    ModelSummary,
    count_training_samples,
    format_mean_and_deviation,
    join_distinct,
    reported_columns,
    summarize,
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

# The definition for records of an experiment that no longer exists.
UNKNOWN = Experiment("", "", (), "")


def definition(records: list[Record]) -> Experiment:
    """Return the definition of the records' experiment."""
    from benchmarks.experiments import EXPERIMENTS

    return EXPERIMENTS.get(records[0]["experiment"], UNKNOWN)


def heading(records: list[Record]) -> list[str]:
    """Describe the task, the number of runs, the versions and the hardware."""
    first = records[0]
    size = "" if first["train_size"] is None else f", train size {first['train_size']}"
    quick = ", quick: small data and few epochs, for tests" if first["quick"] else ""
    models = dict.fromkeys(record["model"] for record in records)
    seeds = join_distinct(len(_runs_of(records, model)) for model in models)
    train, held, test = (
        join_distinct(
            count_training_samples(run) if part == "train" else run["rows"][part]
            for run in records
        )
        for part in ("train", "validation", "test")
    )
    remarks = dict.fromkeys(line for r in records for line in r.get("data_remarks", ()))
    return [
        f"{first['experiment']} on {first['dataset']}{size}{quick}",
        f"{train} training samples, {held} of them for validation; "
        f"{test} test samples.",
        *remarks,
        f"Runs: {len(records)}, {seeds} for each model; mean and deviation over seeds.",
        *describe_environments(records),
    ]


def describe_environments(records: list[Record]) -> list[str]:
    """Describe versions and hardware."""
    packages = sorted(
        {p for run in records for p in run["versions"]}, key=_package_order
    )
    versions = ", ".join(
        f"{package} {join_distinct(run['versions'].get(package) for run in records)}"
        for package in packages
    )
    return [
        f"{versions}.",
        f"{join_distinct(run['platform'] for run in records)}, "
        f"{join_distinct(run['cpu'] for run in records)}, "
        f"{join_distinct(run['cpu_count'] for run in records)} CPUs, "
        f"{join_distinct(run['threads'] for run in records)} threads; "
        f"device {join_distinct(run['device_name'] for run in records)}.",
    ]


def note_first_seeds(records: Iterable[Record]) -> list[str]:
    """Compare the first seeds of models that have more runs than others."""
    rows = summarize(records)
    least = min((len(row.accuracies) for row in rows if row.accuracies), default=0)
    return [
        f"{row.model}: {format_mean_and_deviation(row.accuracies[:least])} "
        f"over the first {least} of its {len(row.accuracies)} seeds"
        for row in rows
        if len(row.accuracies) > least > 1
    ]


def note_failures(records: Iterable[Record]) -> list[str]:
    """Name the runs that failed, and the reason."""
    return [
        f"{run['model']} seed {run['seed']} failed: {run['error']}"
        for run in records
        if run["error"]
    ]


def explanatory_notes(records: list[Record]) -> list[str]:
    """Return the definition's sentences about the table; none for a trial.

    A sentence about a model explains its reported figure. It is shown with that figure.
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


def unexplained_shortfalls(records: list[Record]) -> list[str]:
    """Name the models that are below their reported figure and have no explanation."""
    experiment = definition(records)
    explained = {model.name for model in experiment.models if model.note}
    return [
        row.model
        for row in summarize(records)
        if row.is_below_reported(experiment.figure) and row.model not in explained
    ]


def make_notes(records: list[Record]) -> list[str]:
    """Return the notes below the table."""
    return (
        note_first_seeds(records) + note_failures(records) + explanatory_notes(records)
    )


def print_heading(lines: list[str], console: Console) -> None:
    """Print a title and the lines below it."""
    title, *rest = lines
    console.print(title, style="bold", highlight=False)
    for line in rest:
        console.print(line, style="dim", highlight=False, markup=False)


def print_table(records: list[Record], console: Console) -> None:
    """Print one table with its heading, and a second one with figures to compare."""
    print_heading(heading(records), console)
    experiment, rows = definition(records), summarize(records)
    columns = get_columns(experiment)
    console.print(_table(rows, columns))
    if comparison := _comparison_columns(rows, experiment.figure):
        figure = next(c for c in columns if c[0] == FIGURES[experiment.figure])
        console.print()
        console.print(_table(rows, (columns[0], figure, *comparison)))
    for block in detail_tables.make_detail_tables(experiment, records):
        console.print()
        console.print(block.title, highlight=False)
        console.print(block.as_table())
    for line in make_notes(records):
        console.print(line, highlight=False, markup=False)


def get_columns(experiment: Experiment) -> tuple[Column, ...]:
    """Return the experiment's columns."""
    names = experiment.columns or COLUMNS
    return tuple((name, KNOWN_COLUMNS[name]) for name in names)


def _comparison_columns(rows: list[ModelSummary], figure: str) -> tuple[Column, ...]:
    """Return the columns that a figure is compared with, if any."""
    members = (MEMBERS_COLUMN,) if any(row.members for row in rows) else ()
    reported = reported_columns(figure) if any(row.reported for row in rows) else ()
    return members + reported


def _table(rows: list[ModelSummary], columns: tuple[Column, ...]) -> Table:
    """Lay out the table so that cells break only at spaces."""
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
    """Return one wide table as Markdown, with the commands that measured it."""
    experiment, rows = definition(records), summarize(records)
    columns = (
        *get_columns(experiment),
        SEEDS_COLUMN,
        *_comparison_columns(rows, experiment.figure),
    )
    title, *rest = heading(records)
    lines = [f"### {title}", "", *rest, "", *measured_by(records), ""]
    lines += markdown_table(
        [name for name, _ in columns],
        [[cell(row) for _, cell in columns] for row in rows],
        TEXT_COLUMNS,
    )
    for block in detail_tables.make_detail_tables(experiment, records):
        lines += ["", block.title, "", *markdown_table(block.header, block.rows)]
    if said := make_notes(records):
        lines += ["", *(f"- {line}" for line in said)]
    return "\n".join(lines) + "\n"


def measured_by(records: list[Record]) -> list[str]:
    """Return the lines that list the commands of the records."""
    commands = dict.fromkeys(run["command"] for run in records)
    return ["Measured by", "", *(f"- `{command}`" for command in commands)]


def markdown_table(
    header: Iterable[str], rows: Iterable[Iterable[str]], text: Iterable[str] = ()
) -> list[str]:
    """Return the lines of a table. The columns named in `text` are left-aligned."""
    header, text = list(header), set(text) or {next(iter(header))}
    marks = ("---" if name in text else "---:" for name in header)
    return [f"| {' | '.join(cells)} |" for cells in (header, marks, *rows)]


def _runs_of(records: list[Record], model: str) -> list[Record]:
    return [record for record in records if record["model"] == model]


def _package_order(package: str) -> tuple[int, str]:
    """Sort skmlp first, Python next, and the others by name."""
    first = ("skmlp", "python")
    return (first.index(package) if package in first else len(first), package)
