"""Images in a record, with one byte per pixel."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import numpy as np


def encode(samples: np.ndarray, image_shape: tuple[int, ...]) -> dict[str, Any]:
    """Store flat samples of pixels in [0, 1], which other values are clipped to.

    Returns
    -------
    stored : dict
        ``shape`` (images, height, width[, 3]) and ``values``, the base64 of the pixels
        as uint8.
    """
    levels = np.rint(np.clip(samples, 0, 1) * 255).astype(np.uint8)
    return {
        "shape": [len(samples), *image_shape],
        "values": b64encode(levels.tobytes()).decode("ascii"),
    }


def decode(stored: dict[str, Any]) -> np.ndarray:
    """Return uint8 images of shape (n, height, width[, 3])."""
    levels = np.frombuffer(b64decode(stored["values"]), dtype=np.uint8)
    return levels.reshape(stored["shape"])
