"""The real estimators through the command line, on a few hundred digits."""

import pytest

from benchmarks.command_line.main import OK, main
from benchmarks.experiments.mnist.compare import COMPARE
from benchmarks.result_store import result_files


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Run compare once for the module."""
    folder = tmp_path_factory.mktemp("store")
    assert main(["--quick", "--dataset", "digits", "--out", str(folder)]) == OK
    return folder


def test_command_without_arguments_runs_the_default_models(tmp_path):
    assert main(["--quick", "--out", str(tmp_path)]) == OK
    records = result_files.read(tmp_path.glob("*.jsonl"))
    assert tuple(r["model"] for r in records) == COMPARE.default_models
    assert {r["threads"] for r in records} == {1}


def test_every_model_of_compare_runs_on_digits(store):
    records = result_files.read(store.glob("*.jsonl"))
    assert [r["model"] for r in records] == [m.name for m in COMPARE.models]
    for record in records:
        assert record["error"] is None
        assert record["quick"] is True
        held_out = 40 if record["validation_scores"] else 0
        rows = {"train": 400 - held_out, "validation": held_out, "test": 200}
        assert record["rows"] == rows
        assert record["epochs"] == len(record["loss_curve"]) == 2
        if held_out:
            last = record["validation_scores"][-1]
            assert record["validation_accuracy"] == pytest.approx(last)
        # A cycle of learning rates ends after these two epochs by design.
        ended = record["parameters"]["learning_rate"] == "onecycle"
        assert any("ConvergenceWarning" in w for w in record["warnings"]) != ended


def test_layers_and_parameters_are_counted_from_the_fitted_network(store):
    records = result_files.read(store.glob("*.jsonl"))
    found = {r["model"]: (r["layers"], r["n_parameters"]) for r in records}
    assert found["lr"] == (1, 64 * 10 + 10)
    assert found["mlp-50"] == (2, 65 * 50 + 51 * 10)
    # 8x8 pixels at stride 2 leave 4x4 for ten filters of 5x5.
    assert found["cnn-1"] == (3, 26 * 10 + 161 * 50 + 51 * 10)


def test_repeated_run_has_identical_figures(store, tmp_path):
    argv = ["--quick", "--models", "mlp-50,cnn-3-dropout", "--out", str(tmp_path)]
    assert main(argv) == OK
    first = {r["model"]: r for r in result_files.read(store.glob("*.jsonl"))}
    for again in result_files.read(tmp_path.glob("*.jsonl")):
        for figure in ("loss_curve", "validation_scores", "test_accuracy", "test_loss"):
            assert again[figure] == first[again["model"]][figure]


def test_own_csv_file_is_accepted(tmp_path, capsys):
    from sklearn.datasets import load_iris

    load_iris(as_frame=True).frame.to_csv(tmp_path / "iris.csv", index=False)
    argv = ["--quick", "--dataset", str(tmp_path / "iris.csv"), "--out", str(tmp_path)]
    assert main(argv) == OK
    records = result_files.read([tmp_path / "compare-iris-all-quick.jsonl"])
    ran = [r["model"] for r in records]
    left_out = [m.name for m in COMPARE.models if m.needs_images]
    assert ran == [m.name for m in COMPARE.models if m.name not in left_out]
    assert f"need images: {', '.join(left_out)}." in capsys.readouterr().err
    assert {r["n_classes"] for r in records} == {3}
