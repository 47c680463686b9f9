"""A trial draws every picture, and the committed pictures are complete."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.command_line.main import OK, USAGE, main
from benchmarks.data import datasets
from benchmarks.definitions.request import Request
from benchmarks.experiments import EXPERIMENTS
from benchmarks.pictures.gallery import PICTURES
from benchmarks.pictures.trained_models import TrainedModels
from benchmarks.result_store import result_files

ROOT = Path(__file__).parents[3]
LARGEST = 2**20


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    assert main(["pictures", "--quick", "--out", str(folder)]) == OK
    return folder


def assert_complete(folder):
    """The page shows a picture for every name, under 1 MB altogether."""
    page = (folder / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^!\[(.+)\]\((.+)\.png\)$", page, flags=re.MULTILINE)
    assert [name for _, name in shown] == list(PICTURES)
    assert all(caption.endswith(".") for caption, _ in shown)
    for name in PICTURES:
        with Image.open(folder / f"{name}.png") as image:
            assert min(image.size) >= 200
            assert np.asarray(image.convert("L")).std() > 5
    assert sum(path.stat().st_size for path in folder.iterdir()) < LARGEST


def test_every_picture_is_drawn(drawn):
    assert_complete(drawn)
    command = "`python -m benchmarks pictures --dataset digits --quick`"
    assert command in (drawn / "README.md").read_text(encoding="utf-8")


def test_committed_pictures_are_complete():
    assert_complete(result_files.COMMITTED_FOLDER / "pictures")


def test_readme_shows_existing_pictures_and_their_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.split("## Pictures")[1].split("\n## ")[0]
    shown = re.findall(r"^!\[.+\]\((.+)\)$", section, flags=re.MULTILINE)
    assert len(shown) >= 3
    assert all((ROOT / path).is_file() for path in shown)
    (command,) = re.findall(r"^    (python -m benchmarks .*)$", section, flags=re.M)
    made, folder = command.split(" --out ")
    page = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    assert f"`{made}`" in page


def test_only_requested_pictures_are_drawn(tmp_path):
    options = ["--quick", "--only", "first-images", "--out", str(tmp_path)]
    assert main(["pictures", *options]) == OK
    assert [path.name for path in tmp_path.iterdir()] == ["first-images.png"]


def test_models_are_trained_by_the_protocol():
    data = datasets.load("digits")
    request = Request(EXPERIMENTS["compare"], dataset="digits", quick=True)
    studio = TrainedModels(data, request)
    model = studio.fitted("lr")
    assert studio.fitted("lr") is model
    network = model[-1]
    trained_on = 0.9 * len(studio.data.y_train)  # a tenth is the validation set
    assert network.t_ == trained_on * network.n_iter_
    assert len(network.validation_scores_) == network.n_iter_
    assert all("train_score" in record for record in network.history_)
    assert studio.images.max() == 1
    assert float(studio.accuracy("lr")) == model.score(
        studio.data.X_test, studio.data.y_test
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--only", "nope"], "Unknown picture 'nope'; there is first-images, "),
        (["--dataset", "nope"], "Unknown dataset 'nope'"),
        (["--device", "nope"], "device='nope' is not a device"),
    ],
)
def test_unknown_names_are_refused(options, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["pictures", *options]) == USAGE
    assert capsys.readouterr().err.startswith(sentence)
    assert list(tmp_path.iterdir()) == []


def test_data_without_images_are_refused(tmp_path, capsys):
    table = tmp_path / "table.csv"
    rows = [f"{i / 7},{i % 3 / 3},{i % 2}" for i in range(40)]
    table.write_text("\n".join(["a,b,label", *rows]))
    assert main(["pictures", "--dataset", str(table)]) == USAGE
    assert "has no images" in capsys.readouterr().err
