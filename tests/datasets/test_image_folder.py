import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skmlp.datasets import ImageFolderWarning, load_image_folder


def save_image(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)


def random_image(seed, height=4, width=6):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def pets(tmp_path):
    """Three images in the sub-folders cat and dog, saved out of order."""
    folder = tmp_path / "pets"
    save_image(folder / "dog" / "a.png", random_image(2))
    save_image(folder / "cat" / "b.png", random_image(1))
    save_image(folder / "cat" / "a.PNG", random_image(0))
    return folder


def test_classes_are_sub_folders_and_images_are_sorted(pets):
    bunch = load_image_folder(pets)
    np.testing.assert_array_equal(
        bunch.images, [random_image(0), random_image(1), random_image(2)]
    )
    assert bunch.images.dtype == np.uint8
    assert bunch.data.shape == (3, 72)
    assert np.shares_memory(bunch.data, bunch.images)
    assert list(bunch.target) == [0, 0, 1]
    assert bunch.target.dtype == np.int64
    assert list(bunch.target_names) == ["cat", "dog"]
    names = [Path(name).relative_to(pets).as_posix() for name in bunch.filenames]
    assert names == ["cat/a.PNG", "cat/b.png", "dog/a.png"]
    assert bunch.feature_names[-1] == "pixel_3_5_blue"
    X, y = load_image_folder(str(pets), return_X_y=True)
    np.testing.assert_array_equal(X, bunch.data)
    np.testing.assert_array_equal(y, bunch.target)


def test_classes_are_file_names_up_to_the_first_dot(tmp_path):
    for seed, name in enumerate(["dog.10.png", "cat.0.png", "dog.2.png"]):
        save_image(tmp_path / name, random_image(seed))
    bunch = load_image_folder(tmp_path)
    assert [bunch.target_names[code] for code in bunch.target] == ["cat", "dog", "dog"]
    np.testing.assert_array_equal(
        bunch.images, [random_image(1), random_image(0), random_image(2)]
    )


def test_ambiguous_classes_need_labels_from(pets):
    save_image(pets / "cow.0.png", random_image(3))
    with pytest.raises(
        ValueError, match=r"'cow.0.png', next to .*labels_from='folder'"
    ):
        load_image_folder(pets)
    by_folder = load_image_folder(pets, labels_from="folder")
    assert list(by_folder.target_names) == ["cat", "dog"]
    by_name = load_image_folder(pets, labels_from="filename")
    assert list(by_name.target_names) == ["a", "b", "cow"]
    assert len(by_name.data) == 4


def test_images_without_classes_have_no_target(pets):
    save_image(
        pets / "new.png", random_image(3)
    )  # next to sub-folders, which are ignored here
    bunch = load_image_folder(pets, labels_from=None)
    assert [Path(name).name for name in bunch.filenames][-1] == "new.png"
    np.testing.assert_array_equal(bunch.images[-1], random_image(3))
    assert not {"target", "target_names"} & set(bunch)
    X, y = load_image_folder(pets, labels_from=None, return_X_y=True)
    np.testing.assert_array_equal(X, bunch.data)
    assert y is None


def test_names_of_subsets_are_not_classes(tmp_path):
    for part in ("Train", "test"):
        save_image(tmp_path / part / "cat" / "a.png", random_image(0))
    with pytest.raises(ValueError, match=r"'Train', 'test', parts .* load each by its"):
        load_image_folder(tmp_path)
    by_folder = load_image_folder(tmp_path, labels_from="folder")
    assert list(by_folder.target_names) == ["Train", "test"]
    save_image(tmp_path / "boat" / "a.png", random_image(1))
    assert list(load_image_folder(tmp_path).target) == [0, 1, 2]


@pytest.mark.parametrize(
    "names",
    [
        ["train/cat/a", "val/cat/a", "extra/cat/a"],
        ["train/a", "val/a", "extra/a"],
        ["train/cat/a", "train/dog/a", "2024/dog/a"],
        ["Train/cat/a", "Train/dog/a"],
        ["train/a", "unlabeled/a"],
    ],
)
def test_subsets_next_to_other_folders_are_not_classes(names, tmp_path):
    for name in names:
        save_image(tmp_path / f"{name}.png", random_image(0))
    with pytest.raises(ValueError, match=r"parts .* load each by itself"):
        load_image_folder(tmp_path)
    assert len(load_image_folder(tmp_path, labels_from="folder").data) == len(names)


@pytest.mark.parametrize(
    "names",
    [
        ["train/steam/a", "train/diesel/a", "boat/sail/a"],
        ["train/a", "boat/a"],
        ["train/a"],
        ["extra/large/a", "small/a"],
    ],
)
def test_classes_may_have_the_name_of_a_subset(names, tmp_path):
    for name in names:
        save_image(tmp_path / f"{name}.png", random_image(0))
    classes = sorted({name.split("/")[0] for name in names})
    assert list(load_image_folder(tmp_path).target_names) == classes


def test_nested_images_belong_to_the_outermost_folder(pets):
    save_image(pets / "cat" / "black" / "c.png", random_image(3))
    assert list(load_image_folder(pets).target) == [0, 0, 0, 1]


def test_other_and_hidden_files_are_ignored(pets):
    for name in ("README.txt", "._a.png", ".cache/a.png", "cat/Thumbs.db"):
        (pets / name).parent.mkdir(exist_ok=True)
        (pets / name).write_text("no image")
    assert len(load_image_folder(pets).data) == 3


def test_links_to_folders_are_followed_once(pets, tmp_path):
    save_image(tmp_path / "elsewhere" / "a.png", random_image(3))
    try:
        (pets / "bird").symlink_to(tmp_path / "elsewhere")
        (pets / "cat" / "circle").symlink_to(pets)
    except OSError as error:
        pytest.skip(f"no symbolic links: {error}")
    bunch = load_image_folder(pets)
    assert list(bunch.target_names) == ["bird", "cat", "dog"]
    assert len(bunch.data) == 4


def link_folders(links):
    """Make symbolic links, given as pairs of link and target."""
    try:
        for link, target in links:
            link.symlink_to(target, target_is_directory=True)
    except OSError as error:
        pytest.skip(f"no symbolic links: {error}")


def test_folders_that_link_to_each_other_are_read_once(pets):
    link_folders(
        [(pets / "cat" / "x", pets / "dog"), (pets / "dog" / "x", pets / "cat")]
    )
    bunch = load_image_folder(pets)
    assert list(bunch.target) == [0, 0, 1]
    names = [Path(name).relative_to(pets).as_posix() for name in bunch.filenames]
    assert names == ["cat/a.PNG", "cat/b.png", "dog/a.png"]


def test_folder_is_read_by_its_own_path_and_not_by_a_link(pets, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    save_image(elsewhere / "deep" / "a.png", random_image(3))
    link_folders(
        [
            (pets / "ant", pets / "dog"),
            (pets / "cat" / "nested", elsewhere),
            (pets / "zebra", elsewhere),
            (pets / "zebu", elsewhere / "deep"),
        ]
    )
    with pytest.warns(ImageFolderWarning, match=r"no images in 'ant', 'zebu', so"):
        bunch = load_image_folder(pets)
    assert list(bunch.target_names) == ["cat", "dog", "zebra"]
    assert list(bunch.target) == [0, 0, 1, 2]


def test_many_folders_with_links_to_all_others_are_read_once(tmp_path, monkeypatch):
    n = 12
    for i in range(n):
        save_image(tmp_path / f"c{i:02}" / "a.png", random_image(i))
    link_folders(
        (tmp_path / f"c{i:02}" / f"x{j}", tmp_path / f"c{j:02}")
        for i in range(n)
        for j in range(n)
    )
    read = []

    def scandir(path):
        read.append(path)
        return list_folder(path)

    list_folder = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    assert list(load_image_folder(tmp_path).target) == list(range(n))
    assert len(read) <= n + 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only POSIX systems have pipes")
def test_pipe_with_the_name_of_an_image_is_not_opened(pets):
    os.mkfifo(pets / "cat" / "pipe.png")
    # A writer that does not wait, so that a reader would not wait for ever.
    descriptor = os.open(pets / "cat" / "pipe.png", os.O_RDWR | os.O_NONBLOCK)
    os.write(descriptor, (pets / "cat" / "b.png").read_bytes())
    try:
        with pytest.raises(ValueError, match=r"pipe\.png cannot .* no regular file"):
            load_image_folder(pets)
        with pytest.warns(ImageFolderWarning, match=r"pipe\.png .* it is left out"):
            assert len(load_image_folder(pets, on_error="warn").data) == 3
    finally:
        os.close(descriptor)


def test_grayscale_images_have_no_channel_axis(pets):
    bunch = load_image_folder(pets, color_mode="grayscale")
    assert bunch.images.shape == (3, 4, 6)
    assert bunch.data.shape == (3, 24)
    luma = random_image(0) @ [0.299, 0.587, 0.114]  # ITU-R BT.601
    assert abs(bunch.images[0] - luma).max() < 1


def test_gray_image_in_color_has_three_equal_channels(tmp_path):
    save_image(tmp_path / "a.png", random_image(0)[..., 0])
    images = load_image_folder(tmp_path).images
    np.testing.assert_array_equal(
        images[0], np.repeat(random_image(0)[..., :1], 3, axis=2)
    )


def test_values_of_16_bits_are_scaled_to_8(tmp_path):
    Image.fromarray(np.array([[0, 256, 65535]], np.uint16)).save(tmp_path / "a.png")
    images = load_image_folder(tmp_path, color_mode="grayscale").images
    assert images.tolist() == [[[0, 1, 255]]]


@pytest.mark.parametrize(
    "content",
    [
        b"P5 3 1 65535\n" + np.array([0, 256, 65535], ">u2").tobytes(),
        b"P5 3 1 1023\n" + np.array([0, 4, 1023], ">u2").tobytes(),
        b"P2 3 1 1023\n0 4 1023\n",
    ],
)
def test_pgm_of_16_bits_is_scaled_to_8(content, tmp_path):
    (tmp_path / "a.pgm").write_bytes(content)
    images = load_image_folder(tmp_path, color_mode="grayscale").images
    assert images.tolist() == [[[0, 1, 255]]]


def test_transparency_is_dropped(tmp_path):
    Image.new("RGBA", (1, 1), (10, 20, 30, 0)).save(tmp_path / "a.png")
    palette = Image.new("P", (1, 1))
    palette.putpalette([10, 20, 30])
    palette.save(tmp_path / "b.png", transparency=b"\x00")
    assert (
        load_image_folder(tmp_path, labels_from="filename").data.tolist()
        == [[10, 20, 30]] * 2
    )


def test_image_size_is_height_and_width(tmp_path):
    save_image(tmp_path / "a.png", np.full((10, 20, 3), 7))
    save_image(tmp_path / "b.png", np.full((3, 3, 3), 9))
    images = load_image_folder(
        tmp_path, labels_from="filename", image_size=(2, 5)
    ).images
    assert images.shape == (2, 2, 5, 3)
    assert (images[0] == 7).all()
    assert (images[1] == 9).all()


def test_images_of_several_sizes_need_image_size(pets):
    save_image(pets / "dog" / "b.png", random_image(3, height=5))
    with pytest.raises(ValueError, match=r"b.png has shape \(5, 6, 3\).*image_size="):
        load_image_folder(pets, on_error="warn")


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_broken_image_is_named(pets, n_jobs):
    for name, content in {
        "empty.png": b"",
        "text.jpg": b"no image",
        "cut.png": (pets / "cat" / "b.png").read_bytes()[:60],
    }.items():
        broken = pets / "cat" / name
        broken.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name} cannot .*on_error='warn'"):
            load_image_folder(pets, n_jobs=n_jobs)
        broken.unlink()


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("mapped", [False, True])
def test_broken_images_are_left_out_with_a_warning(pets, tmp_path, n_jobs, mapped):
    whole = load_image_folder(pets)
    for name in ("cat/0.png", "cat/aa.png", "dog/z.png"):
        (pets / name).write_bytes(b"broken")
    memmap = tmp_path / "images.npy" if mapped else None
    with pytest.warns(UserWarning, match="it is left out") as caught:
        bunch = load_image_folder(
            pets, on_error="warn", memmap=memmap, n_jobs=n_jobs, verbose=False
        )
    assert [str(warning.message).split()[0] for warning in caught] == [
        str(pets / name) for name in ("cat/0.png", "cat/aa.png", "dog/z.png")
    ]
    assert {warning.filename for warning in caught} == {__file__}
    assert not any("on_error" in str(warning.message) for warning in caught)
    for key in ("images", "data", "target", "filenames"):
        np.testing.assert_array_equal(bunch[key], whole[key])
    if mapped:
        np.testing.assert_array_equal(np.load(memmap), whole.images)


def test_class_without_readable_images_is_named(pets):
    (pets / "ape").mkdir()
    (pets / "ape" / "a.heic").write_bytes(b"another format")
    (pets / "bee").mkdir()
    (pets / "dog" / "a.png").write_bytes(b"broken")
    with pytest.warns(ImageFolderWarning) as caught:
        bunch = load_image_folder(pets, on_error="warn")
    assert [str(warning.message).partition(": ")[2] for warning in caught][::2] == [
        "there are no images in 'ape', 'bee', so there is no such class; files ending "
        "in .bmp, .gif, .jpeg, .jpg, .pbm, .pgm, .png, .ppm, .tif, .tiff, .webp are "
        "read.",
        "no image of the class 'dog' can be read, so target_names has a class without "
        "images.",
    ]
    assert {warning.filename for warning in caught} == {__file__}
    assert list(bunch.target_names) == ["cat", "dog"]
    assert list(bunch.target) == [0, 0]
    with warnings.catch_warnings(action="error"):
        load_image_folder(pets / "cat", labels_from="filename")


def test_folder_with_only_broken_images_is_an_error(tmp_path):
    (tmp_path / "a.png").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"None of 1 images, as .*a\.png, can be read"):
        load_image_folder(tmp_path, on_error="warn")


@pytest.mark.parametrize("limit", [5, 15])
def test_image_with_too_many_pixels_is_refused(pets, monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)  # all have 24
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with pytest.raises(ValueError, match=r"cat.a\.PNG cannot be read"):
            load_image_folder(pets)


def test_memory_map_holds_the_same_images(pets, tmp_path):
    path = tmp_path / "images.npy"
    mapped = load_image_folder(pets, memmap=path, n_jobs=2)
    assert isinstance(mapped.data, np.memmap)
    assert not mapped.data.flags.writeable
    np.testing.assert_array_equal(mapped.data, load_image_folder(pets).data)
    np.testing.assert_array_equal(np.load(path), mapped.images)


def test_failure_leaves_the_earlier_memory_map_unchanged(pets, tmp_path):
    path = tmp_path / "images.npy"
    load_image_folder(pets, memmap=path)
    before = path.read_bytes()
    (pets / "dog" / "b.png").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"b\.png cannot be read"):
        load_image_folder(pets, memmap=path)
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [path, pets]


def test_missing_or_empty_folder_is_named(pets, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"container_path='.*absent'"):
        load_image_folder(tmp_path / "absent")
    with pytest.raises(NotADirectoryError, match=r"a\.png' is not a folder"):
        load_image_folder(pets / "dog" / "a.png")
    with pytest.raises(ValueError, match=r"no images in the sub-folders of .*dog'"):
        load_image_folder(pets / "dog", labels_from="folder")
    shutil.rmtree(pets / "dog")
    (pets / "dog").mkdir()
    with pytest.raises(ValueError, match=r"no images in container_path=.*\.jpeg"):
        load_image_folder(pets / "dog")


@pytest.mark.parametrize(
    "given",
    [
        {"labels_from": "name"},
        {"color_mode": "grey"},
        {"on_error": "ignore"},
        {"memmap": 3},
        {"image_size": 32},
        {"image_size": (32,)},
        {"image_size": (0, 32)},
        {"image_size": (3.5, 32)},
    ],
)
def test_invalid_parameter_is_named(pets, given):
    with pytest.raises(ValueError, match=next(iter(given))):
        load_image_folder(pets, **given)


def test_images_that_would_each_be_a_class_are_refused(tmp_path):
    for name in ("img001.png", "img002.png"):
        Image.new("L", (2, 2)).save(tmp_path / name)
    with pytest.raises(ValueError, match="by their names each would be a class"):
        load_image_folder(tmp_path)
    assert len(load_image_folder(tmp_path, labels_from="filename").target_names) == 2
    assert len(load_image_folder(tmp_path, labels_from=None).images) == 2
