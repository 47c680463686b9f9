"""Small tables below the table of an experiment, also made from stored records."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from rich import box
from rich.table import Table

from benchmarks.definitions.experiment import Experiment
from benchmarks.result_store.result_files import Record
from benchmarks.tables.model_summaries import format_mean_and_deviation


@dataclass(frozen=True)
class DetailTable:
    """A titled table of texts. Its first column is left-aligned."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def as_table(self) -> Table:
        """Return the table for the terminal."""
        table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
        for i, name in enumerate(self.header):
            table.add_column(name, justify="right" if i else "left")
        for row in self.rows:
            table.add_row(*row)
        return table


def make_detail_tables(
    experiment: Experiment, records: Sequence[Record]
) -> Iterator[DetailTable]:
    """Yield the tables that the experiment shows below its table."""
    models: dict[str, list[Record]] = {}
    for record in records:
        if not record["error"]:
            models.setdefault(record["model"], []).append(record)
    for name in experiment.details:
        yield from DETAILS[name](models)


Models = dict[str, list[Record]]


def epoch_table(models: Models) -> Iterator[DetailTable]:
    """Compare reported curves with the mean of ours, one epoch per line."""
    for model, runs in models.items():
        reported = runs[-1].get("reported_curves") or {}
        if not reported:
            continue
        names = tuple(reported)
        ours = {name: mean_curve(runs, name) for name in names}
        n_epochs = max(len(values) for values in reported.values())
        header = ["epoch"]
        for name in names:
            words = CURVE_NAMES[name]
            header += [f"{words}: reported", "ours"]
        rows = []
        for epoch in range(n_epochs):
            row = [str(epoch + 1)]
            for name in names:
                both = (reported[name], ours[name])
                row += [f"{c[epoch]:.4f}" if epoch < len(c) else "" for c in both]
            rows.append(tuple(row))
        title = f"{model}, every epoch (ours: mean over {len(runs)} seeds)"
        yield DetailTable(title, tuple(header), rows)


CURVE_NAMES = {
    "loss_curve": "loss",
    "running_score": "accuracy",
    "validation_scores": "validation accuracy",
}


def confusion_tables(models: Models) -> Iterator[DetailTable]:
    """Show the confusion matrix of every model's first run."""
    for model, runs in models.items():
        first = runs[0]
        # Early records have no class names; their classes are numbered.
        matrix = first["confusion_matrix"]
        labels = tuple(map(str, first.get("classes") or range(len(matrix))))
        yield DetailTable(
            f"{model}, confusion matrix of seed {first['seed']}: lines are true "
            "labels, columns are predicted labels",
            ("", *labels),
            [
                (label, *map(str, row))
                for label, row in zip(labels, matrix, strict=True)
            ],
        )


def example_table(models: Models) -> Iterator[DetailTable]:
    """Show the label predicted for one test sample before and after training."""
    rows = [
        (
            model,
            str(run["seed"]),
            *(str(shown[k]) for k in ("before", "after", "label")),
        )
        for model, runs in models.items()
        for run in runs
        if (shown := run.get("example"))
    ]
    numbers = {
        run["example"]["row"]
        for runs in models.values()
        for run in runs
        if run.get("example")
    }
    if rows:
        title = f"Test sample {', '.join(map(str, numbers))}, counted from 0"
        yield DetailTable(
            title, ("model", "seed", "before", "after", "true label"), rows
        )


def weekly_tables(models: Models) -> Iterator[DetailTable]:
    """Compare static with continual learning, for each week and over all weeks."""
    pairs: dict[float, dict[bool, list[Record]]] = {}
    for runs in models.values():
        plan = runs[0]["weeks"]
        pairs.setdefault(plan["season"], {})[plan["continual"]] = runs
    for season, pair in pairs.items():
        if len(pair) < 2:
            continue
        curves = [
            [run["curves"]["week_score"] for run in pair[c]] for c in (False, True)
        ]
        seeds = min(map(len, curves))
        n_weeks = len(curves[0][0])
        spans = {str(week + 1): [week] for week in range(n_weeks)}
        spans["mean of all"] = list(range(n_weeks))
        rows = []
        for name, span in spans.items():
            static, continual = (
                tuple(fmean(curve[week] for week in span) for curve in of_kind[:seeds])
                for of_kind in curves
            )
            gains = tuple(b - a for a, b in zip(static, continual, strict=True))
            cells = (
                format_mean_and_deviation(static),
                format_mean_and_deviation(continual),
            )
            gain = format_mean_and_deviation(gains)
            rows.append((name, *cells, gain if gain.startswith("-") else f"+{gain}"))
        kind = f"with a season of {season} for each class" if season else "all alike"
        yield DetailTable(
            f"Test accuracy after each week; weeks {kind}",
            ("week", "static", "continual", "continual - static"),
            rows,
        )


def best_candidate_table(models: Models) -> Iterator[DetailTable]:
    """Show the candidate with the highest mean validation accuracy."""
    means = {
        model: tuple(run["validation_accuracy"] for run in runs)
        for model, runs in models.items()
    }
    if means:
        model = max(means, key=lambda name: fmean(means[name]))
        cells = (model, format_mean_and_deviation(means[model]))
        yield DetailTable(
            "The best candidate", ("model", "validation accuracy"), [cells]
        )


def initializer_table(models: Models) -> Iterator[DetailTable]:
    """Rank the initializers."""
    yield from _rank_choices(models, "initial weights", lambda params: params["init"])


def final_weights_table(models: Models) -> Iterator[DetailTable]:
    """Rank the choices of final weights."""

    def which(params: Record) -> str:
        if params["weight_averaging"] is not None:
            return f"average, decay {params['weight_averaging']}"
        return "best epoch" if params["restore_best_weights"] else "last epoch"

    yield from _rank_choices(models, "weights kept", which)


def image_moves_table(models: Models) -> Iterator[DetailTable]:
    """Rank Keras's ways of moving images."""

    def which(params: Record) -> str:
        nearest = "nearest" in str(params["augmentation"])
        return "until 2017: nearest pixel" if nearest else "since: a mix of four"

    yield from _rank_choices(models, "images moved as by Keras", which)


def _rank_choices(
    models: Models, title: str, choice: Callable[[Record], str]
) -> Iterator[DetailTable]:
    """Rank choices by their mean accuracy over the networks, the best one first.

    Only seeds that every network has with every choice count.
    """
    if not models:
        return
    seeds = set.intersection(*({r["seed"] for r in runs} for runs in models.values()))
    accuracies_by_choice: dict[str, dict[int, list[float]]] = {}
    for run in (run for runs in models.values() for run in runs):
        if run["seed"] in seeds:
            by_seed = accuracies_by_choice.setdefault(choice(run["parameters"]), {})
            by_seed.setdefault(run["seed"], []).append(run["test_accuracy"])
    means = {
        name: tuple(fmean(accuracies) for accuracies in by_seed.values())
        for name, by_seed in accuracies_by_choice.items()
    }
    best_first = sorted(means, key=lambda name: fmean(means[name]), reverse=True)
    header = (title, "accuracy on rows left out")
    rows = [(name, format_mean_and_deviation(means[name])) for name in best_first]
    yield DetailTable("Means over the networks, best first", header, rows)


DETAILS: dict[str, Callable[[Models], Iterator[DetailTable]]] = {
    "epochs": epoch_table,
    "confusion": confusion_tables,
    "example": example_table,
    "weeks": weekly_tables,
    "best": best_candidate_table,
    "initializers": initializer_table,
    "final_weights": final_weights_table,
    "image_moves": image_moves_table,
}


# Curves that are fields of the record itself.
RECORD_CURVES = ("loss_curve", "validation_scores")


def mean_curve(runs: Sequence[Record], name: str) -> list[float]:
    """Return the mean of a curve over runs, for the epochs that all of them have."""
    curves = [
        (run if name in RECORD_CURVES else run.get("curves", {})).get(name) or []
        for run in runs
    ]
    # A value that was not finite is stored as null.
    return [
        math.nan if None in values else fmean(values)
        for values in zip(*curves, strict=False)
    ]
