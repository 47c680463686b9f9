"""Tasks: groups of comparable runs, by model and seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from benchmarks.report.stored_runs import Run


@dataclass(frozen=True)
class Model:
    """One model of a task with the last run of each seed."""

    name: str
    runs: tuple[Run, ...]

    @property
    def first(self) -> Run:
        """The run of the lowest seed that did not fail, else the first run."""
        return next((r for r in self.runs if not r.error), self.runs[0])

    @property
    def kind(self) -> str:
        """The family of the model."""
        return self.first.kind

    def mean(self, name: str) -> float | None:
        """Return the mean of a figure over the seeds that have it."""
        figures = self.figures(name)
        return fmean(figures) if figures else None

    def deviation(self, name: str) -> float | None:
        """Return the sample deviation of a figure over at least two seeds."""
        figures = self.figures(name)
        return stdev(figures) if len(figures) > 1 else None

    def figures(self, name: str) -> list[float]:
        """Return the values of a figure, of every seed that has it."""
        return [f for run in self.runs if (f := run.figure(name)) is not None]

    @property
    def reported(self) -> list[float]:
        """The test accuracies that the experiment's source reports."""
        values = self.first.sequence("reported")
        return [value for value in values if isinstance(value, float)]

    @property
    def confusion(self) -> np.ndarray | None:
        """Counts of test samples over all seeds."""
        found = [counts for run in self.runs if (counts := run.confusion) is not None]
        if not found or len({counts.shape for counts in found}) > 1:
            return None
        return np.sum(found, axis=0)


@dataclass(frozen=True)
class Task:
    """One experiment on one data set of one size, with its models."""

    number: int
    models: tuple[Model, ...]

    @property
    def runs(self) -> list[Run]:
        """The runs of all models."""
        return [run for model in self.models for run in model.runs]

    @property
    def name(self) -> str:
        """The experiment's name, marked if it was a trial."""
        first = self.runs[0]
        return first.text("experiment") + (" (quick)" if first.record["quick"] else "")

    @property
    def data(self) -> str:
        """The data set and the part of it."""
        first = self.runs[0]
        size = first.size + " of rows" * first.size.endswith("%")
        return f"{first.text('dataset')}, {size or 'all rows'}"

    @property
    def measure(self) -> str:
        """The figure that compares models: test accuracy, else validation accuracy."""
        tested = any(run.figure("test_accuracy") is not None for run in self.runs)
        return "test_accuracy" if tested else "validation_accuracy"

    @property
    def best(self) -> Model | None:
        """The model with the highest mean accuracy."""
        scored = [m for m in self.models if m.mean(self.measure) is not None]
        return max(scored, key=lambda m: m.mean(self.measure) or 0, default=None)

    @property
    def remarks(self) -> list[str]:
        """Remarks on the data."""
        said = (r for run in self.runs for r in run.sequence("data_remarks"))
        return list(dict.fromkeys(map(str, said)))


def group_into_tasks(runs: Iterable[Run]) -> list[Task]:
    """Group runs into tasks by experiment, data and size; trials are last."""
    tasks: dict[tuple, dict[str, list[Run]]] = {}
    kept = [run for run in runs if not run.replaced]
    for run in sorted(kept, key=lambda run: (run.order, run.seed)):
        models = tasks.setdefault(run.group, {})
        models.setdefault(run.text("model"), []).append(run)
    names = sorted(tasks, key=lambda key: (bool(key[-1]), str(key)))
    return [
        Task(i, tuple(Model(m, tuple(each)) for m, each in tasks[name].items()))
        for i, name in enumerate(names)
    ]


def pareto_front(points: list[tuple[float, float]]) -> list[int]:
    """Return the indices of points (cost, gain) on the Pareto front, by rising cost.

    No other point has at most their cost and at least their gain. Of equal points the
    first counts.

    Examples
    --------
    >>> pareto_front([(3, 0.9), (1, 0.8), (2, 0.7), (4, 0.9)])
    [1, 0]
    """
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1], i))
    chosen: list[int] = []
    for i in order:
        if not chosen or points[i][1] > points[chosen[-1]][1]:
            chosen.append(i)
    return chosen
