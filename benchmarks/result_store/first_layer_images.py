"""A network's first layer as images in a record: small, with one byte per weight."""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from typing import Any

import numpy as np

MAX_IMAGES = 50

# 50 images of MNIST's size. Base64 adds a third, so a record stays below 60 kB.
MAX_WEIGHTS = MAX_IMAGES * 28 * 28


def encode(
    estimator: Any, image_shape: tuple[int, ...] | None
) -> dict[str, Any] | None:
    """Store the first layer of a fitted network as images.

    Parameters
    ----------
    estimator : fitted estimator
        It has ``coefs_``. Of an ensemble, the first member is stored.
    image_shape : tuple of int or None
        Height, width and (in color) channels of the samples.

    Returns
    -------
    stored : dict or None
        The images, with these keys:

        * ``kind``: "weights" of pixels, or "filters" of a convolution
        * ``shape``: images, height, width, channels
        * ``units``: the number of units; only the first ones are stored if there are
          many
        * ``limit``: the largest absolute weight
        * ``values``: base64 of the weights as int8, where 127 is the limit

        None if the first layer cannot be shown as images or its weights are not finite.
    """
    network = (getattr(estimator, "estimators_", None) or [estimator])[0]
    if image_shape is None or not hasattr(network, "coefs_"):
        return None
    weights = np.asarray(network.coefs_[0], dtype=np.float64)
    if weights.ndim == 3:  # filters of signals
        return None
    kind = "filters" if weights.ndim == 4 else "weights"
    images = np.moveaxis(weights, -1, 0)
    if kind == "weights":
        if images.shape[1] != math.prod(image_shape):
            return None
        images = images.reshape(len(images), *(*image_shape, 1)[:3])
    if images.shape[-1] not in (1, 3) or not np.isfinite(images).all():
        return None
    shown = images[: min(MAX_IMAGES, MAX_WEIGHTS // images[0].size)]
    if not len(shown):
        return None
    limit = float(np.abs(shown).max())
    levels = np.rint(shown * (127 / limit if limit else 0)).astype(np.int8)
    return {
        "kind": kind,
        "shape": list(shown.shape),
        "units": len(images),
        "limit": limit,
        "values": b64encode(levels.tobytes()).decode("ascii"),
    }


def decode(stored: dict[str, Any]) -> np.ndarray:
    """Return int8 images of shape (n, height, width, channels), from -127 to 127."""
    levels = np.frombuffer(b64decode(stored["values"]), dtype=np.int8)
    return levels.reshape(stored["shape"])
