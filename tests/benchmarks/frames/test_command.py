"""The program `tables`: records, tables, CSV files."""

import json

import pandas as pd
import pytest

from benchmarks.command_line.main import OK, main
from benchmarks.frames import (
    command,
    csv_tables,
    measurements,
    package_tables,
    score_table,
)
from benchmarks.frames.contestants import CONTESTANTS


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run the quick comparison; return the folder of records."""
    folder = tmp_path_factory.mktemp("tables")
    assert main(["tables", "--quick", "--out", str(folder)]) == OK
    return folder


@pytest.fixture
def csv_file(tmp_path):
    """A CSV file with semicolons, texts, gaps, dates, and a feature called y."""
    n = 60
    frame = pd.DataFrame(
        {
            "y": range(n),
            "color": ["red", "green", None] * 20,
            "when": pd.date_range("2024-01-01", periods=n).strftime("%Y-%m-%d"),
            "price": [float(i % 7) for i in range(n)],
        }
    )
    path = tmp_path / "shop.csv"
    frame.to_csv(path, sep=";", index=False)
    return path


def read(folder):
    path = folder / "tables-quick.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_contestant_gives_a_record(ran):
    records = read(ran)
    assert [r["contestant"] for r in records] == list(command.QUICK_CONTESTANTS)
    assert all(r["error"] is None and 0.5 < r["score"] <= 1 for r in records)
    assert {"fit_seconds", "predict_seconds", "loss", "auc"} <= records[0].keys()


def test_picture_is_drawn(ran):
    assert (ran / "tables-quick.png").stat().st_size > 1000


def test_stored_tables_are_printed(ran, capsys):
    options = ["tables", "--tables", "--quick", "--markdown", "--out", str(ran)]
    assert main(options) == OK
    printed = capsys.readouterr().out
    assert "mean ranks over 1 tables" in printed
    assert "| Tabular, fast |" in printed


def test_resume_leaves_out_stored_fits_that_did_not_fail(tmp_path):
    options = ["tables", "--quick", "--out", str(tmp_path), "--contestants"]
    assert main([*options, "linear"]) == OK
    (stored,) = read(tmp_path)
    failed = json.dumps(stored | {"contestant": "MLP", "error": "it failed"})
    path = tmp_path / "tables-quick.jsonl"
    path.write_text(json.dumps(stored) + "\n" + failed + "\n")
    assert main([*options, "linear;MLP", "--resume"]) == OK
    records = read(tmp_path)
    assert [r["contestant"] for r in records] == ["linear", "MLP", "MLP"]
    assert records[-1]["error"] is None


def test_large_fits_store_seconds_and_memory(tmp_path, capsys):
    options = ["tables", "--large", "--quick", "--out", str(tmp_path)]
    assert main(options) == OK
    (record,) = [
        json.loads(line)
        for line in (tmp_path / "tables-large-quick.jsonl").read_text().splitlines()
    ]
    assert record["rows"] == 600
    assert record["fit_seconds"] > 0
    assert record["bytes_at_peak"] >= record["bytes_before"] > 1e7
    capsys.readouterr()
    assert main([*options, "--tables", "--markdown"]) == OK
    assert "| breast-cancer | fast | 600 |" in capsys.readouterr().out


@pytest.mark.parametrize(("target", "task"), [("price", "regression"), ("color", None)])
def test_csv_file_with_texts_gaps_and_dates_is_compared(
    csv_file, target, task, capsys, monkeypatch
):
    monkeypatch.setattr(command, "ON_CSV", ("linear", "HistGradientBoosting"))
    options = ["--dataset", str(csv_file), "--target", target, "--splits", "1"]
    assert main([*options, *(["--task", task] if task else [])]) == OK
    printed = capsys.readouterr().out
    assert "HistGradientBoosting" in printed
    assert "Error" not in printed


@pytest.mark.parametrize("option", ["--target=price", "--task=regression"])
def test_target_or_task_alone_is_enough(csv_file, option, capsys):
    options = ["--dataset", str(csv_file), "--splits=1", "--contestants=linear"]
    assert main([*options, option]) == OK
    printed = capsys.readouterr().out
    assert "linear" in printed
    assert "Error" not in printed


def test_usual_target_of_a_csv_file_is_chosen(csv_file):
    table = csv_tables.read(csv_file, task="regression")
    assert list(table.y) == list(range(60))
    assert "y" not in table.X.columns
    assert table.task == "regression"


def test_estimator_for_tables_takes_the_csv_file(csv_file, capsys):
    options = ["--dataset", str(csv_file), "--target", "color", "--splits", "1"]
    assert main([*options, "--contestants", "Tabular, fast"]) == OK
    assert "Error" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dataset", "FILE", "--target", "cost"], "no column 'cost'"),
        (["--dataset", "missing.csv", "--target", "y"], "There is no file"),
        (["--target", "y"], "give its --dataset"),
        (["--task", "regression"], "give its --dataset"),
        (["--dataset", "FOLDER", "--target", "y"], "is a folder"),
        (
            ["compare", "--dataset", "FILE", "--task", "regression"],
            "Experiment 'compare' compares classifiers",
        ),
    ],
)
def test_wrong_file_or_target_is_named(csv_file, options, message, capsys):
    places = {"FILE": str(csv_file), "FOLDER": str(csv_file.parent)}
    options = [places.get(word, word) for word in options]
    assert main(options) == command.USAGE
    assert message in capsys.readouterr().err


def test_ranks_share_ties_and_skip_missing_results():
    one, two = ("t", 0), ("t", 1)
    losses = {"a": {one: 1.0, two: 1.0}, "b": {one: 1.0, two: 2.0}, "c": {one: 3.0}}
    ranks = score_table.mean_ranks(losses, descending=False)
    assert ranks == {"a": 1.25, "b": 1.75, "c": 3.0}


def test_only_contestants_of_every_split_are_ranked():
    facts = {"task": "regression", "all_rows": False, "error": None}
    losses = {("a", 0): 2.0, ("a", 1): 2.0, ("b", 0): 3.0, ("b", 1): 3.0, ("c", 0): 1.0}
    records = [
        facts
        | {"table": "t", "seed": seed, "contestant": name, "loss": loss, "score": -loss}
        | {"fit_seconds": 1.0, "predict_seconds": 1.0}
        for (name, seed), loss in losses.items()
    ]
    rows = score_table.rank_rows(records)
    assert [(row[0], row[2], row[3]) for row in rows] == [
        ("a", "1.00", "1.00"),
        ("b", "2.00", "2.00"),
        ("c", "", ""),
    ]


def test_contestants_take_turns_on_every_split():
    table, names = package_tables.load_bundled(), ["linear", "scikit-learn MLP"]
    records = measurements.measure(table, [0, 1], names, max_train_rows=30)
    assert [(r["seed"], r["contestant"]) for r in records] == [
        (seed, name) for seed in (0, 1) for name in names
    ]


def test_lower_losses_are_counted_on_common_splits():
    one, two = ("t", 0), ("t", 1)
    losses = {score_table.UNIT: {one: 1.0, two: 2.0}, "b": {one: 0.9, two: 3.0}}
    losses["c"] = {two: 1.0}
    assert score_table.lower_losses(losses) == {"b": "1 of 2", "c": "1 of 1"}


def test_every_contestant_can_be_made_or_says_what_is_missing():
    from benchmarks.frames.contestants import why_absent

    for name, make in CONTESTANTS.items():
        if why_absent(name) is None:
            for task in ("classification", "regression"):
                assert hasattr(make(task, 0), "fit")
        else:
            assert "is not installed" in why_absent(name)
