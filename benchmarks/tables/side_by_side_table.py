"""The table of `dropin`: figures of scikit-learn and of skmlp side by side."""

from __future__ import annotations

from statistics import fmean

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.result_store.result_files import Record
from benchmarks.tables.model_table import print_heading

HEADER = (
    "task",
    "epochs",
    "score: theirs",
    "ours",
    "largest weight difference",
    "fit s: theirs",
    "ours",
)


def table_rows(records: list[Record]) -> list[tuple[str, ...]]:
    """Return a line for each task: means over seeds, largest weight difference."""
    tasks: dict[str, list[Record]] = {}
    for record in records:
        tasks.setdefault(record["model"], []).append(record)

    def mean(runs: list[Record], name: str, which: int) -> float:
        return fmean(run[name][which] for run in runs)

    return [
        (
            task,
            f"{mean(runs, 'epochs', 1):.0f}",
            f"{mean(runs, 'scores', 0):.4f}",
            f"{mean(runs, 'scores', 1):.4f}",
            f"{max(run['largest_weight_difference'] for run in runs):.0e}",
            f"{mean(runs, 'fit_seconds', 0):.2f}",
            f"{mean(runs, 'fit_seconds', 1):.2f}",
        )
        for task, runs in tasks.items()
    ]


def heading(records: list[Record]) -> list[str]:
    """Describe the content of the table, the versions and the hardware."""
    first = records[0]
    quick = ", quick: few epochs, for tests" if first["quick"] else ""
    versions = ", ".join(f"{k} {v}" for k, v in first["versions"].items())
    return [
        f"{first['experiment']}{quick}",
        "Networks of scikit-learn and skmlp with the same parameters, random_state "
        "and samples, in float64 on the CPU. Scores are accuracies on a fifth of the "
        "samples (R² for regression). Figures are means over seeds 0 to "
        f"{max(r['seed'] for r in records)}, and the largest weight difference.",
        f"{versions}.",
        f"{first['platform']}, {first['cpu']}, {first['cpu_count']} CPUs, "
        f"{first['threads']} threads.",
    ]


def print_table(records: list[Record], console: Console) -> None:
    """Print the table with its heading."""
    print_heading(heading(records), console)
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for name in HEADER:
        text = name == "task"
        table.add_column(name, justify="left" if text else "right", no_wrap=text)
    for line in table_rows(records):
        table.add_row(*line)
    console.print(table)


def markdown(records: list[Record]) -> str:
    """Return the table as Markdown, with the command that measured it."""
    title, *rest = heading(records)
    commands = ", ".join(f"`{c}`" for c in dict.fromkeys(r["command"] for r in records))
    rows = [HEADER, ("---", *("---:",) * (len(HEADER) - 1)), *table_rows(records)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"### {title}\n\n{' '.join(rest)}\n\nMeasured by {commands}.\n\n{table}\n"
