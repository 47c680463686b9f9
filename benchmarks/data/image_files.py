"""Folders of image files: reading one, and writing one for machines without any."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.datasets import load_digits

from skmlp.datasets import load_image_folder

DEFAULT_SIZE = (32, 32)


@dataclass(frozen=True)
class ReadOptions:
    """How image files are read: their size, and whether without color."""

    image_size: tuple[int, int] = DEFAULT_SIZE
    grey: bool = False

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return self.image_size if self.grey else (*self.image_size, 3)

    def dataset_name(self, name: str) -> str:
        """Return the name with the options that differ: ``cats-grey-16x16``."""
        name += "-grey" if self.grey else ""
        size = self.image_size
        return name + (f"-{size[0]}x{size[1]}" if size != DEFAULT_SIZE else "")


DEFAULT_READ_OPTIONS = ReadOptions()


@dataclass(frozen=True)
class ImageFolderData:
    """Flat images, their class names, and remarks on the files that were read."""

    X: np.ndarray
    y: np.ndarray
    remarks: tuple[str, ...]


def read(folder: Path, reading: ReadOptions) -> ImageFolderData:
    """Read a folder with a progress bar. A broken file is skipped and named."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = load_image_folder(
            folder,
            image_size=reading.image_size,
            color_mode="grayscale" if reading.grey else "rgb",
            on_error="warn",
            verbose=True,
        )
    kinds = Counter(Path(name).suffix.lower() for name in found.filenames)
    files = " and ".join(f"{n:,} {suffix} files" for suffix, n in kinds.items())
    height, width = reading.image_size
    colour = "grey" if reading.grey else "in colour"
    remarks = [f"{folder.name}: read from {files}, {height}x{width}, {colour}."]
    for warning in caught:
        # The record must not hold the path of the folder on this machine.
        said = str(warning.message).replace(str(folder), folder.name)
        print(said, file=sys.stderr)
        remarks.append(said)
    return ImageFolderData(found.data, found.target_names[found.target], tuple(remarks))


@contextmanager
def write_digit_files() -> Iterator[Path]:
    """Write scikit-learn's digits as PNG files, one broken; yield the folder."""
    from PIL import Image

    X, y = load_digits(return_X_y=True)
    with TemporaryDirectory(prefix="skmlp-digits-") as place:
        folder = Path(place) / "digits"
        for label in np.unique(y):
            (folder / str(label)).mkdir(parents=True)
        for number, (row, label) in enumerate(zip(X, y, strict=True)):
            pixels = np.minimum(row.reshape(8, 8) * 16, 255).astype(np.uint8)
            image = Image.fromarray(pixels)
            image.save(folder / str(label) / f"{number:04}.png")
        (folder / "0" / "broken.png").write_bytes(b"no image")
        yield folder
