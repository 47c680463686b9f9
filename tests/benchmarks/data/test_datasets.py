import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.data.datasets import load


def test_digits_are_small_integers_with_a_fixed_split():
    first, again = load("digits"), load("digits")
    assert first.X_train.dtype == np.uint8
    assert first.X_train.max() == first.pixel_max == 16
    assert len(first.y_train) + len(first.y_test) == 1797
    np.testing.assert_array_equal(first.X_test, again.X_test)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="'nix'; use digits, mnist, fashion-mnist, c"):
        load("nix")


def csv(tmp_path, frame):
    path = tmp_path / "own.csv"
    frame.to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("target", ["label", "Class", "anything"])
def test_class_column_of_a_csv_is_named_or_the_last(tmp_path, target):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(50, 3)), columns=["a", "b", "c"])
    frame[target] = ["cat", "dog"] * 25
    if target != "anything":
        frame = frame[[target, "a", "b", "c"]]
    data = load(csv(tmp_path, frame))
    assert data.X_train.shape == (40, 3)
    assert data.X_test.shape == (10, 3)
    assert set(data.y_train) == {"cat", "dog"}
    assert data.image_shape is None


def test_csv_of_pixels_is_read_as_images(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 256, size=(20, 9)))
    frame["label"] = [0, 1] * 10
    data = load(csv(tmp_path, frame))
    assert data.image_shape == (3, 3)
    assert data.X_train.dtype == np.uint8


def test_csv_with_text_gaps_or_no_features_is_refused(tmp_path):
    frame = pd.DataFrame({"town": ["x", "y"], "label": [0, 1]})
    with pytest.raises(ValueError, match=r"Column 'town' of .* is not numeric"):
        load(csv(tmp_path, frame))
    with pytest.raises(ValueError, match="has 1 column"):
        load(csv(tmp_path, frame[["label"]]))
    gap = pd.DataFrame({"a": [1, 2, None], "label": [0, 1, 1]})
    with pytest.raises(ValueError, match=r"Column 'a' of .* lacks 1 of 3 values"):
        load(csv(tmp_path, gap))
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(ValueError, match="cannot be read as CSV"):
        load(str(empty))


def test_class_with_one_sample_cannot_be_split(tmp_path):
    frame = pd.DataFrame({"a": range(10), "label": [0] * 9 + [1]})
    with pytest.raises(ValueError, match="'own' cannot be split into a training set"):
        load(csv(tmp_path, frame))


def test_take_evenly_returns_evenly_spaced_samples():
    data = load("digits").take_evenly(100, 50)
    assert (len(data.y_train), len(data.y_test)) == (100, 50)
    assert len(np.unique(data.y_train)) == 10


def test_folder_with_its_own_split_uses_it(tmp_path):
    for part, n in (("train", 3), ("test", 2)):
        for label, grey in (("cat", 0), ("dog", 255)):
            (tmp_path / part / label).mkdir(parents=True)
            for i in range(n):
                image = Image.new("L", (5, 4), grey)
                image.save(tmp_path / part / label / f"{i}.png")
    data = load(str(tmp_path))
    assert data.image_shape == (32, 32, 3)
    assert (data.X_train.shape, data.X_test.shape) == ((6, 3072), (4, 3072))
    assert set(data.y_test[data.X_test[:, 0] == 255]) == {"dog"}


def test_plain_folder_of_images_is_split(tmp_path):
    for i in range(10):
        Image.new("RGB", (6, 6), (i, 0, 0)).save(tmp_path / f"{'ab'[i % 2]}.{i}.png")
    data = load(str(tmp_path))
    assert (len(data.y_train), len(data.y_test)) == (8, 2)
    assert set(data.y_test) == {"a", "b"}


def test_target_column_of_a_csv_can_be_chosen(tmp_path):
    frame = pd.DataFrame({"kind": [0, 1] * 10, "size": range(20), "y": [0.5] * 20})
    data = load(csv(tmp_path, frame), target="kind")
    assert sorted(set(data.y_train)) == [0, 1]
    assert data.X_train.shape == (16, 2)
    (remark,) = data.remarks
    assert remark == (
        "Target: column 'kind' with 2 classes. Features: 2, taken for columns of "
        "numbers."
    )
    with pytest.raises(ValueError, match=r"no column 'sort'; it has kind, size, y\."):
        load(csv(tmp_path, frame), target="sort")
    with pytest.raises(ValueError, match="--target names a column, but 'digits' is no"):
        load("digits", target="kind")


def test_numbers_with_decimals_are_no_classes(tmp_path):
    frame = pd.DataFrame({"size": range(100), "price": np.arange(100) / 7})
    with pytest.raises(ValueError, match="100 different numbers and no classes"):
        load(csv(tmp_path, frame))
