"""Files are upright and have the requested size."""

import numpy as np
import pytest
from PIL import ExifTags, Image

from skmlp._image_files.decoding import read_image
from skmlp._image_files.options import ImageOptions

AS_STORED = ImageOptions("rgb", None, "stretch")

# What a camera does to the upright picture before it stores it, by the orientation.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


def orientation_data(orientation):
    """Return EXIF data with an orientation."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


@pytest.fixture
def picture():
    """A picture of 8 x 12 pixels whose four quarters differ."""
    upright = np.zeros((8, 12, 3), np.uint8)
    upright[:4, :6] = 250, 0, 0
    upright[:4, 6:] = 0, 250, 0
    upright[4:, :6] = 0, 0, 250
    return upright


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", STORED)
def test_rotated_phone_pictures_are_upright(orientation, suffix, picture, tmp_path):
    path = tmp_path / f"photo.{suffix}"
    stored = np.ascontiguousarray(STORED[orientation](picture))
    options = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    options |= {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(stored).save(path, exif=orientation_data(orientation), **options)
    read = read_image(path, AS_STORED).astype(int)
    assert read.shape == picture.shape
    # Blocks of JPEG blur the edges between the quarters a little.
    assert np.median(abs(read - picture)) <= 2
    assert abs(read[::7, ::11] - picture[::7, ::11]).max() <= 6


def test_values_of_16_bits_are_turned_upright(tmp_path):
    stored = np.array([[0, 256], [512, 65535], [0, 0]], np.uint16)
    path = tmp_path / "a.png"
    Image.fromarray(stored).save(path, exif=orientation_data(6))
    read = read_image(path, ImageOptions("grayscale", None, "stretch"))
    assert read.tolist() == [[0, 2, 0], [0, 255, 1]]


@pytest.mark.parametrize(
    "exif",
    [b"Exif\x00\x00broken", b"", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"\x00" * 40],
)
def test_picture_with_broken_exif_data_is_read_as_stored(exif, picture, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(picture).save(path, exif=exif)
    np.testing.assert_array_equal(read_image(path, AS_STORED), picture)


def test_image_size_applies_to_the_upright_picture(picture, tmp_path):
    path = tmp_path / "a.png"
    stored = np.ascontiguousarray(np.rot90(picture))
    Image.fromarray(stored).save(path, exif=orientation_data(6))
    read = read_image(path, ImageOptions("rgb", (4, 6), "crop"))
    assert read.shape == (4, 6, 3)
    np.testing.assert_array_equal(read[[0, 0, -1], [0, -1, 0]], np.eye(3) * 250)


@pytest.fixture
def flag(tmp_path):
    """A file of 2 x 6 pixels: two columns of 30, of 60 and of 90."""
    path = tmp_path / "flag.png"
    columns = np.array([30, 30, 60, 60, 90, 90], np.uint8)
    Image.fromarray(np.stack([columns, columns])).save(path)
    return path


def read_gray(path, size, resize_mode):
    return read_image(path, ImageOptions("grayscale", size, resize_mode))


def test_stretched_image_keeps_all_columns(flag):
    left, middle, right = read_gray(flag, (2, 3), "stretch")[0]
    assert (30 <= left < 40, middle, 80 < right <= 90) == (True, 60, True)


def test_cropped_image_keeps_the_center(flag):
    assert read_gray(flag, (2, 2), "crop").tolist() == [[60, 60]] * 2
    assert read_gray(flag, (4, 4), "crop")[:, 1:3].tolist() == [[60, 60]] * 4


def test_padded_image_has_black_margins(flag):
    padded = read_gray(flag, (6, 6), "pad")
    assert padded[:2].tolist() == padded[4:].tolist() == [[0] * 6] * 2
    np.testing.assert_array_equal(padded[2:4], read_gray(flag, None, "pad"))


@pytest.mark.parametrize("resize_mode", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (7, 5)])
def test_every_shape_can_be_resized(shape, resize_mode, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.full(shape, 200, np.uint8)).save(path)
    read = read_gray(path, (6, 4), resize_mode)
    assert read.shape == (6, 4)
    assert read.max() == 200


@pytest.mark.parametrize("resize_mode", ["crop", "pad"])
def test_equal_aspect_ratio_needs_neither_crop_nor_margins(resize_mode, tmp_path):
    path = tmp_path / "a.png"
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12), np.uint8)
    Image.fromarray(pixels).save(path)
    np.testing.assert_array_equal(
        read_gray(path, (4, 6), resize_mode), read_gray(path, (4, 6), "stretch")
    )
