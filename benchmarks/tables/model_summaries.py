"""Summaries of one model's stored runs, and the columns that a table can show."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import fmean, stdev

from benchmarks.result_store.result_files import Record

# From names of figures in a record to their titles.
FIGURES = {
    "train_loss": "train loss",
    "train_accuracy": "train accuracy",
    "validation_accuracy": "validation accuracy",
    "gap": "gap",
    "mean_of_weeks": "mean of weeks",
    "test_accuracy": "test accuracy",
    "test_loss": "test loss",
    "micro_f1": "micro F1",
    "train_error": "train error",
    "reconstruction_error": "test error",
}


@dataclass(frozen=True)
class ModelSummary:
    """One model's runs: means over the seeds whose training succeeded.

    `figures` holds the values of all runs by name. `members` holds one mean accuracy of
    an ensemble's single members for each run.
    """

    model: str
    layers: str
    architecture: str
    n_parameters: str
    train_size: str
    rows_trained_on: str
    epochs: str
    fit_seconds: str
    n_done: int
    members: tuple[float, ...]
    reported: tuple[float, ...]
    figures: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def accuracies(self) -> tuple[float, ...]:
        """The test accuracies of all runs."""
        return self.figures.get("test_accuracy", ())

    @property
    def reported_text(self) -> str:
        """The reported figures, as their source prints them."""
        return " / ".join(f"{figure:.4f}" for figure in self.reported)

    def cell(self, figure: str) -> str:
        """Return the mean of a figure ± its sample deviation over seeds."""
        if not self.n_done:
            return "failed"
        return format_mean_and_deviation(self.figures.get(figure, ()))

    def difference(self, figure: str) -> str:
        """Return our mean minus the higher reported figure."""
        ours = self.figures.get(figure, ())
        if not self.reported or not ours:
            return ""
        return f"{fmean(ours) - max(self.reported):+.4f}"

    def is_below_reported(self, figure: str) -> bool:
        """Whether our mean is more than two deviations below the reported figure."""
        ours = self.figures.get(figure, ())
        if not self.reported or len(ours) < 2:
            return False
        return fmean(ours) + 2 * stdev(ours) < max(self.reported)


def format_mean_and_deviation(figures: tuple[float, ...]) -> str:
    """Write ``0.9512 ±0.0013``. One figure has no deviation; no figure is empty."""
    if len(figures) > 1:
        return f"{fmean(figures):.4f} ±{stdev(figures):.4f}"
    return f"{figures[0]:.4f}" if figures else ""


Column = tuple[str, Callable[[ModelSummary], str]]


def _figure_cell(name: str) -> Callable[[ModelSummary], str]:
    return lambda row: row.cell(name)


KNOWN_COLUMNS: dict[str, Callable[[ModelSummary], str]] = {
    "model": lambda row: row.model,
    "layers": lambda row: row.layers,
    "architecture": lambda row: row.architecture,
    "parameters": lambda row: row.n_parameters,
    "train size": lambda row: row.train_size,
    "rows trained on": lambda row: row.rows_trained_on,
    "epochs": lambda row: row.epochs,
    "fit s": lambda row: row.fit_seconds,
    **{words: _figure_cell(name) for name, words in FIGURES.items()},
    "accuracy on rows left out": _figure_cell("test_accuracy"),
}
SEEDS_COLUMN: Column = ("seeds", lambda row: str(row.n_done))
MEMBERS_COLUMN: Column = (
    "average member",
    lambda row: format_mean_and_deviation(row.members),
)


def reported_columns(figure: str) -> tuple[Column, ...]:
    """Return the columns of the reported figure and of our difference from it."""
    return (
        ("reported", lambda row: row.reported_text),
        ("difference", lambda row: row.difference(figure)),
    )


def summarize(records: Iterable[Record]) -> list[ModelSummary]:
    """Summarize each model, in the order of the records."""
    runs: dict[str, list[Record]] = {}
    for record in records:
        runs.setdefault(record["model"], []).append(record)
    return [_summarize_model(model, each) for model, each in runs.items()]


def _summarize_model(model: str, runs: list[Record]) -> ModelSummary:
    done = [run for run in runs if not run["error"]]
    values = {name: tuple(map(float, _values(done, name))) for name in FIGURES}
    seconds = [run["fit_seconds"] for run in done if "fit_seconds" in run]
    return ModelSummary(
        model=model,
        layers=join_distinct(run.get("layers") for run in done),
        architecture=join_distinct(run["architecture"] for run in runs),
        n_parameters=join_distinct(run.get("n_parameters") for run in done),
        train_size=join_distinct(count_training_samples(run) for run in runs),
        rows_trained_on=join_distinct(run["rows"]["train"] for run in runs),
        epochs=f"{fmean(run['epochs'] for run in done):.0f}" if done else "",
        fit_seconds=_seconds(seconds),
        n_done=len(done),
        members=tuple(
            fmean(run["member_accuracies"])
            for run in done
            if run.get("member_accuracies")
        ),
        reported=tuple(runs[-1]["reported"]),
        figures={name: found for name, found in values.items() if found},
    )


def _values(runs: list[Record], figure: str) -> list[float]:
    """Return a figure of every run that has it."""
    found = []
    for run in runs:
        if figure == "gap":
            if run.get("validation_accuracy") is not None:
                found.append(run["train_accuracy"] - run["validation_accuracy"])
        elif figure == "mean_of_weeks":
            if weeks := run.get("curves", {}).get("week_score"):
                found.append(fmean(weeks))
        elif figure == "train_loss":
            # Last epoch's loss: of its final weights if stored, else over its batches.
            curve = run.get("curves", {}).get(figure) or run.get("loss_curve")
            if curve and curve[-1] is not None:
                found.append(curve[-1])
        elif run.get(figure) is not None:
            found.append(run[figure])
    return found


def count_training_samples(run: Record) -> int:
    """Return the number of samples a model was given, including its validation set."""
    return run["rows"]["train"] + run["rows"]["validation"]


def join_distinct(values: Iterable[object]) -> str:
    """Write the common value, or all different values."""
    seen = dict.fromkeys(values)
    return " or ".join(
        f"{value:,}" if isinstance(value, int) else str(value)
        for value in seen
        if value is not None
    )


def _seconds(times: list[float]) -> str:
    """Write a mean time. Below ten seconds it has two decimals."""
    if not times:
        return ""
    return f"{fmean(times):.2f}" if fmean(times) < 10 else f"{fmean(times):.0f}"
