"""The GPU check runs on a CPU, and stores one record for each measurement."""

import json

import pytest

from benchmarks.command_line.main import OK, main
from benchmarks.gpu import checks, command


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Run the quick check, without the tests that it starts."""
    folder = tmp_path_factory.mktemp("gpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(command.PARTS, "tests")
        options = ["--device", "cpu", "--quick", "--out", str(folder)]
        assert main(["gpu", *options]) == OK
    return folder


def read(folder):
    lines = (folder / "gpu-quick.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_every_part_but_the_waits_gives_records_on_a_cpu(folder):
    records = read(folder)
    assert {r["part"] for r in records} == {
        "equality",
        "epochs",
        "packs",
        "predictions",
    }
    assert not [r["note"] for r in records if r["case"] == "ERROR"]
    assert {r["device"] for r in records} == {"cpu"}


def test_results_of_the_cpu_equal_themselves(folder):
    differences = [r["value"] for r in read(folder) if r["part"] == "equality"]
    assert len(differences) == 2
    assert set(differences) == {0.0}


def test_stored_table_is_printed(folder, capsys):
    options = ["--quick", "--tables", "--markdown", "--out", str(folder)]
    assert main(["gpu", *options]) == OK
    assert "torch loop, MLP 100" in capsys.readouterr().out


def test_errors_of_a_part_are_records_of_it():
    def measure(device, quick):
        yield checks.Measurement("first", 1.0, "s")
        raise RuntimeError("CUDA error")

    first, error = command._measure(measure, "cpu", quick=True)
    assert first.case == "first"
    assert error.note == "RuntimeError: CUDA error"


def test_missing_device_is_refused(capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["gpu", "--device", "cuda", "--quick"]) == command.USAGE
    assert "has no CUDA device" in capsys.readouterr().err
