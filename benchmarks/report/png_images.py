"""Weights, filters and confusion matrices as small PNG images on any background.

Colors differ only in opacity. Zero is the page's own background, in light and dark
mode. Blue and orange can be distinguished with every kind of color vision.
"""

from __future__ import annotations

import io
import math
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from benchmarks.report.stored_runs import Run
from benchmarks.result_store import first_layer_images

NEGATIVE, POSITIVE, CONFUSED = (33, 113, 181), (217, 95, 2), (217, 95, 2)
LEVELS = 16  # on each side of zero; more levels are not visible and compress badly
SMALL_TILE = 12  # in pixels; a smaller image is a filter


@dataclass(frozen=True)
class Picture:
    """A PNG as a data URL, with its size on the page."""

    url: str
    width: int
    height: int
    shown: int = 0
    total: int = 0
    tile: tuple[int, ...] = ()


def weights_of(run: Run, most: int) -> Picture | None:
    """Arrange a run's first-layer images in rows; None if none are stored.

    `most` is the largest number of pixels. Images beyond it are omitted.
    """
    stored = run.mapping("first_layer")
    try:
        images = first_layer_images.decode(stored)
        n, height, width, channels = images.shape
        total = int(stored["units"])
    except (KeyError, TypeError, ValueError):
        return None
    if not n * height * width or channels not in (1, 3):
        return None
    images = images[: max(1, most // (height * width * channels))]
    across = 5 if len(images) <= 10 else 8 if len(images) <= 32 else 10
    gap = 1 if width < SMALL_TILE else 2
    sheet = _sheet(images, across, gap)
    picture = _colored(sheet) if channels == 3 else _diverging(sheet[..., 0])
    # A filter gets large pixels and an image small ones, so that both are visible.
    zoom = max(1, round(300 / sheet.shape[1]))
    return Picture(
        _url(picture),
        sheet.shape[1] * zoom,
        sheet.shape[0] * zoom,
        len(images),
        total,
        (height, width),
    )


def _sheet(images: np.ndarray, across: int, gap: int) -> np.ndarray:
    """Arrange images in rows, separated by zeros."""
    n, height, width, channels = images.shape
    down = math.ceil(n / across)
    sheet = np.zeros(
        (down * (height + gap) - gap, across * (width + gap) - gap, channels)
    )
    for i, image in enumerate(images):
        top, left = (i // across) * (height + gap), (i % across) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def _diverging(levels: np.ndarray) -> Image.Image:
    """Draw levels in blue below zero and in orange above it, transparent at zero."""
    # With the maximum as limit, a few strong weights would make all others pale.
    limit = np.quantile(np.abs(levels[levels != 0]), 0.99) if levels.any() else 1
    shares = (levels / limit).clip(-1, 1)
    steps = np.rint(shares * LEVELS).astype(int) + LEVELS
    colors = [NEGATIVE] * LEVELS + [POSITIVE] * (LEVELS + 1)
    opacity = [round(255 * abs(i - LEVELS) / LEVELS) for i in range(2 * LEVELS + 1)]
    return _palette(steps, colors, opacity)


def _colored(levels: np.ndarray) -> Image.Image:
    """Draw three channels of levels from -127 to 127 as colors. Grey is zero."""
    return Image.fromarray((levels + 127).astype(np.uint8), "RGB").quantize(64)


def confusion(counts: np.ndarray, largest: float) -> Picture:
    """Draw the fraction of each true class with another predicted label.

    One pixel is one cell. The square root of the fraction is drawn, and `largest` has
    full color, so that errors of one percent are visible next to errors of ten percent.
    The diagonal is transparent.
    """
    shares = np.sqrt(confused(counts) / (largest or 1))
    steps = np.rint(shares * 31).clip(0, 31).astype(int)
    opacity = [round(255 * i / 31) for i in range(32)]
    n = len(counts)
    size = n * max(1, 180 // n)
    return Picture(_url(_palette(steps, [CONFUSED] * 32, opacity)), size, size, n, n)


def confused(counts: np.ndarray) -> np.ndarray:
    """Return the fraction of each true class that was predicted as another class."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    np.fill_diagonal(shares, 0)
    return shares.clip(0, 1)


def _palette(
    steps: np.ndarray, colors: Sequence[tuple[int, int, int]], opacity: list[int]
) -> Image.Image:
    image = Image.fromarray(steps.astype(np.uint8), "P")
    image.putpalette([part for color in colors for part in color])
    image.info["transparency"] = bytes(opacity)
    return image


def _url(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + b64encode(file.getvalue()).decode("ascii")
