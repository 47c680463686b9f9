"""Paths of image files: their formats, and lists that users give."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from reprlib import repr as short_repr
from typing import Any

import numpy as np

# Formats of Pillow that are read, by suffix. Formats that can run external programs, or
# have several pages, are excluded.
PILLOW_FORMATS = {
    ".bmp": "BMP",
    ".gif": "GIF",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".pbm": "PPM",
    ".pgm": "PPM",
    ".png": "PNG",
    ".ppm": "PPM",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}


def as_paths(values: Any, name: str) -> list[Path]:
    """Return the paths in a list, an array, a Series or a frame of one column.

    `name` is the name of the argument in messages.
    """
    if isinstance(values, str | bytes | os.PathLike):
        raise ValueError(
            f"{name}={short_repr(values)} is a single path; give a list of paths."
        )
    array = np.asarray(values, dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be a list, an array or one column of paths to image files, "
            f"got {type(values).__name__} of shape {array.shape}."
        )
    if not len(array):
        raise ValueError(
            f"Found array with 0 sample(s): {name} has no paths to image files."
        )
    for i, value in enumerate(array):
        if not isinstance(value, str | os.PathLike):
            raise ValueError(
                f"{name}[{i}] is {short_repr(value)}, which is no path to an image "
                "file."
            )
    return [Path(value) for value in array]


def check_files(paths: Sequence[Path]) -> None:
    """Raise a ValueError for the first path that does not lead to a file."""
    for path in paths:
        if reason := why_not_a_file(path):
            raise ValueError(f"{path} cannot be read as an image: {reason}.")


def why_not_a_file(path: Path) -> str | None:
    """Return why a path does not lead to a file that can be opened, or None."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "it does not exist"
    except (OSError, ValueError) as error:  # a null byte is a ValueError
        return str(error)
    if stat.S_ISDIR(mode):
        return "it is a folder"
    return None if stat.S_ISREG(mode) else "it is no regular file"
