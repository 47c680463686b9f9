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
    "loss",
    "loss ratio",
    "close",
    "others",
    "CPU s",
)
LIMIT = 1.05


class Judgement(NamedTuple):
    """The losses of one model, as means over splits.

    The best rate of the grid has the lowest mean loss. `n_close` counts the splits with
    a suggestion close to the best loss of this split. `n_close_of_others` counts those
    in which the best rate of all other splits is close. It is None for one split.
    """

    name: str
    suggested_rates: list[float]
    best_rate: float
    suggested_loss: float
    best_loss: float
    n_close: int
    n_close_of_others: int | None
    seconds: float

    @property
    def n_splits(self) -> int:
        """The number of splits."""
        return len(self.suggested_rates)

    @property
    def ratio(self) -> float:
        """The loss of the suggested rates, divided by the loss of the best rate."""
        return self.suggested_loss / self.best_loss


def judge(records: list[Record]) -> list[Judgement]:
    """Return the means of every model over its splits."""
    models: dict[str, list[Record]] = {}
    for record in records:
        models.setdefault(record["model"], []).append(record)
    judgements = []
    for name, runs in models.items():
        # A loss that is not finite is stored as null.
        losses = np.array([run["losses"] for run in runs], dtype=float)
        losses = np.nan_to_num(losses, nan=np.inf)
        means = losses.mean(axis=0)
        suggested = [run["suggested_loss"] for run in runs]
        limits = LIMIT * losses.min(axis=1)
        of_others = None
        if len(runs) > 1:
            rates = [np.delete(losses, i, 0).mean(0).argmin() for i in range(len(runs))]
            of_others = int((losses[np.arange(len(runs)), rates] <= limits).sum())
        judgements.append(
            Judgement(
                name,
                [run["suggested_rate"] for run in runs],
                runs[0]["rates"][int(means.argmin())],
                float("inf") if None in suggested else fmean(suggested),
                float(means.min()),
                sum(
                    s is not None and s <= m
                    for s, m in zip(suggested, limits, strict=True)
                ),
                of_others,
                fmean(run["suggestion_seconds"] for run in runs),
            )
        )
    return judgements


def table_rows(records: list[Record]) -> list[tuple[str, ...]]:
    """Return a line for each model."""
    return [
        (
            row.name,
            _range_text(row.suggested_rates),
            f"{row.best_rate:.2g}",
            f"{row.suggested_loss:.4f}",
            f"{row.ratio:.3f}",
            f"{row.n_close}/{row.n_splits}",
            "" if others is None else f"{others}/{row.n_splits}",
            f"{row.seconds:.1f}",
        )
        for row in judge(records)
        for others in [row.n_close_of_others]
    ]


def _range_text(rates: list[float]) -> str:
    """Return one rate, or the smallest and the largest of several in one digit."""
    low, high = min(rates), max(rates)
    return f"{low:.2g}" if low == high else f"{low:.1g}-{high:.1g}"


def heading(records: list[Record]) -> list[str]:
    """Describe the content of the table, the versions and the hardware."""
    first = records[0]
    quick = ", quick: few epochs, for tests" if first["quick"] else ""
    versions = ", ".join(f"{k} {v}" for k, v in first["versions"].items())
    judgements = judge(records)
    within = sum(row.ratio <= LIMIT for row in judgements)
    worst = max(judgements, key=lambda row: row.ratio)
    return [
        f"{first['experiment']}{quick}",
        "LearningRateDisplay suggests a rate from the training set. The loss is that "
        "of the validation set in the best epoch, as a mean over the splits. "
        "The grid has ten rates from 0.0001 to 1. "
        "Its best rate has the lowest mean loss of the validation sets, which the "
        "suggestions do not see. The rule of the suggestion was chosen with other "
        "splits. Small tables have several splits, because the best rate of a small "
        "validation set is a matter of chance. *Close* counts the splits in which the "
        "suggestion is within 5 % of the best rate of this split, and *others* "
        "those in which the best rate of all other splits is.",
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
