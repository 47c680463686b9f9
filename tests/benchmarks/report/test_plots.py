import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.report import plots
from benchmarks.report.task_groups import group_into_tasks


@pytest.fixture
def task_of(runs_of):
    """Return a function that makes a single task from records."""

    def make(records):
        (task,) = group_into_tasks(runs_of(records))
        return task

    return make


def test_every_run_with_both_figures_has_a_dot(task_of, many, make_record):
    bad = make_record(
        experiment="compare", dataset="data-0", model="x", n_parameters=None
    )
    task = task_of([*many(12), bad])
    plot = plots.scatter(task, "n_parameters")
    assert len(plot.dots) == 12
    assert len(plot.marks) == 4
    more = {dot.run.number: dot.x for dot in plot.dots}
    fewer = [more[run.number] for run in task.runs[:3]]
    assert max(fewer) < min(x for n, x in more.items() if n > 5)


def test_mark_is_the_mean_over_seeds(task_of, make_record):
    task = task_of(
        [make_record(seed=i, test_accuracy=a) for i, a in enumerate((0.9, 0.96))]
    )
    plot = plots.scatter(task, "n_parameters")
    (mark,) = plot.marks
    assert mark.y == pytest.approx(plot.y.position(0.93))
    assert mark.best
    assert plot.best == ["mlp-50"]


def test_models_on_the_pareto_front_are_marked(task_of, make_record):
    figures = {"a": (10, 0.8), "b": (20, 0.7), "c": (30, 0.9)}
    task = task_of(
        [
            make_record(model=name, n_parameters=n, test_accuracy=accuracy)
            for name, (n, accuracy) in figures.items()
        ]
    )
    plot = plots.scatter(task, "n_parameters")
    assert plot.best == ["a", "c"]
    assert plot.stairs.count("V") == 2


@pytest.mark.parametrize(
    "change", [{"n_parameters": None}, {"n_parameters": 0}, {"test_accuracy": None}]
)
def test_task_without_figures_has_no_scatter(change, task_of, make_record):
    assert plots.scatter(task_of([make_record(**change)]), "n_parameters") is None


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(1, 10**7), st.floats(0.1, 0.999), st.integers(1, 30)),
        min_size=1,
        max_size=12,
    )
)
def test_labels_do_not_overlap_or_leave_the_axes(figures):
    from benchmarks.report.stored_runs import Run

    runs = [
        Run(
            i,
            {
                "experiment": "e",
                "dataset": "d",
                "train_size": None,
                "quick": False,
                "model": f"{i}" + "m" * length,
                "seed": 0,
                "n_parameters": n,
                "test_accuracy": accuracy,
            },
        )
        for i, (n, accuracy, length) in enumerate(figures)
    ]
    plot = plots.scatter(group_into_tasks(runs)[0], "n_parameters")
    boxes = [plots.label_box(mark.label) for mark in plot.marks if mark.label]
    for i, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 0
        assert right <= plot.width
        assert top >= 0
        assert bottom <= plot.height
        for other in boxes[:i]:
            apart = left >= other[2] or other[0] >= right
            assert apart or top >= other[3] or other[1] >= bottom
        for mark in plot.marks:
            assert not (left < mark.x < right and top < mark.y < bottom)


def points(path):
    """Return the positions that a path of M and l visits."""
    place, found = (0.0, 0.0), []
    for letter, numbers in re.findall(r"([Ml])([^Ml]*)", path):
        x, y = map(float, numbers.split())
        place = (x, y) if letter == "M" else (place[0] + x, place[1] + y)
        found.append(place)
    return found


def test_curve_goes_through_its_values(task_of, make_record):
    task = task_of([make_record()])
    frame = plots.frame(task.runs)
    (run,) = task.runs
    for axis, line, values in zip(
        (frame.loss, frame.score),
        frame.lines(run, 120),
        (run.record["loss_curve"], run.record["validation_scores"]),
        strict=True,
    ):
        wanted = [
            (frame.epochs.position(i), axis.position(v))
            for i, v in enumerate(values, 1)
        ]
        drawn = points(line.path)
        assert len(drawn) == len(wanted)
        for (x, y), (wanted_x, wanted_y) in zip(drawn, wanted, strict=True):
            assert x == pytest.approx(wanted_x, abs=0.2)
            assert y == pytest.approx(wanted_y, abs=0.2)


def test_missing_value_interrupts_the_curve(task_of, make_record):
    task = task_of([make_record(loss_curve=[1.0, 0.5, None, 0.4, 0.3])])
    line = plots.frame(task.runs).lines(task.runs[0], 120)[0]
    assert line.path.count("M") == 2


def test_thinned_curve_has_its_end_and_best_epoch(task_of, make_record):
    values = [0.5 + i / 4000 for i in range(1000)]
    task = task_of([make_record(validation_scores=values, best_epoch=777)])
    frame = plots.frame(task.runs)
    line = next(x for x in frame.lines(task.runs[0], 30) if x.part == "validation")
    drawn = points(line.path)
    assert len(drawn) <= 40
    assert drawn[-1][0] == pytest.approx(frame.epochs.position(1000), abs=1)
    assert any(
        x == pytest.approx(line.best[0], abs=1)
        and y == pytest.approx(line.best[1], abs=1)
        for x, y in drawn
    )


def test_shared_axes_contain_every_curve(task_of, many):
    task = task_of(many(12))
    frame = plots.frame(task.runs)
    for run in task.runs:
        for line in frame.lines(run, 60):
            for x, y in points(line.path):
                assert 0 <= x <= frame.width
                assert 0 <= y <= frame.height


def test_frame_accepts_nonpositive_losses_and_missing_curves(task_of, make_record):
    task = task_of([make_record(loss_curve=[1.0, 0.0, -1.0])])
    assert plots.frame(task.runs).loss.position(-1.0) > 0
    bare = make_record(loss_curve=None, validation_scores=None)
    assert plots.frame(task_of([bare]).runs) is None
    score = plots.frame(task_of([make_record(loss_curve=None)]).runs)
    assert score.loss is None
    assert score.score is not None


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("loss_curve", "training"),
        ("validation_scores", "validation"),
        ("validation_loss", "validation"),
        ("test_loss", "test"),
        ("week_score", "test"),
        ("train_score", "training"),
        ("running_score", "training"),
    ],
)
def test_curve_name_determines_its_set(name, part):
    assert plots.part_of(name) == part
