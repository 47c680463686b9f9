"""Samples as images, and pictures in grids."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skmlp.inspection._images import (
    as_images,
    grid_shape,
    mosaic,
    pixel_range,
    signals_as_images,
    to_shades,
)


@pytest.mark.parametrize(
    ("shape", "image_shape", "expected"),
    [
        ((5, 64), None, (5, 8, 8, 1)),
        ((5, 3072), None, (5, 32, 32, 3)),
        ((5, 12), (3, 4), (5, 3, 4, 1)),
        ((5, 24), (2, 4, 3), (5, 2, 4, 3)),
        ((5, 6, 7), None, (5, 6, 7, 1)),
        ((5, 6, 7, 3), None, (5, 6, 7, 3)),
    ],
)
def test_samples_become_images_in_the_same_order(shape, image_shape, expected):
    X = np.arange(np.prod(shape)).reshape(shape)
    images = as_images(X, image_shape)
    assert images.shape == expected
    np.testing.assert_array_equal(images.ravel(), X.ravel())


def test_samples_that_are_no_images_raise():
    with pytest.raises(ValueError, match=r"13 features.*such as \(1, 13\)"):
        as_images(np.zeros((2, 13)))
    with pytest.raises(ValueError, match=r"64 features, but .* needs 81"):
        as_images(np.zeros((2, 64)), (9, 9))
    with pytest.raises(ValueError, match="at least one"):
        as_images(np.zeros((0, 64)))


def test_pixel_range_depends_on_the_type_and_values_of_images():
    assert pixel_range(np.full((1, 2, 2, 1), 9, np.uint8)) == (0, 255)
    assert pixel_range(np.full((1, 2, 2, 1), 0.5)) == (0, 1)
    assert pixel_range(np.array([0.0, 16.0])) == (0, 16)
    assert pixel_range(np.array([-1.0, 2.0])) == (-1, 2)


def test_shades_are_clipped_and_lose_a_single_channel():
    images = np.array([-2.0, 0, 4, 9]).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(to_shades(images, 0, 8), [[[0, 0], [0.5, 1]]])
    assert to_shades(np.zeros((2, 4, 4, 3)), 0, 1).shape == (2, 4, 4, 3)


@given(st.integers(1, 400))
def test_grid_holds_all_pictures_and_wastes_less_than_one_row(n):
    n_rows, n_columns = grid_shape(n)
    assert n <= n_rows * n_columns < n + n_columns
    assert n_rows <= n_columns <= 2.5 * n_rows


@given(st.integers(1, 20), st.integers(1, 6))
def test_mosaic_separates_tiles_and_keeps_their_values(n, n_columns):
    tiles = np.arange(n * 6.0).reshape(n, 2, 3)
    picture = mosaic(tiles, n_columns)
    np.testing.assert_array_equal(np.sort(picture[~np.isnan(picture)]), range(n * 6))
    np.testing.assert_array_equal(picture[:2, :3], tiles[0])
    if n > 1 and n_columns > 1:
        assert np.isnan(picture[:, 3]).all()
        np.testing.assert_array_equal(picture[:2, 4:7], tiles[1])


def test_signals_are_images_with_a_row_for_each_channel():
    X = np.arange(24.0).reshape(2, 4, 3)
    pictures = signals_as_images(X)
    assert pictures.shape == (2, 3, 4, 1)
    np.testing.assert_array_equal(pictures[1, 2, :, 0], X[1, :, 2])
    np.testing.assert_array_equal(signals_as_images(X.reshape(2, 12), (4, 3)), pictures)
    assert signals_as_images(X.reshape(2, 12)).shape == (2, 1, 12, 1)
