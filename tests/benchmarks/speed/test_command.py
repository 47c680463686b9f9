"""The program on the command line, with a hundred samples."""

import json

import pytest

from benchmarks.command_line.main import main
from benchmarks.speed import command, contestants
from benchmarks.speed.workloads import (
    OBVIOUS,
    OURS,
    PLAIN,
    SINGLE_PRECISION,
    SKLEARN,
    find_workload,
)


def test_quick_trial_stores_what_the_table_shows(tmp_path, capsys):
    argv = ["speed", "--quick", "--threads", "1", "--out", str(tmp_path)]
    assert main([*argv, "--only", "row 7;growth: 1,000"]) == command.OK
    stored = tmp_path / "speed-quick.jsonl"
    records = [json.loads(line) for line in stored.read_text().splitlines()]
    assert [(r["workload"], r["contestant"], r["error"]) for r in records[:3]] == [
        ("row 7, augmented", OURS, None),
        ("row 7, augmented", PLAIN, None),
        ("growth: 1,000 rows", OURS, None),
    ]
    for record in records:
        assert [slice_["seconds"] > 0 for slice_ in record["slices"]] == [True]
        assert record["threads"] == 1
        assert record["quick"] is True
    shown = capsys.readouterr().out
    tables = ["speed", "--tables", "--quick", "--out", str(tmp_path)]
    assert main(tables) == 0
    assert capsys.readouterr().out == shown
    assert main([*tables, "--only", "growth"]) == 0
    assert "row 7" not in capsys.readouterr().out


def test_busy_fits_are_measured_alone_and_beside_processes(tmp_path, capsys):
    argv = ["speed", "--quick", "--threads", "1", "--out", str(tmp_path)]
    assert main([*argv, "--only", "busy: mlp, width 128"]) == command.OK
    stored = tmp_path / "speed-quick.jsonl"
    for line in stored.read_text().splitlines():
        (slice_,) = json.loads(line)["slices"]
        expected = slice_["seconds_shared"] / slice_["seconds_alone"]
        assert slice_["factor"] == expected
    assert "x alone" in capsys.readouterr().out


def test_stored_speed_does_not_disturb_the_other_tables(tmp_path, capsys):
    (tmp_path / "speed.jsonl").write_text('{"workload": "mlp"}\n')
    assert main(["--tables", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("No stored run in")


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--only", "nope"], "Unknown workload 'nope'; there is mlp, batch 32;"),
        (["--rounds", "0"], "--rounds 0 is not a positive integer."),
        (["--threads", "-1"], "--threads -1 is not a positive integer."),
    ],
)
def test_invalid_options_are_reported_in_one_sentence(argv, sentence, capsys, tmp_path):
    assert main(["speed", *argv, "--out", str(tmp_path / "none")]) == command.USAGE
    assert capsys.readouterr().err.startswith(sentence)
    assert not (tmp_path / "none").exists()


def test_line_that_is_not_a_record_is_named(tmp_path, capsys):
    (tmp_path / "speed.jsonl").write_text('{"workload": "mlp"}\n')
    assert main(["speed", "--tables", "--out", str(tmp_path)]) == command.USAGE
    assert capsys.readouterr().err.startswith("Line 1 of ")


def test_speed_is_listed(capsys):
    assert main(["--list"]) == 0
    assert "speed" in capsys.readouterr().out


@pytest.mark.parametrize("contestant", [OURS, SKLEARN, "skorch", OBVIOUS])
def test_predictions_use_fitted_networks(contestant, monkeypatch):
    import numpy as np

    rng = np.random.default_rng(0)
    X, y = rng.random((40, 784), dtype=np.float32), np.arange(40) % 10
    work = find_workload("predict one row").quick()
    contestants.prepare(contestant, work, X, y)()


def test_absent_package_is_named(monkeypatch):
    monkeypatch.setitem(contestants.NEEDS, "peer", ("no_such_package", "json"))
    assert contestants.why_absent("peer").startswith("no_such_package not installed")
    assert contestants.why_absent(OURS) is None


@pytest.mark.parametrize("name", ["mlp, batch 200", "mlp, width 1,000", "fashion-cnn"])
def test_mixed_precision_is_compared_with_float32(name, monkeypatch):
    import numpy as np

    work, make = find_workload(f"amp: {name}").quick(), contestants.estimator
    fitted = []

    def record(*args, **params):
        fitted.append(make(*args, **params))
        return fitted[-1]

    monkeypatch.setattr(contestants, "estimator", record)
    X, y = np.zeros((30, 784), np.float32), np.arange(30) % 10
    for contestant in (OURS, SINGLE_PRECISION):
        contestants.prepare(contestant, work, X, y)()
    in_bfloat16, in_float32 = (each.get_params() for each in fitted)
    assert in_bfloat16.pop("amp")
    assert not in_float32.pop("amp")
    assert in_bfloat16 == in_float32
