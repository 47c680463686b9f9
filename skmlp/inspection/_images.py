"""Convert samples to images, and arrange images in a grid."""

import math
from typing import Any

import numpy as np


def as_images(X: Any, image_shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return samples as images of shape ``(n_samples, height, width, channels)``.

    Without `image_shape`, flat samples are square images with one or three channels.
    """
    X = np.asarray(X)
    if not 2 <= X.ndim <= 4 or len(X) == 0:
        raise ValueError(
            f"X has shape {X.shape}; give samples (n_samples, n_features) or images "
            "(n_samples, height, width[, channels]), at least one."
        )
    if image_shape is None:
        image_shape = _square_shape(X.shape[1]) if X.ndim == 2 else X.shape[1:]
    if len(image_shape) == 2:
        image_shape = (*image_shape, 1)
    if len(image_shape) != 3 or math.prod(image_shape) != math.prod(X.shape[1:]):
        raise ValueError(
            f"X has {math.prod(X.shape[1:])} features, but image_shape={image_shape} "
            f"needs {math.prod(image_shape)}."
        )
    return X.reshape(len(X), *image_shape)


def signals_as_images(X: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return signals as gray images ``(n, channels, length, 1)``.

    `shape` is (length, channels) of flat signals. Without it, they have one channel.
    """
    X = np.asarray(X)
    if X.ndim == 2:
        X = X.reshape(len(X), *(shape or (X.shape[1], 1)))
    return X.transpose(0, 2, 1)[..., np.newaxis]


def _square_shape(n_features: int) -> tuple[int, int, int]:
    """Return the shape of a square image with one or three channels."""
    for channels in (1, 3):
        side = math.isqrt(n_features // channels)
        if side * side * channels == n_features:
            return side, side, channels
    raise ValueError(
        f"X has {n_features} features, which make no square image; give image_shape="
        f"(height, width) or (height, width, channels), such as (1, {n_features})."
    )


def check_count(name: str, value: int) -> None:
    """Raise a ValueError if a parameter is less than 1."""
    if value < 1:
        raise ValueError(f"{name}={value} must be at least 1.")


def pixel_range(images: np.ndarray) -> tuple[float, float]:
    """Return the pixel values for black and for white, which all images share."""
    if images.dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(images.min()), float(images.max())
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    low = min(low, 0.0)
    return low, max(high, low + 1)


def to_shades(images: np.ndarray, low: float, high: float) -> np.ndarray:
    """Scale pixels to [0, 1]. Gray images are returned without the channel axis."""
    shades = np.clip((images.astype(float) - low) / (high - low), 0, 1)
    return shades[..., 0] if images.shape[-1] == 1 else shades


def grid_shape(n: int) -> tuple[int, int]:
    """Return rows and columns of a grid for n pictures.

    A grid without empty cells is used if it is at most 2.5 times as wide as high.
    Otherwise the grid is almost square and may have empty cells.

    Examples
    --------
    >>> [grid_shape(n) for n in (1, 7, 10, 16, 25, 50)]
    [(1, 1), (3, 3), (2, 5), (4, 4), (5, 5), (5, 10)]
    """
    side = math.ceil(math.sqrt(n))
    for n_columns in range(side, int(2.5 * side) + 1):
        if n % n_columns == 0 and n_columns <= 2.5 * (n // n_columns):
            return n // n_columns, n_columns
    return math.ceil(n / side), side


def mosaic(tiles: np.ndarray, n_columns: int) -> np.ndarray:
    """Join tiles ``(n, height, width)`` into one picture, separated by lines of NaN."""
    n, height, width = tiles.shape
    n_columns = min(n, n_columns)
    n_rows = math.ceil(n / n_columns)
    picture = np.full((n_rows * (height + 1) - 1, n_columns * (width + 1) - 1), np.nan)
    for i, tile in enumerate(tiles):
        top, left = (i // n_columns) * (height + 1), (i % n_columns) * (width + 1)
        picture[top : top + height, left : left + width] = tile
    return picture
