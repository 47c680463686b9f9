import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.data import datasets, image_files
from benchmarks.data.image_files import ReadOptions


@pytest.fixture
def pets(tmp_path):
    for i in range(10):
        name = f"{'cat' if i % 2 else 'dog'}.{i}.png"
        Image.new("RGB", (6, 4), (255, 0, 25 * i)).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("reading", "shape", "n_features", "suffix"),
    [
        (ReadOptions(), (32, 32, 3), 3072, ""),
        (ReadOptions((8, 4)), (8, 4, 3), 96, "-8x4"),
        (ReadOptions(grey=True), (32, 32), 1024, "-grey"),
        (ReadOptions((16, 16), grey=True), (16, 16), 256, "-grey-16x16"),
    ],
)
def test_folder_is_read_with_the_given_options(
    pets, reading, shape, n_features, suffix
):
    data = datasets.load(str(pets), reading=reading)
    assert data.image_shape == shape
    assert data.X_train.shape == (8, n_features)
    assert data.name == pets.name + suffix
    assert set(data.y_train) == {"cat", "dog"}


def test_broken_file_is_skipped_and_named_without_its_path(pets, capsys):
    (pets / "cat.11.png").write_bytes(b"no image")
    images = image_files.read(pets, ReadOptions())
    assert len(images.X) == 10
    _, said = images.remarks
    assert said.startswith(f"{pets.name}/cat.11.png cannot be read as an image")
    assert str(pets) not in said
    assert "cat.11.png" in capsys.readouterr().err


def test_kinds_of_files_are_counted(pets):
    Image.new("L", (2, 2)).save(pets / "dog.12.jpg")
    (said,) = image_files.read(pets, ReadOptions((8, 8), grey=True)).remarks
    assert said == f"{pets.name}: read from 10 .png files and 1 .jpg files, 8x8, grey."


def test_digits_survive_writing_and_reading(capsys):
    with image_files.write_digit_files() as folder:
        images = image_files.read(folder, ReadOptions((8, 8), grey=True))
    X, y = load_digits(return_X_y=True)
    assert not folder.exists()
    assert len(images.X) == len(X)
    order = np.argsort(y, kind="stable")
    np.testing.assert_array_equal(images.y, y[order].astype(str))
    np.testing.assert_array_equal(images.X, np.minimum(X[order] * 16, 255))
