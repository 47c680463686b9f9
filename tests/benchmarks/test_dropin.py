import json

import pytest

from benchmarks import _dropin
from benchmarks.__main__ import OK, USAGE, main


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Two tasks, run by the command; the folder of its records."""
    folder = tmp_path_factory.mktemp("dropin")
    names = "iris-lbfgs", "diabetes-adam"
    quick = [t for t in _dropin.TASKS if t.name in names]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_dropin, "TASKS", tuple(quick))
        assert main(["dropin", "--quick", "--seeds", "2", "--out", str(folder)]) == OK
    return folder


def test_each_task_and_seed_is_a_record(ran):
    (path,) = ran.iterdir()
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(r["model"], r["seed"]) for r in records] == [
        ("iris-lbfgs", 0),
        ("iris-lbfgs", 1),
        ("diabetes-adam", 0),
        ("diabetes-adam", 1),
    ]
    for record in records:
        assert record["command"] == "python -m benchmarks dropin --seeds 2 --quick"
        assert len(record["scores"]) == len(record["fit_seconds"]) == 2


@pytest.mark.parametrize("form", [[], ["--markdown"]])
def test_the_table_puts_both_packages_side_by_side(ran, form, capsys):
    assert main(["dropin", "--tables", "--out", str(ran), *form]) == OK
    printed = capsys.readouterr().out
    for word in ("scikit-learn", "skmlp", "iris-lbfgs", "diabetes-adam", "quick"):
        assert word in printed


@pytest.mark.parametrize("task", _dropin.TASKS[:-1], ids=lambda task: task.name)
def test_the_two_are_one_network(task):
    record = _dropin.compare(task, seed=0, quick=True)
    assert record["largest_weight_difference"] < 1e-9
    assert record["scores"][0] == pytest.approx(record["scores"][1], abs=1e-6)
    assert record["epochs"] == [2, 2]


def test_it_is_listed(capsys):
    assert main(["--list"]) == OK
    assert "dropin" in capsys.readouterr().out


def test_an_unknown_task_is_one_sentence(capsys, tmp_path):
    out = str(tmp_path / "results")
    assert main(["dropin", "--models", "nope", "--out", out]) == USAGE
    assert "Unknown task 'nope'; there is digits-adam" in capsys.readouterr().err
