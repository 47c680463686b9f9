"""How image files are read: the colors, the size, and how images are resized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# The modes of Pillow by the values of `color_mode`.
PILLOW_MODES = {"rgb": "RGB", "grayscale": "L"}

RESIZE_MODES = frozenset({"stretch", "crop", "pad"})


@dataclass(frozen=True)
class ImageOptions:
    """How an image file becomes an array.

    Parameters
    ----------
    color_mode : {'rgb', 'grayscale'}
        Whether a pixel has three values or one.
    image_size : tuple of (height, width) or None
        The size of the array; None is the size of the image.
    resize_mode : {'stretch', 'crop', 'pad'}
        How an image of another aspect ratio is resized.
    """

    color_mode: str
    image_size: tuple[int, int] | None
    resize_mode: str

    @property
    def image_shape(self) -> tuple[int, ...] | None:
        """Shape of every array, or None if it depends on the file."""
        if self.image_size is None:
            return None
        return (
            self.image_size
            if self.color_mode == "grayscale"
            else (
                *self.image_size,
                3,
            )
        )


def check_image_size(image_size: Any) -> tuple[int, int] | None:
    """Return image_size as (height, width), or raise an error that explains it."""
    from PIL import Image

    if image_size is None:
        return None
    if (
        not isinstance(image_size, tuple | list)
        or len(image_size) != 2
        or not all(
            isinstance(length, int | np.integer)
            and not isinstance(length, bool)
            and length > 0
            for length in image_size
        )
    ):
        raise ValueError(
            f"image_size must be None or (height, width), two positive integers, "
            f"got {image_size!r}."
        )
    height, width = int(image_size[0]), int(image_size[1])
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and height * width > limit:
        raise ValueError(
            f"image_size={image_size!r} has more than {limit} pixels, the limit of "
            "PIL.Image.MAX_IMAGE_PIXELS."
        )
    return height, width


def pixel_names(image_shape: tuple[int, ...]) -> list[str]:
    """Return the feature names: pixel_row_column, or pixel_row_column_color.

    >>> pixel_names((1, 2, 3))[:4]
    ['pixel_0_0_red', 'pixel_0_0_green', 'pixel_0_0_blue', 'pixel_0_1_red']
    """
    height, width, *channels = image_shape
    colors = ("_red", "_green", "_blue") if channels else ("",)
    return [
        f"pixel_{row}_{column}{color}"
        for row in range(height)
        for column in range(width)
        for color in colors
    ]
