import json

import pytest
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from benchmarks.command_line.main import OK, main
from benchmarks.experiments.learning_rates import DATASETS, LEARNING_RATES
from benchmarks.running import learning_rates


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run two models with the command; return the folder of records."""
    folder = tmp_path_factory.mktemp("rates")
    argv = ["learning-rates", "--quick", "--seeds", "2", "--threads", "1"]
    names = "iris-adam,diabetes-sgd"
    assert main([*argv, "--models", names, "--out", str(folder)]) == OK
    return folder


def test_each_model_and_seed_gives_a_record(ran):
    text = (ran / "learning-rates-bundled-all-quick.jsonl").read_text()
    records = [json.loads(line) for line in text.splitlines()]
    assert [(r["model"], r["seed"]) for r in records] == [
        ("iris-adam", 0),
        ("iris-adam", 1),
        ("diabetes-sgd", 0),
        ("diabetes-sgd", 1),
    ]
    for record in records:
        assert len(record["rates"]) == len(record["losses"]) == 10
        assert record["suggested_rate"] > 0
        assert record["error"] is None


@pytest.mark.parametrize("form", [[], ["--markdown"]])
def test_table_shows_ratios(ran, form, capsys):
    assert main(["learning-rates", "--tables", "--out", str(ran), *form]) == OK
    printed = capsys.readouterr().out
    for word in ("of 2 ratios are at most 1.05", "iris-adam", "quick"):
        assert word in printed


def test_eight_data_sets_and_two_networks_are_judged():
    assert len(DATASETS) == 8
    assert len(LEARNING_RATES.models) == 16


@pytest.mark.parametrize(
    ("name", "n_splits"), [("iris-sgd", 7), ("diabetes-adam", 3), ("digits-adam", 1)]
)
def test_small_tables_have_several_splits(name, n_splits):
    model = next(m for m in LEARNING_RATES.models if m.name == name)
    assert learning_rates._count_splits(model, quick=False) == n_splits


def test_losses_are_those_of_the_best_epoch_of_single_fits():
    model = next(m for m in LEARNING_RATES.models if m.name == "wine-adam")
    record = learning_rates.judge_suggestion(model, seed=1, quick=True)
    split = learning_rates.FIRST_SPLIT + 1
    X, y = load_wine(return_X_y=True)
    X_train, X_valid, y_train, y_valid = train_test_split(
        scale(X), y, test_size=0.25, random_state=split, stratify=y
    )
    for i in (3, 9):
        network = model.estimator.build(random_state=split).set_params(
            max_iter=2, learning_rate_init=record["rates"][i]
        )
        with pytest.warns(match="Maximum iterations"):
            network.fit(X_train, y_train, X_val=X_valid, y_val=y_valid)
        best = min(epoch["valid_loss"] for epoch in network.history_)
        assert record["losses"][i] == pytest.approx(best)
