"""The coordinates of the drawings: accuracy against a cost, and training curves.

Drawings are plain data in units of the SVG's view box. The templates write them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.report import plot_axes
from benchmarks.report.plot_axes import Axis
from benchmarks.report.stored_runs import Curve, Run
from benchmarks.report.task_groups import Model, Task, pareto_front

WIDTH, HEIGHT = 460, 330
LEFT, RIGHT, TOP, BOTTOM = 50, 14, 14, 44
LETTER, LINE, MOST_LETTERS = 6.8, 14, 24  # upper limits for the size of a label

PANEL_WIDTH, PANEL_LEFT, PANEL_RIGHT = 248, 40, 8
LOSS_HEIGHT, SCORE_HEIGHT, GAP, FOOT = 74, 92, 12, 22

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Dot:
    """One run."""

    x: float
    y: float
    run: Run
    kind: str


@dataclass(frozen=True)
class Label:
    """A text that starts, ends or is centered at a position."""

    x: float
    y: float
    anchor: str
    text: str


@dataclass(frozen=True)
class Mark:
    """The mean of one model's runs. It has a label if there is space for one."""

    x: float
    y: float
    model: Model
    best: bool
    label: Label | None = None


@dataclass(frozen=True)
class Scatter:
    """Accuracy against a cost."""

    x: Axis
    y: Axis
    dots: list[Dot]
    marks: list[Mark]
    stairs: str
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def best(self) -> list[str]:
        """Models on the Pareto front, ordered by cost."""
        chosen = sorted((m for m in self.marks if m.best), key=lambda mark: mark.x)
        return [mark.model.name for mark in chosen]


def scatter(task: Task, cost: str) -> Scatter | None:
    """Draw test accuracy against parameters or seconds; None if no run has both."""
    pairs = [
        (run, x, y, model)
        for model in task.models
        for run in model.runs
        if (x := run.figure(cost)) is not None
        and x > 0
        and (y := run.figure("test_accuracy")) is not None
    ]
    if not pairs:
        return None
    x_axis = plot_axes.logarithmic([p[1] for p in pairs], LEFT, WIDTH - RIGHT)
    y_axis = plot_axes.accuracy([p[2] for p in pairs], HEIGHT - BOTTOM, TOP)
    dots = [
        Dot(x_axis.position(x), y_axis.position(y), r, m.kind) for r, x, y, m in pairs
    ]
    means: list[tuple[Model, float, float]] = []
    for model in task.models:
        own = [(x, y) for _, x, y, m in pairs if m is model]
        if own:
            xs, ys = zip(*own, strict=True)
            means.append((model, sum(xs) / len(xs), sum(ys) / len(ys)))
    chosen = pareto_front([(x, y) for _, x, y in means])
    marks = [
        Mark(x_axis.position(x), y_axis.position(y), model, i in chosen)
        for i, (model, x, y) in enumerate(means)
    ]
    best = [marks[i] for i in chosen]
    return Scatter(x_axis, y_axis, dots, _place_labels(marks), _stairs(best))


def _stairs(best: list[Mark]) -> str:
    """Return the path along the Pareto front: the best accuracy at each cost."""
    path = f"M{best[0].x:.1f} {HEIGHT - BOTTOM}V{best[0].y:.1f}"
    path += "".join(f"H{mark.x:.1f}V{mark.y:.1f}" for mark in best[1:])
    return path + f"H{WIDTH - RIGHT}"


def _place_labels(marks: list[Mark]) -> list[Mark]:
    """Give each mark's label a free position, if any; the front has priority."""
    taken: list[Box] = [(m.x - 6, m.y - 6, m.x + 6, m.y + 6) for m in marks]
    labels: dict[str, Label] = {}
    for mark in sorted(marks, key=lambda mark: (not mark.best, mark.y)):
        name = mark.model.name
        text = name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"
        for label in _candidate_labels(mark, text):
            box = label_box(label)
            if _is_inside_axes(box) and not any(
                _boxes_overlap(box, other) for other in taken
            ):
                taken.append(box)
                labels[name] = label
                break
    return [Mark(m.x, m.y, m.model, m.best, labels.get(m.model.name)) for m in marks]


def _candidate_labels(mark: Mark, text: str) -> Iterable[Label]:
    """Yield possible labels of a mark, the most readable first."""
    for right, down, anchor in (
        (-9, -4, "end"),
        (9, 4, "start"),
        (-9, 4, "end"),
        (6, 17, "start"),
        (0, -10, "middle"),
        (0, 20, "middle"),
        (7, -7, "start"),
        (-6, 17, "end"),
    ):
        yield Label(mark.x + right, mark.y + down, anchor, text)


def label_box(label: Label) -> Box:
    """Return the largest box of a label: left, top, right, bottom."""
    wide = len(label.text) * LETTER
    left = label.x - wide * {"start": 0, "middle": 0.5, "end": 1}[label.anchor]
    return left, label.y - LINE + 4, left + wide, label.y + 3


def _is_inside_axes(box: Box) -> bool:
    """Whether a label is inside the axes."""
    left, top, right, bottom = box
    across = left >= LEFT + 2 and right <= WIDTH - 2
    return across and top >= TOP - 8 and bottom <= HEIGHT - BOTTOM - 1


def _boxes_overlap(one: Box, other: Box) -> bool:
    """Whether two boxes overlap."""
    apart = one[2] <= other[0] or other[2] <= one[0]
    return not (apart or one[3] <= other[1] or other[3] <= one[1])


@dataclass(frozen=True)
class Line:
    """One curve of one run, with the position of its best epoch."""

    path: str
    part: str
    run: Run
    best: tuple[float, float] | None = None


@dataclass(frozen=True)
class Frame:
    """The axes that all panels of a task share. An axis may be missing."""

    epochs: Axis
    loss: Axis | None
    score: Axis | None
    width: int
    height: int

    def lines(self, run: Run, points: int) -> list[Line]:
        """Draw one run's curves within the frame."""
        drawn = []
        for axis, curves in ((self.loss, run.losses), (self.score, run.scores)):
            for name, values in curves.items():
                if axis is None:
                    continue
                best_epoch = run.best_epoch_in(values) if axis is self.score else None
                path = _path(self.epochs, axis, values, points, best_epoch)
                best = best_epoch and (
                    self.epochs.position(best_epoch),
                    axis.position(values[best_epoch - 1] or 0),
                )
                drawn.append(Line(path, part_of(name), run, best))
        return drawn


def part_of(name: str) -> str:
    """Return the set that a curve shows, by the curve's name."""
    if "validation" in name:
        return "validation"
    return "test" if name.startswith(("test", "week")) else "training"


def frame(
    runs: Sequence[Run],
    width: int = PANEL_WIDTH,
    loss_height: int = LOSS_HEIGHT,
    score_height: int = SCORE_HEIGHT,
) -> Frame | None:
    """Make the axes for the curves of some runs; None if there are no curves."""
    losses = _values(runs, lambda run: run.losses)
    scores = _values(runs, lambda run: run.scores)
    lengths = [
        len(curve)
        for run in runs
        for curve in (*run.losses.values(), *run.scores.values())
    ]
    if not lengths:
        return None
    left, right = PANEL_LEFT, width - PANEL_RIGHT
    # On a linear axis, a few long runs would compress the short ones.
    if max(lengths) > 3 * median(lengths):
        epochs = plot_axes.logarithmic([1, max(lengths)], left, right)
    else:
        epochs = plot_axes.linear([1, max(lengths)], left, right)
    loss = score = None
    end = 6.0
    if losses:
        make: Callable[..., Axis] = (
            plot_axes.logarithmic if min(losses) > 0 else plot_axes.linear
        )
        loss, end = make(losses, end + loss_height, end), end + loss_height
    if scores:
        end += GAP if losses else 0
        score, end = (
            plot_axes.accuracy(scores, end + score_height, end),
            end + score_height,
        )
    return Frame(epochs, loss, score, width, int(end) + FOOT)


def _values(
    runs: Iterable[Run], curves: Callable[[Run], Mapping[str, Curve]]
) -> list[float]:
    """Return all values of some curves."""
    return [
        value
        for run in runs
        for curve in curves(run).values()
        for value in curve
        if value is not None
    ]


def _path(x: Axis, y: Axis, values: Curve, points: int, best_epoch: int | None) -> str:
    """Write a curve as a path of relative steps. A missing value interrupts it.

    Epochs that are too close to the previous point are omitted, except the last one and
    `best_epoch`.
    """
    least = abs(x.stop - x.start) / points
    path, last, drawn = [], None, None
    for i, value in enumerate(values):
        if value is None:
            last = None
            continue
        place = (round(x.position(i + 1), 1), round(y.position(value), 1))
        near = drawn is not None and place[0] - drawn[0] < least
        if last is None:
            path.append(f"M{place[0]:g} {place[1]:g}")
        elif near and i + 1 not in (best_epoch, len(values)):
            continue
        else:
            dx, dy = place[0] - last[0], place[1] - last[1]
            path.append(f"l{dx:.1f} {dy:.1f}".replace(".0", ""))
        last = drawn = place
    return "".join(path)
