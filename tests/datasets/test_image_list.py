"""Lists and tables of image files become arrays and targets."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skmlp.datasets import ImageFolderWarning, load_image_folder, load_images


@pytest.fixture
def pets(tmp_path):
    """Six images of 4 x 6 pixels, whose gray value is 10 times their number."""
    folder = tmp_path / "pets"
    folder.mkdir()
    for i, name in enumerate(["cat_001", "cat_002", "dog_001", "dog_002"]):
        Image.new("L", (6, 4), 10 * i).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def paths(pets):
    return sorted(pets.iterdir())


def gray_values(bunch):
    return bunch.images[:, 0, 0, 0].tolist()


def test_images_keep_the_order_of_the_list(paths):
    bunch = load_images(paths[::-1])
    assert gray_values(bunch) == [30, 20, 10, 0]
    assert bunch.images.shape == (4, 4, 6, 3)
    assert bunch.images.dtype == np.uint8
    assert np.shares_memory(bunch.data, bunch.images)
    assert bunch.filenames.tolist() == [str(path) for path in paths[::-1]]
    assert len(bunch.feature_names) == bunch.data.shape[1]
    assert not {"target", "target_names"} & set(bunch)
    X, y = load_images(paths, return_X_y=True)
    np.testing.assert_array_equal(X, bunch.data[::-1])
    assert y is None


@pytest.mark.parametrize(
    "convert",
    [
        list,
        tuple,
        np.array,
        lambda paths: np.array([str(path) for path in paths]),
        pd.Series,
        lambda paths: pd.Series([str(path) for path in paths], dtype="string"),
        lambda paths: pd.DataFrame({"path": paths}),
        lambda paths: np.array([[str(path)] for path in paths]),
    ],
)
def test_paths_may_be_any_column(convert, paths):
    assert gray_values(load_images(convert(paths))) == [0, 10, 20, 30]


def test_same_file_may_be_listed_twice(paths):
    assert gray_values(load_images([paths[1], paths[1]])) == [10, 10]


def test_strings_become_classes(paths):
    bunch = load_images(paths, ["d", "b", "d", "a"])
    assert bunch.target.tolist() == [2, 1, 2, 0]
    assert bunch.target.dtype == np.int64
    assert bunch.target_names.tolist() == ["a", "b", "d"]
    assert "in 3 classes" in bunch.DESCR


@pytest.mark.parametrize(
    ("target", "dtype"),
    [
        ([7, 3, 7, 1], np.int64),
        (np.array([0.5, 1, 2, 3]), np.float64),
        (pd.Series([1, 2, 3, 4], dtype="Int64"), np.int64),
        ([True, False, True, True], np.bool_),
    ],
)
def test_numbers_are_unchanged(target, dtype, paths):
    bunch = load_images(paths, target)
    assert bunch.target.tolist() == list(target)
    assert bunch.target.dtype == dtype
    assert "target_names" not in bunch


def test_several_columns_of_numbers_are_a_target_matrix(paths):
    table = pd.DataFrame({"path": paths, "x": [1, 2, 3, 4], "y": [0.5, 0, 1, 2]})
    bunch = load_images(table, ["x", "y"])
    np.testing.assert_array_equal(bunch.target, table[["x", "y"]])
    assert bunch.target_names.tolist() == ["x", "y"]
    by_list = load_images(paths, table[["x", "y"]].to_numpy())
    np.testing.assert_array_equal(by_list.target, bunch.target)


def test_table_of_names_and_labels_is_read_from_csv(pets, tmp_path):
    table = pets / "train.csv"
    table.write_text("id,breed,age\ndog_002,beagle,3\ncat_001,manx,4\n")
    bunch = load_images(table, "breed", suffix=".png")
    assert gray_values(bunch) == [30, 0]
    assert bunch.target_names[bunch.target].tolist() == ["beagle", "manx"]
    elsewhere = tmp_path / "train.csv"
    elsewhere.write_text(table.read_text())
    X, y = load_images(
        str(elsewhere), "age", suffix=".png", container_path=pets, return_X_y=True
    )
    np.testing.assert_array_equal(X, bunch.data)
    assert y.tolist() == [3, 4]


def test_file_names_of_digits_stay_strings(tmp_path):
    Image.new("L", (2, 2), 7).save(tmp_path / "0007.png")
    (tmp_path / "a.csv").write_text("label,id\nx,0007\n")
    bunch = load_images(tmp_path / "a.csv", "label", path_column="id", suffix=".png")
    assert gray_values(bunch) == [7]


def test_relative_names_are_in_the_working_directory(pets, paths, monkeypatch):
    monkeypatch.chdir(pets)
    assert gray_values(load_images(["dog_001.png"])) == [20]
    # An absolute path is in no folder.
    assert gray_values(load_images([paths[3]], container_path="elsewhere")) == [30]


@pytest.mark.parametrize("load", [load_images, load_image_folder])
def test_classes_are_found_by_a_pattern(load, pets, paths):
    given = pets if load is load_image_folder else paths
    bunch = load(given, labels_from=r"([a-z]+)_\d+\.png")
    assert bunch.target.tolist() == [0, 0, 1, 1]
    assert bunch.target_names.tolist() == ["cat", "dog"]


@pytest.mark.parametrize("load", [load_images, load_image_folder])
def test_pattern_that_finds_no_class_names_the_file(load, pets, paths):
    given = pets if load is load_image_folder else paths
    with pytest.raises(ValueError, match=r"names of 2 of 4 images, as 'dog_001.png'"):
        load(given, labels_from="(cat)_")
    with pytest.raises(ValueError, match=r"'\[a-z\]\+' must be .* with one group"):
        load(given, labels_from="[a-z]+")
    with pytest.raises(ValueError, match=r"no regular expression: .*unterminated"):
        load(given, labels_from="(cat")


def test_error_of_images_without_classes_shows_a_pattern(tmp_path):
    for name in ("cat_1", "dog_1"):
        Image.new("L", (2, 2)).save(tmp_path / f"{name}.png")
    with pytest.raises(ValueError, match=r"labels_from a pattern .* r'\(\.\+\)_\[0-9"):
        load_image_folder(tmp_path)
    assert len(load_image_folder(tmp_path, labels_from=r"(.+)_[0-9]+").data) == 2


def test_class_may_be_the_name_of_the_folder_or_file(tmp_path, monkeypatch):
    for name in ("hot/sun.1.png", "cold/moon.1.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (2, 2)).save(tmp_path / name)
    names = ["hot/sun.1.png", "cold/moon.1.png"]
    by_folder = load_images(names, labels_from="folder", container_path=tmp_path)
    assert by_folder.target_names[by_folder.target].tolist() == ["hot", "cold"]
    by_name = load_images(names, labels_from="filename", container_path=tmp_path)
    assert by_name.target_names[by_name.target].tolist() == ["sun", "moon"]
    monkeypatch.chdir(tmp_path / "hot")
    assert load_images(["sun.1.png"], labels_from="folder").target_names == ["hot"]


@pytest.mark.parametrize(
    ("make_bad", "reason"),
    [
        (lambda folder: folder / "absent.png", r"absent\.png .* it does not exist"),
        (lambda folder: folder, r"pets cannot be read as an image: it is a folder"),
        (lambda folder: "a\0b", r"embedded null"),
    ],
)
def test_bad_path_is_named_before_images_are_read(make_bad, reason, pets, paths):
    paths[0].write_bytes(b"broken")
    given = [*paths, make_bad(pets)]
    with pytest.raises(ValueError, match=reason) as caught:
        load_images(given)
    assert "\n" not in str(caught.value)
    with pytest.warns(ImageFolderWarning, match="left out") as warned:
        bunch = load_images(given, [0, 1, 2, 3, 4], on_error="warn")
    assert len(warned) == 2
    assert bunch.target.tolist() == [1, 2, 3]
    assert gray_values(bunch) == [10, 20, 30]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (7, r"paths\[1\] is 7, which is no path"),
        (None, r"paths\[1\] is None"),
        (float("nan"), r"paths\[1\] is nan"),
        (b"a.png", r"paths\[1\] is b'a.png'"),
    ],
)
def test_value_that_is_no_path_is_named(bad, reason, paths):
    with pytest.raises(ValueError, match=reason):
        load_images([paths[0], bad])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only POSIX systems have pipes")
def test_pipe_is_not_opened(pets, paths):
    os.mkfifo(pets / "pipe.png")
    with pytest.raises(ValueError, match=r"pipe\.png cannot .* no regular file"):
        load_images([*paths, pets / "pipe.png"])


def test_broken_image_is_named(paths):
    paths[2].write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"dog_001\.png cannot .*on_error='warn'"):
        load_images(paths)


def test_class_without_readable_images_is_named(paths):
    paths[3].write_bytes(b"broken")
    with pytest.warns(ImageFolderWarning) as caught:
        load_images(paths, ["a", "a", "a", "b"], on_error="warn")
    assert str(caught[1].message).startswith("a list of files: no image of the class")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (["a", "b"], "target has 2 labels, but there are 4 paths"),
        (["a", None, "b", "c"], "target has no label for image 1"),
        ([1, 2, np.nan, 3], "target has no label for image 2"),
        ([1, 2, np.inf, 3], "target is not finite for image 2"),
        (["a", "b", 3, "c"], "columns of numbers, but holds 'a'"),
        ([[1, "a"]] * 4, "but holds 'a'"),
        ([[1], [1, 2], [1], [1]], r"must have the shape \(n,\) or"),
        (5, r"must have the shape \(n,\) or .* got 5"),
        ("label", "names a column, but paths is no table"),
        (pd.to_datetime(["2020-01-01"] * 4), "but holds Timestamp"),
    ],
)
def test_bad_target_is_explained(target, reason, paths):
    with pytest.raises(ValueError, match=reason):
        load_images(paths, target)


def test_bad_table_is_explained(paths, tmp_path):
    table = pd.DataFrame({"path": paths, "label": list("aabb")})
    with pytest.raises(ValueError, match=r"no column 'name'; there is 'path', 'label'"):
        load_images(table, path_column="name")
    with pytest.raises(ValueError, match=r"no column 'age'"):
        load_images(table, ["label", "age"])
    with pytest.raises(ValueError, match=r"path_column='path' .* paths is no table"):
        load_images(paths, path_column="path")
    with pytest.raises(ValueError, match=r"target or labels_from, not both"):
        load_images(table, "label", labels_from="folder")
    with pytest.raises(ValueError, match=r"no CSV file: it does not exist"):
        load_images(tmp_path / "absent.csv")
    with pytest.raises(ValueError, match=r"is a single path; give a list"):
        load_images(str(paths[0]))
    with pytest.raises(ValueError, match=r"0 sample\(s\): paths has no paths"):
        load_images([])
    with pytest.raises(ValueError, match=r"of shape \(2, 3\)"):
        load_images(np.zeros((2, 3)))


def test_options_are_those_of_a_folder(paths, pets, tmp_path):
    options = {"color_mode": "grayscale", "image_size": (2, 2), "resize_mode": "pad"}
    by_folder = load_image_folder(pets, labels_from=None, **options)
    mapped = load_images(paths, memmap=tmp_path / "a.npy", n_jobs=2, **options)
    assert isinstance(mapped.data, np.memmap)
    np.testing.assert_array_equal(mapped.images, by_folder.images)
    with pytest.raises(ValueError, match="resize_mode"):
        load_images(paths, resize_mode="squeeze")
    with pytest.raises(ValueError, match=r"more than .*MAX_IMAGE_PIXELS"):
        load_images(paths, image_size=(10**6, 10**6))


def test_images_of_several_sizes_need_image_size(paths, tmp_path):
    Image.new("L", (5, 5)).save(tmp_path / "other.png")
    with pytest.raises(ValueError, match=r"other.png has shape \(5, 5, 3\), but the"):
        load_images([*paths, Path(tmp_path, "other.png")])
