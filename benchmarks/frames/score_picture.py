"""A picture of the mean normalised score against the CPU seconds of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.frames.score_table import latest, means, normalised_scores


def draw(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw one point for each contestant."""
    from matplotlib.figure import Figure

    shown = [r for r in latest(records) if not r["all_rows"]]
    scores, seconds = normalised_scores(shown), means(shown, "fit_seconds")
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, score in scores.items():
        fit_seconds = median(seconds[name].values())
        is_ours = name.startswith("Tabular")
        axes.scatter(
            fit_seconds,
            score,
            color="C3" if is_ours else "C0",
            marker="o" if is_ours else "s",
        )
        axes.annotate(
            name,
            (fit_seconds, score),
            xytext=(5, 4),
            textcoords="offset points",
            fontsize="small",
        )
    axes.set_xscale("log")
    axes.set_xlabel("median CPU seconds of a fit (one thread)")
    axes.set_ylabel("mean normalised score (1: lowest loss)")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
