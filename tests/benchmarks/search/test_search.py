"""The search benchmark: parts, contestants, records."""

import json

import pytest

from benchmarks.command_line.main import OK, main
from benchmarks.search import contestants, measurements, search_table


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run all parts with the command; return the folder of records."""
    folder = tmp_path_factory.mktemp("search")
    names = "packed;scikit-learn;skorch;scikeras"
    options = ["--quick", "--threads", "1", "--contestants", names]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contestants, "EPOCHS", 1)
        patch.setitem(measurements.HALVING, "max_resources", 27)
        patch.setattr(measurements, "GROWTH", {"members": (1, 2)})
        patch.setattr(measurements, "MAX_ROUNDS", 1)
        assert main(["search", *options, "--out", str(folder)]) == OK
    return folder


def read(folder):
    (path,) = folder.iterdir()
    assert path.name == "search-quick.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_part_and_contestant_gives_a_record(ran):
    records = read(ran)
    assert [(r["part"], r["contestant"]) for r in records] == [
        ("digits", "packed"),
        ("digits", "scikit-learn"),
        ("digits", "skorch"),
        ("digits", "scikeras"),
        ("wider", "packed"),
        ("wider", "scikit-learn"),
        ("growth", "packed"),
        ("growth", "one by one"),
        ("growth", "packed"),
        ("growth", "one by one"),
        ("convolutions", "packed"),
        ("convolutions", "one by one"),
        ("modules", "packed"),
        ("modules", "one by one"),
        ("halving", "packed"),
        ("halving", "going on"),
        ("host", "packed"),
        ("memory", "packed"),
    ]
    assert [r["members"] for r in records if r["part"] == "growth"] == [1, 1, 2, 2]
    filters = [r["filters"] for r in records if r["part"] == "convolutions"]
    assert filters == ["4", "4"]
    for record in records:
        assert record["command"] == (
            "python -m benchmarks search --rounds 1 --threads 1 --quick"
        )
        if record["error"] is None:
            assert len(record["seconds"]) == len(record["processor_seconds"]) == 1


def test_absent_contestant_is_named(ran):
    (record,) = (r for r in read(ran) if r["contestant"] == "scikeras")
    if measurements.find_spec("scikeras") is None:
        assert record["error"] == "scikeras is not installed"
        assert record["seconds"] == []
    else:
        assert record["error"] is None


def test_memory_is_measured_in_its_own_process(ran):
    record = read(ran)[-1]
    assert 0 < record["bytes_before"] <= record["bytes_at_peak"] < 2e9


def test_table_is_made_of_stored_records(ran, capsys):
    capsys.readouterr()
    options = ["--quick", "--tables", "--markdown", "--parts", "digits;memory"]
    assert main(["search", *options, "--out", str(ran)]) == OK
    printed = capsys.readouterr().out
    rows = [row.split(" | ") for row in printed.splitlines() if row.startswith("| ")]
    named = [row[1] for row in rows[2:]]
    assert named == ["packed", "scikit-learn", "skorch", "scikeras", "packed"]
    first, second = read(ran)[:2]
    ratio = second["seconds"][0] / first["seconds"][0]
    assert rows[3][3] == f"{ratio:.2f}"
    assert rows[-1][3].endswith(" MB")


def test_ratio_is_the_median_over_rounds():
    common = {"part": "growth", "members": 2, "error": None}
    packed = {**common, "contestant": "packed", "seconds": [1.0, 2.0, 4.0]}
    other = {**common, "contestant": "one by one", "seconds": [3.0, 4.0, 40.0]}
    for record in (packed, other):
        record["processor_seconds"] = record["seconds"]
    assert search_table.rows([packed, other])[1][2:] == (
        "4.000",
        "3.00",
        "3.00",
        "≥ 0.95",
    )


def test_line_names_the_growing_size():
    packed = {"part": "growth", "moved": "units", "members": 16, "units": 50}
    packed |= {"contestant": "packed", "error": None, "seconds": [1.0]}
    filters = {**packed, "part": "convolutions", "filters": "16-32"}
    del filters["moved"]
    works = [search_table.rows([record])[0][0] for record in (packed, filters)]
    assert works == ["units: 50", "filters: 16-32"]


def test_search_records_are_not_in_the_other_tables(ran, capsys):
    assert main(["--tables", "--out", str(ran)]) != OK
    assert "No stored run" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--contestants", "--parts"])
def test_unknown_name_is_refused(option, capsys):
    with pytest.raises(SystemExit):
        main(["search", option, "nobody"])
    assert "'nobody' is unknown; there is " in capsys.readouterr().err


def test_command_of_a_record_names_the_parts(tmp_path, monkeypatch):
    monkeypatch.setitem(measurements.HALVING, "max_resources", 27)
    options = ["--quick", "--threads", "1", "--parts", "halving"]
    assert main(["search", *options, "--out", str(tmp_path)]) == OK
    assert {record["command"] for record in read(tmp_path)} == {
        "python -m benchmarks search --rounds 1 --threads 1 --quick --parts 'halving'"
    }


def test_search_is_listed(capsys):
    assert main(["--list"]) == OK
    assert "search" in capsys.readouterr().out


def test_contestants_of_other_machines_and_commands_are_left_out():
    def record(contestant, cpu, command, seconds):
        return {
            "part": "digits",
            "contestant": contestant,
            "cpu": cpu,
            "command": command,
            "seconds": [seconds],
            "processor_seconds": [seconds],
            "error": None,
        }

    records = [
        record("packed", "old", "all", 2.0),
        record("skorch", "old", "all", 100.0),
        record("scikit-learn", "old", "all", 20.0),
        record("packed", "new", "some", 1.0),
        record("scikit-learn", "new", "some", 15.0),
    ]
    kept = search_table.latest(records)
    assert [(r["contestant"], r["seconds"][0]) for r in kept] == [
        ("packed", 1.0),
        ("scikit-learn", 15.0),
    ]
    assert search_table.rows(kept)[1][3] == "15.00"
