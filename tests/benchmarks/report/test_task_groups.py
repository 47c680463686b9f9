from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.report.task_groups import group_into_tasks, pareto_front

COST = st.integers(0, 6)


@given(st.lists(st.tuples(COST, COST), min_size=1, max_size=12))
def test_pareto_front_has_every_unbeaten_point(points):
    chosen = pareto_front(points)

    def beaten(i):
        cost, gain = points[i]
        return any(
            c <= cost and g >= gain and ((c, g) != (cost, gain) or j < i)
            for j, (c, g) in enumerate(points)
            if j != i
        )

    assert set(chosen) == {i for i in range(len(points)) if not beaten(i)}
    costs = [points[i][0] for i in chosen]
    assert costs == sorted(costs)


def test_runs_are_grouped_by_experiment_data_and_size(make_record, runs_of):
    runs = runs_of(
        [
            make_record(quick=True),
            make_record(train_size=None),
            make_record(),
            make_record(seed=1),
        ]
    )
    tasks = group_into_tasks(runs)
    assert [(task.name, task.data) for task in tasks] == [
        ("compare", "mnist, 10% of rows"),
        ("compare", "mnist, all rows"),
        ("compare (quick)", "mnist, 10% of rows"),
    ]
    assert [len(task.runs) for task in tasks] == [2, 1, 1]


def test_models_are_in_order_and_seeds_sorted(make_record, runs_of):
    (task,) = group_into_tasks(
        runs_of(
            [
                make_record(model="b", order=1, seed=10),
                make_record(model="b", order=1, seed=2),
                make_record(model="a", order=2),
                make_record(model="c", order=0),
            ]
        )
    )
    assert [model.name for model in task.models] == ["c", "b", "a"]
    assert [run.seed for run in task.models[1].runs] == [2, 10]


def test_replaced_run_is_ignored(make_record, runs_of):
    runs = runs_of([make_record(test_accuracy=0.1), make_record(test_accuracy=0.9)])
    (task,) = group_into_tasks(runs)
    assert task.best.mean("test_accuracy") == 0.9
    assert len(task.runs) == 1


def test_means_are_over_the_seeds_that_have_the_figure(make_record, runs_of):
    records = [make_record(seed=i, test_accuracy=a) for i, a in enumerate((0.9, 0.8))]
    failed = make_record(seed=2, error="ValueError: no", test_accuracy=None)
    (model,) = group_into_tasks(runs_of([*records, failed]))[0].models
    assert model.mean("test_accuracy") == pytest.approx(fmean((0.9, 0.8)))
    assert model.deviation("test_accuracy") == pytest.approx(stdev((0.9, 0.8)))
    assert model.mean("no such figure") is None
    assert model.deviation("no such figure") is None


def test_model_is_described_by_a_run_that_did_not_fail(make_record, runs_of):
    failed = make_record(seed=0, error="ValueError: no", estimator="")
    (model,) = group_into_tasks(runs_of([failed, make_record(seed=1)]))[0].models
    assert (model.first.seed, model.kind) == (1, "MLP")


def test_task_without_figures_has_no_best_model(make_record, runs_of):
    nothing = {"test_accuracy": None, "validation_accuracy": None}
    failed = make_record(error="ValueError: no", **nothing)
    assert group_into_tasks(runs_of([failed]))[0].best is None


def test_models_without_test_accuracy_are_compared_by_validation(make_record, runs_of):
    records = [
        make_record(model=name, test_accuracy=None, validation_accuracy=accuracy)
        for name, accuracy in (("a", 0.8), ("b", 0.9))
    ]
    (task,) = group_into_tasks(runs_of(records))
    assert (task.measure, task.best.name) == ("validation_accuracy", "b")


def test_remarks_are_not_repeated(make_record, runs_of):
    said = [make_record(seed=i, data_remarks=["Pixels from JPEG."]) for i in range(2)]
    assert group_into_tasks(runs_of(said))[0].remarks == ["Pixels from JPEG."]


def test_confusion_matrices_of_the_same_classes_are_added(make_record, runs_of):
    pair = [make_record(seed=i, confusion_matrix=[[3, i], [1, 4]]) for i in range(2)]
    (model,) = group_into_tasks(runs_of(pair))[0].models
    assert model.confusion.tolist() == [[6, 1], [2, 8]]
    other = make_record(seed=2)
    (model,) = group_into_tasks(runs_of([*pair, other]))[0].models
    assert model.confusion is None
