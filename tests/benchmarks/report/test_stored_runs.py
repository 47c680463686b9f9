import math

import numpy as np
import pytest

from benchmarks.report.stored_runs import read
from benchmarks.result_store import result_files

KEYS = ("experiment", "dataset", "train_size", "quick", "model", "seed")


def test_committed_runs_are_read_and_other_records_counted():
    found = read([result_files.COMMITTED_FOLDER])
    lines = sum(
        len(path.read_text(encoding="utf-8").splitlines())
        for path in result_files.COMMITTED_FOLDER.glob("*.jsonl")
    )
    assert len(found.runs) + found.others.total() == lines
    assert [run.number for run in found.runs] == list(range(len(found.runs)))
    assert found.others["speed"] > 0


def test_run_with_only_a_key_has_no_figures(make_record, runs_of):
    full = make_record()
    (run,) = runs_of([{k: full[k] for k in KEYS}])
    assert run.figure("test_accuracy") is None
    assert (run.losses, run.scores, run.confusion, run.classes) == ({}, {}, None, [])
    assert (run.error, run.text("architecture"), run.kind) == ("", "", "other")
    assert (run.mapping("versions"), run.sequence("warnings")) == ({}, [])
    assert run.order == math.inf


@pytest.mark.parametrize(
    "value", [None, True, "0.9", [0.9], math.nan, math.inf, 10**400]
)
def test_only_finite_numbers_are_figures(value, make_record, runs_of):
    (run,) = runs_of([make_record(test_accuracy=value, seed=value)])
    assert run.figure("test_accuracy") is None
    assert run.seed == math.inf


@pytest.mark.parametrize(
    "matrix", [None, 3, [], [[1]], [[1, 2], [3]], [[1, 2]], [["a", 1], [1, 2]]]
)
def test_confusion_matrix_must_be_a_square_of_numbers(matrix, make_record, runs_of):
    (run,) = runs_of([make_record(confusion_matrix=matrix)])
    assert run.confusion is None


def test_classes_without_stored_names_are_numbered(make_record, runs_of):
    matrix = [[3, 1], [0, 4]]
    older = make_record(confusion_matrix=matrix)
    del older["classes"]
    named = make_record(confusion_matrix=matrix, classes=["cat", "dog"], seed=1)
    first, second = runs_of([older, named])
    assert (first.classes, second.classes) == (["0", "1"], ["cat", "dog"])
    np.testing.assert_array_equal(first.confusion, matrix)


def test_curves_include_monitored_ones(make_record, runs_of):
    watched = {
        "test_loss": [1.0, None, 0.5],
        "train_score": [0.5, 0.6, 0.7],
        "validation_loss": [0.1],
        "running_score": "damaged",
    }
    folds = [0.9, 0.9, 0.9]
    (run,) = runs_of([make_record(curves=watched, train_scores=folds)])
    assert set(run.losses) == {"loss_curve", "test_loss"}
    assert set(run.scores) == {"validation_scores", "train_score"}
    assert run.losses["test_loss"] == (1.0, None, 0.5)


def test_weekly_run_has_only_the_weekly_curve(make_record, runs_of):
    curves = {"week_score": [0.5, 0.6, 0.7]}
    weekly, other = runs_of([make_record(curves=curves), make_record(seed=1)])
    assert (weekly.losses, set(weekly.scores)) == ({}, {"week_score"})
    assert (weekly.is_weekly, other.is_weekly) == (True, False)


@pytest.mark.parametrize(
    ("train_size", "text"),
    [(None, ""), (0.1, "10%"), (0.005, "0.5%"), (1.0, "100%"), (6000, "6,000 rows")],
)
def test_size_is_a_percentage_or_a_number(train_size, text, make_record, runs_of):
    assert runs_of([make_record(train_size=train_size)])[0].size == text


def test_later_record_of_a_run_replaces_the_first(make_record, runs_of):
    twice = [make_record(test_accuracy=0.1), make_record(), make_record(seed=1)]
    assert [run.replaced for run in runs_of(twice)] == [True, False, False]


@pytest.mark.parametrize(
    ("best", "kept"), [(2, 2), (None, None), (0, None), (4, None), (3, None)]
)
def test_best_epoch_lies_within_the_curve(best, kept, make_record, runs_of):
    (run,) = runs_of([make_record(best_epoch=best)])
    assert run.best_epoch_in((0.1, 0.2, None)) == kept


def test_records_of_two_packages_are_not_runs(make_record, store):
    two_packages = make_record(experiment="dropin", largest_weight_difference=0.0)
    found = read([store([two_packages, make_record(), {"experiment": 3}])])
    assert len(found.runs) == 1
    assert found.others == {"dropin": 1, "runs": 1}


def test_several_folders_are_read_together(make_record, store, tmp_path):
    first = store([make_record()])
    second = tmp_path / "second"
    second.mkdir()
    (second / "x.jsonl").write_text((first / "runs.jsonl").read_text())
    runs = read([first, second]).runs
    assert [run.replaced for run in runs] == [True, False]


def test_folder_without_runs_is_named_in_the_error(store, tmp_path):
    with pytest.raises(ValueError, match=r"No stored run in '.*stored'; python -m"):
        read([store([{"experiment": "speed"}])])
    with pytest.raises(ValueError, match=r"'.*nowhere' is not a folder of stored runs"):
        read([tmp_path / "nowhere"])


def test_line_that_is_not_json_is_named(make_record, store):
    folder = store([make_record()])
    with (folder / "runs.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"half\n')
    with pytest.raises(ValueError, match=r"Line 2 of '.*runs.jsonl' is not a stored"):
        read([folder])
