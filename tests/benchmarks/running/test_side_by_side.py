import json
from dataclasses import replace

import pytest

from benchmarks.command_line.main import OK, USAGE, main
from benchmarks.experiments.drop_in import DROP_IN
from benchmarks.running import side_by_side

CHOSEN = "iris-lbfgs,diabetes-adam"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run two models with the command; return the folder of records."""
    folder = tmp_path_factory.mktemp("dropin")
    argv = ["dropin", "--quick", "--seeds", "2", "--models", CHOSEN]
    assert main([*argv, "--out", str(folder)]) == OK
    return folder


def test_each_model_and_seed_gives_a_record(ran):
    text = (ran / "dropin-bundled-all-quick.jsonl").read_text()
    records = [json.loads(line) for line in text.splitlines()]
    assert [(r["model"], r["seed"]) for r in records] == [
        ("iris-lbfgs", 0),
        ("iris-lbfgs", 1),
        ("diabetes-adam", 0),
        ("diabetes-adam", 1),
    ]
    for record in records:
        assert record["command"] == (
            f"python -m benchmarks dropin --seeds 2 --models {CHOSEN} --quick"
        )
        assert len(record["scores"]) == len(record["fit_seconds"]) == 2


@pytest.mark.parametrize("form", [[], ["--markdown"]])
def test_table_shows_both_packages_side_by_side(ran, form, capsys):
    assert main(["dropin", "--tables", "--out", str(ran), *form]) == OK
    printed = capsys.readouterr().out
    for word in ("scikit-learn", "skmlp", "iris-lbfgs", "diabetes-adam", "quick"):
        assert word in printed


@pytest.mark.parametrize("model", DROP_IN.models[:-1], ids=lambda model: model.name)
def test_both_packages_train_the_same_network(model):
    record = side_by_side.compare_packages(model, seed=0, quick=True)
    assert record["largest_weight_difference"] < 1e-9
    assert record["scores"][0] == pytest.approx(record["scores"][1], abs=1e-6)
    assert record["epochs"] == [2, 2]


def test_different_network_has_a_large_weight_difference(monkeypatch):
    model = DROP_IN.models[0]
    theirs = side_by_side._build

    def one_more_epoch(package, ours, seed, quick):
        network = theirs(package, ours, seed, quick)
        more = 1 if package == "skmlp" else 0
        return network.set_params(max_iter=network.max_iter + more)

    monkeypatch.setattr(side_by_side, "_build", one_more_epoch)
    record = side_by_side.compare_packages(replace(model), seed=0, quick=True)
    assert record["largest_weight_difference"] > 1e-6


def test_unknown_model_is_reported_in_one_sentence(capsys, tmp_path):
    out = str(tmp_path / "results")
    assert main(["dropin", "--models", "nope", "--out", out]) == USAGE
    assert "Unknown model 'nope' in experiment 'dropin'; it has digits-adam" in (
        capsys.readouterr().err
    )


def test_bundled_experiment_refuses_a_data_set(capsys, tmp_path):
    argv = ["dropin", "--dataset", "digits", "--out", str(tmp_path / "results")]
    assert main(argv) == USAGE
    assert "'dropin' has its own data sets" in capsys.readouterr().err
