"""The page: the values that the templates need, and the resulting file."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.report import plots, png_images, task_groups
from benchmarks.report.plots import Frame, Line, Scatter
from benchmarks.report.png_images import Picture
from benchmarks.report.stored_runs import Run, StoredRuns
from benchmarks.report.task_groups import Model, Task

TEMPLATES = Path(__file__).parent / "templates"

# Limits for a page of a thousand runs: pixels of weights and points of curves.
PIXELS, POINTS = 1_200_000, 60_000
MOST_POINTS, LEAST_POINTS = 120, 24

DETAILS_TOGETHER = 100
MOST_CLASSES = 30  # confusion matrices up to this size are also written as a table

COSTS = (
    ("n_parameters", "Parameters"),
    ("fit_seconds", "Seconds to fit"),
)


@dataclass(frozen=True)
class Column:
    """A column of the table. Narrow pages hide the columns of highest `rank` first."""

    name: str
    css: str
    rank: int
    numeric: bool = False
    best_first: bool = False


COLUMNS = (
    Column("model", "model", 0),
    Column("experiment", "experiment", 3),
    Column("data", "data", 0),
    Column("architecture", "architecture", 3),
    Column("parameters", "n", 2, numeric=True),
    Column("seed", "n", 0, numeric=True),
    Column("epochs", "n", 3, numeric=True),
    Column("seconds", "n", 1, numeric=True),
    Column("training accuracy", "n", 4, numeric=True, best_first=True),
    Column("validation accuracy", "n", 3, numeric=True, best_first=True),
    Column("test accuracy", "n strong", 0, numeric=True, best_first=True),
    Column("test loss", "n", 4, numeric=True),
    Column("device", "device", 4),
)


@dataclass(frozen=True)
class Row:
    """One run's line of the table."""

    run: Run
    cells: tuple[str, ...]

    @classmethod
    def of(cls, run: Run) -> Row:
        """Return the line of a run."""
        return cls(
            run,
            (
                run.text("model"),
                run.text("experiment") + (" (quick)" if run.record["quick"] else ""),
                ", ".join(filter(None, (run.text("dataset"), run.size))),
                run.text("architecture"),
                grouped(run.figure("n_parameters")),
                run.text("seed"),
                decimals(run.figure("epochs")),
                seconds(run.figure("fit_seconds")),
                accuracy(run.figure("train_accuracy")),
                accuracy(run.figure("validation_accuracy")),
                "failed" if run.error else accuracy(run.figure("test_accuracy")),
                accuracy(run.figure("test_loss")),
                run.text("device_name") or run.text("device"),
            ),
        )


@dataclass(frozen=True)
class Panel:
    """One model's training curves."""

    model: Model
    lines: list[Line]


@dataclass(frozen=True)
class View:
    """All drawings of a task."""

    task: Task
    scatters: list[tuple[str, Scatter]]
    frame: Frame | None
    panels: list[Panel]
    confusions: list[tuple[Model, Picture]]
    weights: list[tuple[Model, Run, Picture]]

    @property
    def kinds(self) -> list[str]:
        """Families of models, in their order."""
        return list(dict.fromkeys(model.kind for model in self.task.models))

    @property
    def parts(self) -> list[str]:
        """The sets that the curves show."""
        lines = (line for panel in self.panels for line in panel.lines)
        return sorted({line.part for line in lines})

    @property
    def steps(self) -> str:
        """The unit of the curves' horizontal axis."""
        return "weeks" if any(run.is_weekly for run in self.task.runs) else "epochs"

    @property
    def has_best(self) -> bool:
        """Whether any curve has a best epoch."""
        return any(line.best for panel in self.panels for line in panel.lines)


@dataclass(frozen=True)
class Surroundings:
    """Versions and hardware, and the runs that share them."""

    hardware: str
    versions: tuple[tuple[str, str], ...]
    runs: tuple[Run, ...]

    @property
    def finished(self) -> str:
        """The days of the first and the last run."""
        return days(self.runs)


def render(found: StoredRuns) -> str:
    """Return the page. The same runs always give the same page."""
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "accuracy": accuracy,
        "grouped": grouped,
        "seconds": seconds,
        "decimals": decimals,
    }
    tasks = task_groups.group_into_tasks(found.runs)
    curves = sum(len(run.losses) + len(run.scores) for run in found.runs)
    points = max(LEAST_POINTS, min(MOST_POINTS, POINTS // max(1, curves)))
    pixels = PIXELS // max(1, sum(bool(r.mapping("first_layer")) for r in found.runs))
    style, script = (_read(name) for name in ("style.css", "script.js"))
    rows = [Row.of(run) for run in found.runs]
    return templates.get_template("page.html").render(
        runs=found.runs,
        others=found.others,
        columns=COLUMNS,
        rows=rows,
        choices={
            name: sorted(Counter(row.cells[i] for row in rows).items())
            for i, name in ((1, "experiment"), (2, "data"))
        },
        kinds=sorted(Counter(run.kind for run in found.runs).items()),
        tasks=tasks,
        views=[view(task, points, pixels) for task in tasks],
        days=days(found.runs),
        surroundings=describe_environments(found.runs),
        commands=list(dict.fromkeys(run.text("command") for run in found.runs)),
        details=list(details(found.runs, templates)),
        details_together=DETAILS_TOGETHER,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def view(task: Task, points: int, pixels: int) -> View:
    """Draw a task."""
    shared = plots.frame(task.runs)
    matrices = [(m, c) for m in task.models if (c := m.confusion) is not None]
    largest = max((png_images.confused(c).max() for _, c in matrices), default=0)
    return View(
        task,
        [
            (label, drawn)
            for name, label in COSTS
            if (drawn := plots.scatter(task, name)) is not None
        ],
        shared,
        [
            Panel(model, lines)
            for model in task.models
            if shared
            and (lines := [x for run in model.runs for x in shared.lines(run, points)])
        ],
        [(model, png_images.confusion(counts, largest)) for model, counts in matrices],
        [
            (model, run, picture)
            for model in task.models
            for run in model.runs
            if (picture := png_images.weights_of(run, pixels)) is not None
        ],
    )


def details(runs: Sequence[Run], templates: Environment) -> Iterator[str]:
    """Yield the dialogs of the runs, in compressed groups, as base64."""
    template = templates.get_template("run.html")
    for first in range(0, len(runs), DETAILS_TOGETHER):
        pages = []
        for run in runs[first : first + DETAILS_TOGETHER]:
            frame = plots.frame([run], 520, 130, 150)
            counts = run.confusion
            pages.append(
                template.render(
                    run=run,
                    row=Row.of(run),
                    frame=frame,
                    lines=frame.lines(run, MOST_POINTS) if frame else [],
                    counts=None if counts is None else counts.astype(int).tolist(),
                    steps=None if counts is None else steps(counts),
                    most_classes=MOST_CLASSES,
                )
            )
        packed = gzip.compress(json.dumps(pages).encode(), mtime=0)
        yield b64encode(packed).decode("ascii")


def steps(counts: Any) -> list[list[int]]:
    """Return the darkness of each cell of a confusion matrix, from 0 to 9."""
    shares = png_images.confused(counts)
    largest = shares.max() or 1
    # Rounded up, so that a single error is visible.
    return [[int(-(-9 * (x / largest) ** 0.5 // 1)) for x in line] for line in shares]


def describe_environments(runs: Iterable[Run]) -> list[Surroundings]:
    """Group runs by versions and hardware, the largest group first."""
    found: dict[tuple, list[Run]] = {}
    for run in runs:
        versions = tuple((k, str(v)) for k, v in run.mapping("versions").items() if v)
        found.setdefault((hardware(run), versions), []).append(run)
    parts = [Surroundings(*key, tuple(each)) for key, each in found.items()]
    return sorted(parts, key=lambda part: -len(part.runs))


def hardware(run: Run) -> str:
    """Describe the machine and the part of it that a run used."""
    words = [run.text("platform"), run.text("cpu")]
    for name, unit in (("cpu_count", "CPU"), ("threads", "thread")):
        if count := run.figure(name):
            words.append(f"{count:g} {unit}" + "s" * (count != 1))
    device = run.text("device_name") or run.text("device")
    words += [f"device {device}"] if device else []
    return ", ".join(word for word in words if word)


def days(runs: Iterable[Run]) -> str:
    """Write the days on which the first and the last run ended."""
    found = sorted({day for run in runs if (day := run.text("finished")[:10])})
    return " to ".join(dict.fromkeys((found[0], found[-1]))) if found else ""


def accuracy(value: float | None) -> str:
    """Write an accuracy or a loss."""
    return "" if value is None else f"{value:.4f}"


def grouped(value: float | None) -> str:
    """Write a count with commas."""
    return "" if value is None else f"{value:,.0f}"


def decimals(value: float | None) -> str:
    """Write a number of epochs, which is a mean for an ensemble."""
    return "" if value is None else f"{value:.1f}".removesuffix(".0")


def seconds(value: float | None) -> str:
    """Write a time. Below ten seconds it has two decimals."""
    if value is None:
        return ""
    return f"{value:.2f}" if value < 10 else f"{value:,.1f}"


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the hash of a style or script for the page's security policy."""
    return b64encode(sha256(text.encode()).digest()).decode("ascii")
