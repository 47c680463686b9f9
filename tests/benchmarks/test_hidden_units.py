"""hidden-units: a candidate a record, the curve beside them."""

import json

import pytest

from benchmarks.__main__ import OK, main


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hidden-units")
    options = [
        "--quick",
        "--dataset",
        "digits",
        "--widths",
        "1,2,40",
        "--depths",
        "1,2",
    ]
    assert main(["hidden-units", *options, "--out", str(folder)]) == OK
    return folder


def test_each_candidate_is_a_record(ran):
    text = (ran / "hidden-units-digits-quick.jsonl").read_text()
    records = [json.loads(line) for line in text.splitlines()]
    assert [r["hidden_layer_sizes"] for r in records] == (
        [[1], [2], [40], [1, 1], [2, 2], [40, 40]]
    )
    assert sum(r["best"] for r in records) == 1
    for record in records:
        assert len(record["train_scores"]) == len(record["test_scores"]) == 3
        assert record["command"] == (
            "python -m benchmarks hidden-units --dataset digits --widths 1,2,40 "
            "--depths 1,2 --quick"
        )


def test_the_validation_curve_is_drawn(ran):
    picture = ran / "hidden-units-digits-quick.png"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_width_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["hidden-units", "--widths", "5,0"])
    assert "'5,0' are not numbers from 1." in capsys.readouterr().err


def test_an_unknown_data_set_is_named(tmp_path, capsys):
    assert main(["hidden-units", "--dataset", "nowhere", "--out", str(tmp_path)]) != OK
    assert "nowhere" in capsys.readouterr().err
