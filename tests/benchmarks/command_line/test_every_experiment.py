"""``all --quick``: every experiment on a few hundred samples.

The two programs have tests of their own. Here only their call is recorded.
"""

from types import SimpleNamespace

import pytest

import benchmarks.command_line.main as main_module
import benchmarks.definitions.experiment as definition_module
from benchmarks.command_line.arguments import USAGE
from benchmarks.command_line.main import main
from benchmarks.command_line.session import INTERRUPTED, OK, RUN_FAILED
from benchmarks.experiments import EXPERIMENTS, PROGRAMS
from benchmarks.result_store import result_files

# Experiments that need peers' packages are excluded, installed or not.
RUN = {name: e for name, e in EXPERIMENTS.items() if not e.needs}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run all; return the folder and how the programs were called."""
    folder, calls = tmp_path_factory.mktemp("all"), {}

    def stand_in(path):
        def note(argv):
            calls[path] = argv
            return OK

        return SimpleNamespace(main=note)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main_module, "import_module", stand_in)
        patch.setattr(definition_module, "find_spec", lambda name: None)
        options = ["--quick", "--threads", "1", "--out", str(folder)]
        assert main(["all", *options]) == OK
    return folder, calls


def records_of(folder, experiment):
    (path,) = folder.glob(f"{experiment}-di*.jsonl")
    return result_files.read([path])


def test_every_program_gets_the_options_it_knows(ran):
    folder, calls = ran
    options = ["--quick", "--threads", "1", "--out", str(folder)]
    assert calls == {program.module: options for program in PROGRAMS.values()}


@pytest.mark.parametrize("name", RUN)
def test_every_model_ran_once_without_an_error(ran, name):
    paths = [p for p in ran[0].glob(f"{name}-*.jsonl") if p.stem.endswith("-quick")]
    records = [r for r in result_files.read(paths) if r["experiment"] == name]
    experiment = EXPERIMENTS[name]
    models = experiment.default_models or [model.name for model in experiment.models]
    assert [(r["model"], r["seed"]) for r in records] == [(m, 0) for m in models]
    assert {r["error"] for r in records} == {None}
    assert {r["quick"] for r in records} == {True}


@pytest.mark.parametrize("name", RUN)
def test_every_picture_is_drawn(ran, name):
    for picture in EXPERIMENTS[name].pictures:
        (path,) = ran[0].glob(f"{name}-di*-quick-{picture.name}.png")
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("form", [[], ["--markdown"]])
def test_stored_records_give_every_table(ran, form, capsys):
    assert main(["--tables", "--out", str(ran[0]), *form]) == OK
    printed = capsys.readouterr().out
    for experiment in RUN.values():
        assert f"{experiment.name} " in printed or f"{experiment.name}," in printed


def test_monitored_sets_are_scored_every_epoch(ran):
    for record in records_of(ran[0], "normalization"):
        curves = record["curves"]
        assert set(curves) >= {"train_loss", "train_score", "test_loss", "test_score"}
        assert {len(curve) for curve in curves.values()} == {2}
        assert curves["test_score"][-1] == pytest.approx(record["test_accuracy"])
        assert curves["train_score"][-1] == pytest.approx(record["train_accuracy"])
        assert record["parameters"]["callbacks"] is None
        # Raw pixels give probabilities of 0, whose logarithm is clipped.
        if not record["model"].startswith("raw"):
            assert curves["test_loss"][-1] == pytest.approx(record["test_loss"])


def test_example_is_predicted_twice_and_the_model_saved(ran):
    from skmlp.persistence import load_model

    for record in records_of(ran[0], "fashion-cnn"):
        example = record["example"]
        assert example["row"] == 5
        model = load_model(ran[0] / record["model_file"])
        assert model.predict([example["pixels"]])[0] == example["after"]
        assert example["before"] in record["classes"]
        assert record["micro_f1"] == pytest.approx(record["test_accuracy"])


def test_only_the_first_weeks_of_a_pair_are_equal(ran):
    weeks = {
        r["model"]: r["curves"]["week_score"] for r in records_of(ran[0], "continual")
    }
    for static, continual in (
        ("static", "continual"),
        ("static-seasons", "continual-seasons"),
    ):
        assert weeks[static][0] == weeks[continual][0]
        assert weeks[static][1:] != weeks[continual][1:]
        assert len(weeks[static]) == 12


def test_broken_file_is_named_and_skipped(ran):
    for record in records_of(ran[0], "image-folder"):
        read, broken = record["data_remarks"]
        assert read == "digits: read from 1,797 .png files, 32x32, in colour."
        assert "digits/0/broken.png cannot be read as an image" in broken


@pytest.mark.parametrize(
    ("statuses", "worst", "n_called"),
    [
        ([OK] * 50, OK, len(RUN) + len(PROGRAMS)),
        ([OK, RUN_FAILED, OK] * 20, RUN_FAILED, len(RUN) + len(PROGRAMS)),
        ([OK, USAGE, RUN_FAILED] * 20, USAGE, len(RUN) + len(PROGRAMS)),
        ([OK, INTERRUPTED, OK], INTERRUPTED, 2),
    ],
)
def test_exit_status_of_all_is_the_worst(statuses, worst, n_called, monkeypatch):
    called = []

    def note(argv):
        called.append(argv)
        return statuses[len(called) - 1]

    monkeypatch.setattr(main_module, "main", note)
    monkeypatch.setattr(definition_module, "find_spec", lambda name: None)
    args = main_module.make_parser().parse_args(["all", "--quick"])
    assert main_module.run_every_one(["all", "--quick"], args) == worst
    assert len(called) == n_called
    assert all(argv[1:] == ["--quick"] for argv in called)
