import io
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

from benchmarks.report import png_images
from benchmarks.result_store import first_layer_images


def pixels(picture):
    """Return a picture's red, green, blue and opacity."""
    data = b64decode(picture.url.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


class Network:
    """An object with a first layer."""

    def __init__(self, weights):
        self.coefs_ = [weights]


@pytest.fixture
def run_with(make_record, runs_of):
    """Return a function that makes a run with a first layer."""

    def make(weights, image_shape):
        stored = first_layer_images.encode(Network(weights), image_shape)
        (run,) = runs_of([make_record(first_layer=stored)])
        return run

    return make


def test_weights_are_blue_below_zero_and_orange_above(run_with):
    weights = np.zeros((4, 1))
    weights[:, 0] = [-1, 0, 0.5, 1]
    image = pixels(png_images.weights_of(run_with(weights, (2, 2)), 1000))
    below, zero = image[0, 0], image[0, 1]
    half, above = image[1, 0], image[1, 1]
    assert below[2] > below[0]
    assert above[0] > above[2]
    assert (zero[3], below[3], above[3]) == (0, 255, 255)
    assert 100 < half[3] < 156


@pytest.mark.parametrize(("n", "across"), [(1, 5), (10, 5), (32, 8), (50, 10)])
def test_images_are_arranged_in_rows_with_a_gap(n, across, run_with):
    weights = np.ones((16, n))
    picture = png_images.weights_of(run_with(weights, (4, 4)), 100_000)
    image = pixels(picture)
    assert image.shape[1] == across * 5 - 1
    assert (image[..., 3] > 0).sum() == 16 * n
    assert (picture.shown, picture.total, picture.tile) == (n, n, (4, 4))
    assert picture.width % image.shape[1] == 0


def test_pixel_limit_reduces_the_number_of_images(run_with):
    run = run_with(np.ones((784, 50)), (28, 28))
    assert png_images.weights_of(run, 4 * 784).shown == 4
    assert png_images.weights_of(run, 1).shown == 1


def test_color_images_are_grey_at_zero(run_with):
    weights = np.zeros((12, 1))
    weights[0], weights[3:6, 0] = 1, -1
    image = pixels(png_images.weights_of(run_with(weights, (2, 2, 3)), 1000)).astype(
        int
    )
    assert image[0, 0, 0] > 240
    assert abs(image[0, 0, 1] - 127) < 10
    assert (image[0, 1, :3] < 15).all()
    np.testing.assert_allclose(image[1, 1, :3], 127, atol=10)


@pytest.mark.parametrize(
    "stored",
    [
        None,
        {},
        {"shape": [1, 2, 2, 1], "values": "?", "units": 1},
        {"shape": [9, 9], "values": "AAAA", "units": 1},
        {"shape": [0, 2, 2, 1], "values": "", "units": 0},
        {"shape": [1, 1, 1, 4], "values": "AAAAAA==", "units": 1},
    ],
)
def test_damaged_or_missing_first_layer_gives_no_picture(stored, make_record, runs_of):
    (run,) = runs_of([make_record(first_layer=stored)])
    assert png_images.weights_of(run, 1000) is None


def test_confusions_are_fractions_of_the_true_class():
    counts = np.array([[8, 2, 0], [0, 0, 0], [1, 0, 3]])
    shares = png_images.confused(counts)
    np.testing.assert_allclose(shares, [[0, 0.2, 0], [0, 0, 0], [0.25, 0, 0]])
    image = pixels(png_images.confusion(counts, 0.25))
    assert image.shape[:2] == (3, 3)
    np.testing.assert_array_equal(image[..., 3] > 0, shares > 0)
    assert image[2, 0, 3] == 255
    assert image[0, 1, 3] < 255


def test_matrix_without_errors_is_transparent():
    image = pixels(png_images.confusion(np.eye(4) * 5, 0.0))
    assert not image[..., 3].any()
