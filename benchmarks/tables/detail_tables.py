"""What stands below a table: small tables of their own, from stored records too."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from rich import box
from rich.table import Table

from benchmarks.definitions.experiment import Experiment
from benchmarks.result_store.result_files import Record
from benchmarks.tables.model_summaries import mean_and_deviation


@dataclass(frozen=True)
class Block:
    """A titled table of texts; its first column is set to the left."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def as_table(self) -> Table:
        """Lay it out for the terminal."""
        table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
        for i, name in enumerate(self.header):
            table.add_column(name, justify="right" if i else "left")
        for row in self.rows:
            table.add_row(*row)
        return table


def blocks(experiment: Experiment, records: Sequence[Record]) -> Iterator[Block]:
    """Yield what the experiment wants below its table."""
    models: dict[str, list[Record]] = {}
    for record in records:
        if not record["error"]:
            models.setdefault(record["model"], []).append(record)
    for name in experiment.details:
        yield from DETAILS[name](models)


Models = dict[str, list[Record]]


def epochs(models: Models) -> Iterator[Block]:
    """Show reported and our mean curves side by side, an epoch a row."""
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
        yield Block(title, tuple(header), rows)


CURVE_NAMES = {
    "loss_curve": "loss",
    "running_score": "accuracy",
    "validation_scores": "validation accuracy",
}


def confusion(models: Models) -> Iterator[Block]:
    """Show the confusion matrix of every model's first run."""
    for model, runs in models.items():
        first = runs[0]
        # Records of before there were classes in them have numbered ones.
        matrix = first["confusion_matrix"]
        labels = tuple(map(str, first.get("classes") or range(len(matrix))))
        yield Block(
            f"{model}, confusion matrix of seed {first['seed']}: rows are true labels, "
            "columns predicted ones",
            ("", *labels),
            [
                (label, *map(str, row))
                for label, row in zip(labels, matrix, strict=True)
            ],
        )


def example(models: Models) -> Iterator[Block]:
    """Show the label predicted for one test row before and after training."""
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
        title = f"Test row {', '.join(map(str, numbers))}, counted from 0"
        yield Block(title, ("model", "seed", "before", "after", "true label"), rows)


def weeks(models: Models) -> Iterator[Block]:
    """Set static beside continual learning, week by week and in all."""
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
            cells = (mean_and_deviation(static), mean_and_deviation(continual))
            gain = mean_and_deviation(gains)
            rows.append((name, *cells, gain if gain.startswith("-") else f"+{gain}"))
        kind = f"each class with its season of {season}" if season else "all alike"
        yield Block(
            f"Test accuracy after each week; weeks {kind}",
            ("week", "static", "continual", "continual - static"),
            rows,
        )


def best(models: Models) -> Iterator[Block]:
    """Name the candidate of the highest mean validation accuracy."""
    means = {
        model: tuple(run["validation_accuracy"] for run in runs)
        for model, runs in models.items()
    }
    if means:
        model = max(means, key=lambda name: fmean(means[name]))
        cells = (model, mean_and_deviation(means[model]))
        yield Block("The best candidate", ("model", "validation accuracy"), [cells])


def laws(models: Models) -> Iterator[Block]:
    """Set the laws of initial weights in order."""
    yield from _in_order(models, "initial weights", lambda params: params["init"])


def kept(models: Models) -> Iterator[Block]:
    """Set in order which weights are kept in the end."""

    def which(params: Record) -> str:
        if params["weight_averaging"] is not None:
            return f"average, decay {params['weight_averaging']}"
        return "best epoch" if params["restore_best_weights"] else "last epoch"

    yield from _in_order(models, "weights kept", which)


def moved(models: Models) -> Iterator[Block]:
    """Set Keras's ways of moving images in order."""

    def which(params: Record) -> str:
        nearest = "nearest" in str(params["augmentation"])
        return "until 2017: nearest pixel" if nearest else "since: a mix of four"

    yield from _in_order(models, "images moved as by Keras", which)


def _in_order(
    models: Models, title: str, choice: Callable[[Record], str]
) -> Iterator[Block]:
    """Set choices in order, each by its mean over the networks, the best one first.

    Of seeds that every network has with every choice.
    """
    if not models:
        return
    seeds = set.intersection(*({r["seed"] for r in runs} for runs in models.values()))
    found: dict[str, dict[int, list[float]]] = {}
    for run in (run for runs in models.values() for run in runs):
        if run["seed"] in seeds:
            of_seeds = found.setdefault(choice(run["parameters"]), {})
            of_seeds.setdefault(run["seed"], []).append(run["test_accuracy"])
    means = {
        name: tuple(fmean(accuracies) for accuracies in of_seeds.values())
        for name, of_seeds in found.items()
    }
    best_first = sorted(means, key=lambda name: fmean(means[name]), reverse=True)
    header = (title, "accuracy on rows left out")
    rows = [(name, mean_and_deviation(means[name])) for name in best_first]
    yield Block("Means over the networks, the best first", header, rows)


DETAILS: dict[str, Callable[[Models], Iterator[Block]]] = {
    "epochs": epochs,
    "confusion": confusion,
    "example": example,
    "weeks": weeks,
    "best": best,
    "laws": laws,
    "kept": kept,
    "moved": moved,
}


# Curves that every network keeps itself.
STORED_APART = ("loss_curve", "validation_scores")


def mean_curve(runs: Sequence[Record], name: str) -> list[float]:
    """Return a curve's mean over runs, for the epochs that all of them have."""
    curves = [
        (run if name in STORED_APART else run.get("curves", {})).get(name) or []
        for run in runs
    ]
    # What was not finite is stored as null.
    return [
        math.nan if None in values else fmean(values)
        for values in zip(*curves, strict=False)
    ]
