"""The table of `learning-rates`: suggested rates and the best rates of a grid."""

from __future__ import annotations

from statistics import fmean
from typing import NamedTuple

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.result_store.result_files import Record
from benchmarks.tables.model_table import print_heading

HEADER = (
    "data set, network",
    "suggested rates",
    "best of grid",
    "loss: suggested",
    "best of grid",
    "loss ratio",
    "CPU s",
)
LIMIT = 1.05


class Judgement(NamedTuple):
    """The losses of one model, as means over seeds.

    The best rate of the grid has the lowest mean loss.
    """

    name: str
    suggested_rates: list[float]
    best_rate: float
    suggested_loss: float
    best_loss: float
    seconds: float

    @property
    def ratio(self) -> float:
        """The loss of the suggested rates, divided by the loss of the best rate."""
        return self.suggested_loss / self.best_loss


def judge(records: list[Record]) -> list[Judgement]:
    """Return the means of every model over its seeds."""
    models: dict[str, list[Record]] = {}
    for record in records:
        models.setdefault(record["model"], []).append(record)
    judgements = []
    for name, runs in models.items():
        # A loss that is not finite is stored as null.
        losses = np.array([run["losses"] for run in runs], dtype=float)
        means = np.nan_to_num(losses, nan=np.inf).mean(axis=0)
        suggested = [run["suggested_loss"] for run in runs]
        judgements.append(
            Judgement(
                name,
                [run["suggested_rate"] for run in runs],
                runs[0]["rates"][int(means.argmin())],
                float("inf") if None in suggested else fmean(suggested),
                float(means.min()),
                fmean(run["suggestion_seconds"] for run in runs),
            )
        )
    return judgements


def table_rows(records: list[Record]) -> list[tuple[str, ...]]:
    """Return a line for each model."""
    return [
        (
            row.name,
            ", ".join(f"{rate:.2g}" for rate in row.suggested_rates),
            f"{row.best_rate:.2g}",
            f"{row.suggested_loss:.4f}",
            f"{row.best_loss:.4f}",
            f"{row.ratio:.3f}",
            f"{row.seconds:.1f}",
        )
        for row in judge(records)
    ]


def heading(records: list[Record]) -> list[str]:
    """Describe the content of the table, the versions and the hardware."""
    first = records[0]
    quick = ", quick: few epochs, for tests" if first["quick"] else ""
    versions = ", ".join(f"{k} {v}" for k, v in first["versions"].items())
    n_seeds = len({record["seed"] for record in records})
    n_splits = "one split" if n_seeds == 1 else f"{n_seeds} splits"
    judgements = judge(records)
    within = sum(row.ratio <= LIMIT for row in judgements)
    worst = max(judgements, key=lambda row: row.ratio)
    return [
        f"{first['experiment']}{quick}",
        "LearningRateDisplay suggests a rate from the training set. The loss is that "
        f"of the validation set in the best epoch, as a mean over {n_splits}. "
        "The grid has ten rates from 0.0001 to 1. "
        "Its best rate has the lowest mean loss of this validation set, which the "
        "suggestion does not see. The rule of the suggestion was chosen with other "
        "splits.",
        f"{within} of {len(judgements)} ratios are at most {LIMIT}. The largest is "
        f"{worst.ratio:.3f} ({worst.name}).",
        f"{versions}.",
        f"{first['platform']}, {first['cpu']}, {first['cpu_count']} CPUs, "
        f"{first['threads']} threads.",
    ]


def print_table(records: list[Record], console: Console) -> None:
    """Print the table with its heading."""
    print_heading(heading(records), console)
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for i, name in enumerate(HEADER):
        table.add_column(name, justify="right" if i else "left", no_wrap=not i)
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
