"""Read one image file as an array of 8-bit values."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmlp._image_files.options import PILLOW_MODES, ImageOptions
from skmlp._image_files.paths import PILLOW_FORMATS, why_not_a_file


def read_image(path: Path, options: ImageOptions) -> NDArray[np.uint8]:
    """Return an image as (height, width[, 3]); any failure is a ValueError."""
    from PIL import Image

    try:
        # Opening a pipe would wait for a writer.
        if reason := why_not_a_file(path):
            raise ValueError(reason)
        with Image.open(path, formats=tuple(set(PILLOW_FORMATS.values()))) as image:
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                raise ValueError(f"it has {image.size} pixels, more than {limit}")
            _turn_upright(image)
            converted = _to_eight_bits(image).convert(PILLOW_MODES[options.color_mode])
        if options.image_size is not None:
            height, width = options.image_size
            converted = _resize(converted, (width, height), options.resize_mode)
        return np.asarray(converted)
    except Exception as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error


def _turn_upright(image: Any) -> None:
    """Apply the EXIF orientation, which says how the camera was held, in place."""
    from PIL import ImageOps

    image.load()  # errors of the pixels are errors of the file
    # Broken EXIF data hold no orientation. Some cannot be written back without it, and
    # Pillow writes them after it has turned the pixels.
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)


def _to_eight_bits(image: Any) -> Any:
    """Return an image with 8 bits per value, of the same brightness."""
    from PIL import Image

    if image.mode.startswith("I;16"):  # convert() would clip values at 255
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "I" and image.format == "PPM":
        # Pillow scales the values of 16 bits to the range up to 65535.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode!r} have no known maximum")
    if "transparency" in image.info:  # of a palette; convert("RGB") would warn
        return image.convert("RGBA")
    return image


def _resize(image: Any, size: tuple[int, int], resize_mode: str) -> Any:
    """Return an image of (width, height)."""
    from PIL import Image, ImageOps

    if image.size == size:
        return image
    method = Image.Resampling.BILINEAR
    if resize_mode == "crop":
        return ImageOps.fit(image, size, method)
    if resize_mode == "pad":
        # A picture of extreme aspect ratio would shrink to no pixels at all.
        scale = min(size[0] / image.width, size[1] / image.height)
        if min(image.width, image.height) * scale < 1:
            inner = (
                max(1, round(image.width * scale)),
                max(1, round(image.height * scale)),
            )
            image = image.resize(inner, method)
        return ImageOps.pad(image, size, method)
    return image.resize(size, method)
