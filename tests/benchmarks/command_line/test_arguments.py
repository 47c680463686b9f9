import pytest

from benchmarks.command_line.arguments import USAGE, make_parser, make_request
from benchmarks.definitions.experiment import BUNDLED
from benchmarks.experiments import EXPERIMENTS


def request_of(*words):
    return make_request(make_parser().parse_args(words))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_trial_uses_data_of_every_machine(name):
    request = request_of(name, "--quick")
    assert request.dataset in ("digits", "digit-files", BUNDLED)
    assert request.seeds == 1
    assert request.quick


def test_trial_accepts_another_data_set():
    request = request_of("capacity", "--quick", "--dataset", "fashion-mnist")
    assert request.dataset == "fashion-mnist"


def test_train_size_belongs_to_the_experiments_own_data():
    assert request_of("hidden-units").train_size == 0.1
    assert request_of("hidden-units", "--dataset", "digits").train_size is None
    assert request_of("hidden-units", "--quick").train_size is None
    assert request_of("hidden-units", "--train-size", "50").train_size == 50


def test_reported_figures_need_their_protocol():
    assert request_of("normalization").matches_source_protocol()
    for words in (["--quick"], ["--dataset", "digits"], ["--train-size", "0.5"]):
        assert not request_of("normalization", *words).matches_source_protocol()


@pytest.mark.parametrize("option", [["--dataset", "digits"], ["--train-size", "9"]])
def test_bundled_experiment_refuses_data_options(option):
    with pytest.raises(ValueError, match="'tabular' has its own data sets"):
        request_of("tabular", *option)


@pytest.mark.parametrize("size", ["32", "0x8", "8x", "axb", "8x-1"])
def test_invalid_image_size_is_refused(size, capsys):
    with pytest.raises(SystemExit) as exit_:
        make_parser().parse_args(["--image-size", size])
    assert exit_.value.code == USAGE
    assert f"{size!r} is not a size such as 32x32." in capsys.readouterr().err


def test_command_repeats_read_options_without_the_path(tmp_path):
    folder = tmp_path / "cats"
    folder.mkdir()
    words = ["image-folder", "--dataset", str(folder), "--image-size", "16x8", "--grey"]
    assert request_of(*words).command == (
        "python -m benchmarks image-folder --dataset cats --image-size 16x8 --grey "
        "--seeds 3"
    )
