import numpy as np
import pytest

from benchmarks.definitions.experiment import BUNDLED
from benchmarks.definitions.request import Request
from benchmarks.experiments.tabular import TABULAR
from benchmarks.running import cross_validation
from benchmarks.tables import dataset_table

QUICK = Request(TABULAR, BUNDLED, quick=True, seeds=1)


@pytest.fixture(scope="module")
def records():
    return list(cross_validation.run_all(QUICK, None))


def test_each_model_is_scored_on_every_fold_of_every_set(records):
    assert [r["model"] for r in records] == [m.name for m in TABULAR.models]
    for record in records:
        assert tuple(record["scores"]) == cross_validation.DATASETS
        assert {len(scores) for scores in record["scores"].values()} == {5}


def test_both_mlps_have_the_same_scores(records):
    ours, theirs = records[1]["scores"], records[2]["scores"]
    for name, scores in ours.items():
        np.testing.assert_allclose(scores, theirs[name])


def test_table_has_a_line_for_each_data_set(records):
    header, rows = dataset_table.table_rows(records)
    assert header == ["data set", "rows", *(m.name for m in TABULAR.models)]
    assert [row[0] for row in rows[:-1]] == list(cross_validation.DATASETS)
    mean = np.mean(records[0]["scores"]["wine"])
    assert rows[1][2] == f"{mean:.4f}"
    text = dataset_table.markdown(records)
    assert all(f"| {' | '.join(row)} |" in text for row in rows)
    assert f"`{QUICK.command}`" in text


def test_command_of_bundled_data_names_no_data_set(records):
    assert records[0]["command"] == "python -m benchmarks tabular --seeds 1 --quick"


def test_finished_seed_is_skipped():
    models = tuple(model.name for model in TABULAR.models[:1])
    request = Request(TABULAR, BUNDLED, quick=True, seeds=2, models=models)
    done = {("tabular", BUNDLED, None, True, "lr", 0)}
    found = cross_validation.run_all(request, None, done=done)
    assert [r["seed"] for r in found] == [1]
