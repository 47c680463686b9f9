import os
import signal
from dataclasses import replace

import pytest
import torch

from benchmarks.command_line import session
from benchmarks.command_line.arguments import USAGE
from benchmarks.command_line.main import main
from benchmarks.command_line.session import INTERRUPTED, OK, RUN_FAILED
from benchmarks.data import datasets
from benchmarks.definitions.request import Request
from benchmarks.experiments import EXPERIMENTS
from benchmarks.result_store import result_files


@pytest.fixture
def spied(experiment, monkeypatch):
    """Register the spied experiment."""
    monkeypatch.setitem(EXPERIMENTS, experiment.name, experiment)
    return experiment


def test_list_names_every_experiment_and_model(capsys):
    assert main(["--list"]) == OK
    text = capsys.readouterr().out
    for name, experiment in EXPERIMENTS.items():
        assert name in text
        assert all(model.name in text for model in experiment.models)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["nope"], "Unknown experiment 'nope'; there is compare, initial-weights"),
        (["--models", "lr,nope"], "Unknown model 'nope' in experiment 'compare'"),
        (["--dataset", "nope"], "Unknown dataset 'nope'; use digits, mnist"),
        (["--device", "nope"], "device='nope' is not a device"),
        (["nope", "--tables"], "Unknown experiment 'nope'"),
    ],
)
def test_unknown_experiment_lists_the_known_ones(
    argv, sentence, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == USAGE
    error = capsys.readouterr().err
    assert error.startswith(sentence)
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", ["0", "1.5", "-3", "0.0", "tenth", "nan"])
def test_invalid_train_size_is_refused(size, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([f"--train-size={size}"])
    assert exit_.value.code == USAGE
    assert "neither a fraction" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--seeds", "--threads"])
@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_seeds_and_threads_must_be_positive(option, number, capsys):
    with pytest.raises(SystemExit):
        main([f"{option}={number}"])
    assert (
        f"argument {option}: '{number}' is not a positive integer"
        in capsys.readouterr().err
    )


def test_threads_are_set_and_recorded(spied, tmp_path):
    before = torch.get_num_threads()
    argv = ["spied", "--seeds", "1", "--models", "drawn", "--out", str(tmp_path)]
    try:
        assert main([*argv, "--threads", "1"]) == OK
        main([*argv, "--threads", "2"])
    finally:
        torch.set_num_threads(before)
    records = result_files.read(tmp_path.glob("*.jsonl"))
    assert [r["threads"] for r in records] == [1, 2]
    assert "--threads 2" in records[1]["command"]


def test_run_stores_every_record_and_prints_a_table(spied, tmp_path, capsys):
    assert main(["spied", "--seeds", "2", "--out", str(tmp_path)]) == OK
    stored = result_files.read([tmp_path / "spied-digits-all.jsonl"])
    assert [(r["model"], r["seed"]) for r in stored] == [
        ("drawn", 0),
        ("drawn", 1),
        ("last", 0),
        ("last", 1),
    ]
    printed = capsys.readouterr().out
    assert main(["--tables", "--out", str(tmp_path)]) == OK
    assert capsys.readouterr().out == printed
    assert main(["--tables", "--markdown", "--out", str(tmp_path)]) == OK
    assert capsys.readouterr().out.startswith("# Stored results")


def test_default_folder_is_ignored_by_git(spied, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["spied", "--seeds", "1", "--models", "drawn"]) == OK
    assert [p.name for p in tmp_path.iterdir()] == ["skmlp-results"]
    assert (tmp_path / "skmlp-results" / ".gitignore").read_text() == "*\n"


def test_second_run_replaces_the_first_in_the_table_only(spied, tmp_path, capsys):
    argv = ["spied", "--seeds", "1", "--models", "drawn", "--out", str(tmp_path)]
    assert [main(argv), main(argv)] == [OK, OK]
    assert len(result_files.read(tmp_path.glob("*.jsonl"))) == 2
    capsys.readouterr()
    main(["--tables", "--out", str(tmp_path)])
    assert "Runs: 1, 1 for each model" in capsys.readouterr().out


def test_ctrl_c_stores_the_finished_runs(spied, spy, tmp_path, monkeypatch, capsys):
    fit = spy.fit

    def fit_or_interrupt(self, *args, **kwargs):
        if len(spy.calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(spy, "fit", fit_or_interrupt)
    assert main(["spied", "--seeds", "2", "--out", str(tmp_path)]) == INTERRUPTED
    captured = capsys.readouterr()
    assert "Interrupted after 2 of 4 runs; --resume" in captured.err
    assert "Runs: 2, 2 for each model" in captured.out
    assert len(result_files.read(tmp_path.glob("*.jsonl"))) == 2


def test_resume_runs_only_missing_or_failed_runs(
    spied, spy, tmp_path, monkeypatch, capsys
):
    argv = ["spied", "--seeds", "2", "--out", str(tmp_path)]
    assert main([*argv, "--models", "drawn"]) == OK
    with monkeypatch.context() as failing:
        failing.setattr(spy, "fails", "loss became non-finite")
        assert main([*argv, "--models", "last", "--seeds", "1"]) == RUN_FAILED
    spy.calls.clear()
    assert main([*argv, "--resume"]) == OK
    assert [len(call["X"]) for call in spy.calls] == [1149, 1149]
    capsys.readouterr()
    assert main([*argv, "--resume"]) == OK
    assert len(spy.calls) == 2
    assert "Runs: 4, 2 for each model" in capsys.readouterr().out


def test_failed_training_sets_the_exit_status(
    spied, spy, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(spy, "fails", "loss became non-finite")
    assert main(["spied", "--out", str(tmp_path)]) == RUN_FAILED
    assert "loss became non-finite" in capsys.readouterr().out


def test_unavailable_data_is_reported_in_one_sentence(
    spied, tmp_path, monkeypatch, capsys
):
    def offline(data_home):
        raise OSError("MNIST is not in 'there' and cannot be downloaded.")

    monkeypatch.setitem(datasets.LOADERS, "mnist", offline)
    assert main(["spied", "--dataset", "mnist", "--out", str(tmp_path)]) == USAGE
    assert capsys.readouterr().err == (
        "MNIST is not in 'there' and cannot be downloaded.\n"
    )


def test_missing_stored_runs_are_reported(tmp_path, capsys):
    assert main(["--tables", "--out", str(tmp_path)]) == USAGE
    assert capsys.readouterr().err.startswith("No stored run in ")


def test_stored_tables_fit_in_eighty_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["--tables"]) == OK
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 50
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)


def test_convolutional_networks_are_left_out_on_tables(capsys):
    request = Request(EXPERIMENTS["compare"], "own.csv", models=("lr", "cnn-1"))
    assert session.leave_out_convolutions(request).models == ("lr",)
    assert capsys.readouterr().err == "Left out, because they need images: cnn-1.\n"
    with pytest.raises(ValueError, match="cnn-1 need images, but the features of"):
        session.leave_out_convolutions(replace(request, models=("cnn-1",)))


def test_runs_of_a_piped_session_end_with_a_line():
    record = {"model": "lr", "seed": 1, "error": None, "fit_seconds": 1.26}
    assert session.describe_end(record, 2, 6) == "lr seed 1: 1.3 s (2 of 6)"
    failed = record | {"error": "ValueError: no"}
    assert session.describe_end(failed, 3, 6) == "lr seed 1: ValueError: no (3 of 6)"
