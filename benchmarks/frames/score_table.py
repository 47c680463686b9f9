"""Tables of stored records: mean ranks, and the score on each table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import Any

import numpy as np

from benchmarks.tables.timing_tables import TimingTable, commands_of, versions

Record = dict[str, Any]
Split = tuple[str, int]  # a table and a seed

RANK_COLUMNS = (
    "contestant",
    "rows",
    "rank by loss",
    "rank by score",
    "loss / default's",
    "AUC",
    "fit CPU s",
    "predict CPU s",
    "lower than default's",
    "splits",
)

# The contestant whose loss is the unit of the relative losses.
UNIT = "Tabular, default"


def latest(records: Iterable[Record]) -> list[Record]:
    """Return the last record of each contestant on each split."""
    last = {(r["table"], r["all_rows"], r["seed"], r["contestant"]): r for r in records}
    return list(last.values())


def means(records: Iterable[Record], figure: str) -> dict[str, dict[str, float]]:
    """Return the mean of a figure over the splits: contestant, then table."""
    values: dict[str, dict[str, list[float]]] = {}
    for record in records:
        if record["error"] is None and figure in record:
            of_contestant = values.setdefault(record["contestant"], {})
            of_contestant.setdefault(record["table"], []).append(record[figure])
    return {
        contestant: {table: fmean(figures) for table, figures in by_table.items()}
        for contestant, by_table in values.items()
    }


def on_splits(records: Iterable[Record], figure: str) -> dict[str, dict[Split, float]]:
    """Return a figure of each contestant on each split: contestant, then split."""
    values: dict[str, dict[Split, float]] = {}
    for record in records:
        if record["error"] is None and figure in record:
            split = record["table"], record["seed"]
            values.setdefault(record["contestant"], {})[split] = record[figure]
    return values


def mean_ranks(
    by_contestant: dict[str, dict[Split, float]], descending: bool
) -> dict[str, float]:
    """Return the mean rank of each contestant over the splits it was measured on.

    Ties share the mean of their ranks. A contestant without a result on a split does
    not count there.
    """
    ranks: dict[str, list[float]] = {name: [] for name in by_contestant}
    splits = sorted({split for values in by_contestant.values() for split in values})
    for split in splits:
        present = {n: v[split] for n, v in by_contestant.items() if split in v}
        for name, value in present.items():
            others = np.array([v for n, v in present.items() if n != name])
            better = others > value if descending else others < value
            ties = (others == value).sum()
            ranks[name].append(1.0 + better.sum() + ties / 2)
    return {name: fmean(values) for name, values in ranks.items() if values}


def on_all_splits(
    by_contestant: dict[str, dict[Split, float]],
) -> dict[str, dict[Split, float]]:
    """Return the contestants that have a result on every split.

    Only they are ranked. A contestant that is too slow for all splits would change the
    ranks of the others on some of them.
    """
    splits = {split for values in by_contestant.values() for split in values}
    return {n: values for n, values in by_contestant.items() if splits <= values.keys()}


def relative_losses(losses: dict[str, dict[Split, float]]) -> dict[str, float]:
    """Return the geometric mean of each contestant's loss divided by `UNIT`'s."""
    unit = losses.get(UNIT, {})
    relative = {}
    for name, by_split in losses.items():
        ratios = [by_split[s] / unit[s] for s in by_split if unit.get(s)]
        if ratios:
            relative[name] = float(np.exp(np.log(ratios).mean()))
    return relative


def lower_losses(losses: dict[str, dict[Split, float]]) -> dict[str, str]:
    """Return on how many common splits each contestant has a lower loss than `UNIT`."""
    unit = losses.get(UNIT, {})
    counts = {}
    for name, by_split in losses.items():
        common = [s for s in by_split if s in unit]
        if common and name != UNIT:
            n_lower = sum(by_split[s] < unit[s] for s in common)
            counts[name] = f"{n_lower} of {len(common)}"
    return counts


def rank_rows(records: Sequence[Record]) -> list[tuple[str, ...]]:
    """Return the rows of the table of ranks, the best loss first.

    Contestants without a result on every split follow, without ranks.
    """
    losses = on_splits(records, "loss")
    loss_ranks = mean_ranks(on_all_splits(losses), descending=False)
    score_ranks = mean_ranks(
        on_all_splits(on_splits(records, "score")), descending=True
    )
    ranked = sorted(loss_ranks, key=loss_ranks.__getitem__)
    unranked = [name for name in losses if name not in loss_ranks]
    relative, lower = relative_losses(losses), lower_losses(losses)
    aucs = means(records, "auc")
    fits, predictions = means(records, "fit_seconds"), means(records, "predict_seconds")
    rows = "all" if records[0]["all_rows"] else "at most 4,000"
    table_rows = [
        (
            name,
            rows,
            f"{loss_ranks[name]:.2f}" if name in loss_ranks else "",
            f"{score_ranks[name]:.2f}" if name in score_ranks else "",
            f"{relative[name]:.3f}" if name in relative else "",
            f"{fmean(aucs[name].values()):.4f}" if name in aucs else "",
            f"{median(fits[name].values()):.1f}",
            f"{median(predictions[name].values()):.2f}",
            lower.get(name, ""),
            str(len(losses[name])),
        )
        for name in ranked + unranked
    ]
    absent = {
        r["contestant"]: r["error"] for r in records if r["contestant"] not in losses
    }
    return table_rows + [
        (name, rows, error, *[""] * (len(RANK_COLUMNS) - 3))
        for name, error in absent.items()
    ]


def rank_table(records: Sequence[Record]) -> TimingTable:
    """Return the table of mean ranks of records with one number of training rows."""
    first = records[0]
    splits = len({r["seed"] for r in records})
    tables = list(dict.fromkeys(r["table"] for r in records))
    heading = [
        f"tables: mean ranks over {len(tables)} tables, {splits} splits"
        + (" (quick: a trial, not a result)" if first["quick"] else ""),
        f"Loss is log loss or RMSE, score is accuracy or R2. Tables: "
        f"{', '.join(tables)}.",
        versions(first),
        f"{first['platform']}, {first['cpu']}, {first['cpu_count']} CPUs, 1 thread.",
    ]
    failures = [
        f"{r['contestant']} on {r['table']}: {r['error']}"
        for r in records
        if r["error"] and "not installed" not in r["error"]
    ]
    return TimingTable(
        heading,
        RANK_COLUMNS,
        rank_rows(records),
        commands_of(list(records)),
        failures,
        whole_names=True,
    )


def figure_table(records: Sequence[Record], figure: str, title: str) -> TimingTable:
    """Return the table of one figure: contestants below, tables to the right."""
    by_contestant = means(records, figure)
    tables = list(dict.fromkeys(r["table"] for r in records))
    rows = "all" if records[0]["all_rows"] else "at most 4,000"
    cells = [
        (
            name,
            rows,
            *(f"{values[t]:.4g}" if t in values else "" for t in tables),
        )
        for name, values in by_contestant.items()
    ]
    return TimingTable(
        [f"tables: {title}"],
        ("contestant", "rows", *tables),
        cells,
        commands_of(list(records)),
        whole_names=True,
    )


def tables_of(records: Sequence[Record]) -> list[TimingTable]:
    """Return all tables of the records, by their numbers of training rows."""
    shown = []
    for all_rows in (False, True):
        group = [r for r in latest(records) if r["all_rows"] == all_rows]
        if not group:
            continue
        shown += [
            rank_table(group),
            figure_table(group, "score", "accuracy or R2"),
            figure_table(group, "loss", "log loss or RMSE"),
            figure_table(group, "fit_seconds", "CPU seconds of a fit"),
        ]
    return shown


def normalised_scores(records: Sequence[Record]) -> dict[str, float]:
    """Return the mean over splits of losses scaled to 0 (worst) and 1 (best)."""
    losses = on_all_splits(on_splits(records, "loss"))
    scaled: dict[str, list[float]] = {}
    for split in {s for values in losses.values() for s in values}:
        present = {n: v[split] for n, v in losses.items() if split in v}
        low, high = min(present.values()), max(present.values())
        for name, value in present.items():
            share = (high - value) / (high - low) if high > low else 1.0
            scaled.setdefault(name, []).append(share)
    return {name: fmean(values) for name, values in scaled.items()}
