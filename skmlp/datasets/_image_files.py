"""Read one image file as an array of 8-bit values."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmlp.datasets._image_paths import PILLOW_FORMATS

PILLOW_MODES = {"rgb": "RGB", "grayscale": "L"}


def read_image(
    path: Path, mode: str, size: tuple[int, int] | None, on_error: str
) -> NDArray[np.uint8]:
    """Return an image as (height, width[, 3]); any failure is a ValueError."""
    from PIL import Image

    try:
        if not stat.S_ISREG(path.stat().st_mode):
            # Opening a pipe would wait for a writer.
            raise ValueError("it is no regular file")
        with Image.open(path, formats=tuple(set(PILLOW_FORMATS.values()))) as image:
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                raise ValueError(f"it has {image.size} pixels, more than {limit}")
            converted = _to_eight_bits(image).convert(mode)
        if size is not None and converted.size != size[::-1]:
            converted = converted.resize(size[::-1], Image.Resampling.BILINEAR)
        return np.asarray(converted)
    except Exception as error:
        remedy = "; on_error='warn' leaves it out" if on_error == "raise" else ""
        raise ValueError(
            f"{path} cannot be read as an image: {error}{remedy}"
        ) from error


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
