"""The table of cross-validated estimators: one line for each data set."""

from __future__ import annotations

from statistics import fmean

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.result_store.result_files import Record
from benchmarks.tables.model_summaries import format_mean_and_deviation
from benchmarks.tables.model_table import (
    describe_environments,
    explanatory_notes,
    markdown_table,
    measured_by,
    note_failures,
    print_heading,
)


def table_rows(records: list[Record]) -> tuple[list[str], list[list[str]]]:
    """Return the header, a line of accuracies for each data set, a line of seconds."""
    models: dict[str, list[Record]] = {}
    for record in records:
        if not record["error"]:
            models.setdefault(record["model"], []).append(record)
    datasets = dict.fromkeys(name for r in records for name in r.get("scores", ()))
    rows = [
        [
            name,
            str(next(r["rows"][name] for r in records if name in r.get("rows", ()))),
            *(
                format_mean_and_deviation(
                    tuple(fmean(run["scores"][name]) for run in runs)
                )
                for runs in models.values()
            ),
        ]
        for name in datasets
    ]
    seconds = [
        f"{fmean(sum(run['seconds'].values()) for run in runs):.1f}"
        for runs in models.values()
    ]
    rows.append(["seconds, all folds of all sets", "", *seconds])
    return ["data set", "rows", *models], rows


def heading(records: list[Record]) -> list[str]:
    """Describe the content of the table, the versions and the hardware."""
    first = records[0]
    quick = ", quick: few samples and epochs, for tests" if first["quick"] else ""
    seeds = 1 + max(r["seed"] for r in records)
    folds = {r["folds"] for r in records if "folds" in r}
    return [
        f"{first['experiment']} on data sets that come with scikit-learn{quick}",
        f"Accuracy by cross-validation over {', '.join(map(str, folds))} stratified "
        f"folds; mean and deviation over {seeds} seeds, which "
        "determine folds and networks.",
        *describe_environments(records),
    ]


def print_table(records: list[Record], console: Console) -> None:
    """Print the table with its heading."""
    print_heading(heading(records), console)
    header, rows = table_rows(records)
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for i, name in enumerate(header):
        table.add_column(
            name.replace("-", " ") if i else name,
            justify="right" if i else "left",
            no_wrap=not i,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for line in note_failures(records) + explanatory_notes(records):
        console.print(line, highlight=False, markup=False)


def markdown(records: list[Record]) -> str:
    """Return the table as Markdown, with the commands that measured it."""
    title, *rest = heading(records)
    text = [f"### {title}", "", *rest, "", *measured_by(records), ""]
    text += markdown_table(*table_rows(records))
    if said := note_failures(records) + explanatory_notes(records):
        text += ["", *(f"- {line}" for line in said)]
    return "\n".join(text) + "\n"
