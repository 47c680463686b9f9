"""Folders of image files: how they are read, and one that every machine can have."""

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
class Reading:
    """How the files of a folder become rows: size, and grey or colour."""

    image_size: tuple[int, int] = DEFAULT_SIZE
    grey: bool = False

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return self.image_size if self.grey else (*self.image_size, 3)

    def named(self, name: str) -> str:
        """Name what is read otherwise than by default: ``cats-grey-16x16``."""
        name += "-grey" if self.grey else ""
        size = self.image_size
        return name + (f"-{size[0]}x{size[1]}" if size != DEFAULT_SIZE else "")


DEFAULT_READING = Reading()


@dataclass(frozen=True)
class Images:
    """Flat images, the names of their classes, and what was read."""

    X: np.ndarray
    y: np.ndarray
    remarks: tuple[str, ...]


def read(folder: Path, reading: Reading) -> Images:
    """Read a folder with a progress bar; a broken file is left out, and named."""
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
        # Where the folder lies on this machine is nobody else's business.
        said = str(warning.message).replace(str(folder), folder.name)
        print(said, file=sys.stderr)
        remarks.append(said)
    return Images(found.data, found.target_names[found.target], tuple(remarks))


@contextmanager
def written_digits() -> Iterator[Path]:
    """Write scikit-learn's digits to a folder of PNG files, one of them broken."""
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
