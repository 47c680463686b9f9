"""Find the image files in a folder, and their classes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

# Pillow's formats by suffix. Its other formats can run programs, or have pages to
# choose from.
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

# If all sub-folders have such names, they are subsets and not classes.
_SUBSET_NAMES = {
    "dev",
    "test",
    "testing",
    "train",
    "training",
    "val",
    "valid",
    "validation",
}


def find_labeled_images(
    folder: Path, labels_from: str | None
) -> tuple[list[Path], list[str] | None]:
    """Return the sorted paths of the images in a folder, and the class of each image.

    The classes are None if `labels_from` is None.
    """
    if not folder.exists():
        raise FileNotFoundError(f"container_path={str(folder)!r} does not exist.")
    if not folder.is_dir():
        raise NotADirectoryError(f"container_path={str(folder)!r} is not a folder.")
    images = _find_image_paths(folder)
    nested = [path for path in images if len(path.parts) > 1]
    if labels_from == "auto":
        if 0 < len(nested) < len(images):
            top = next(path for path in images if len(path.parts) == 1)
            raise ValueError(
                f"container_path={str(folder)!r} holds images, as {str(top)!r}, next "
                f"to sub-folders with images, as {str(nested[0])!r}; say by "
                f"labels_from='folder' or 'filename' where the classes are."
            )
        names = sorted({path.parts[0] for path in nested})
        if len(names) > 1 and _SUBSET_NAMES.issuperset(map(str.lower, names)):
            raise ValueError(
                f"container_path={str(folder)!r} holds the sub-folders "
                f"{', '.join(map(repr, names))}, parts of a data set by their names; "
                f"load each by itself, or give labels_from='folder' if they are "
                f"classes."
            )
        labels_from = "folder" if nested else "filename"
        stems = {path.name.split(".")[0] for path in images}
        if not nested and len(stems) == len(images) > 1:
            raise ValueError(
                f"container_path={str(folder)!r} holds images without sub-folders, and "
                f"by their names each would be a class, as {min(stems)!r}; put the "
                f"images of a class into a sub-folder, name files as 'class.1.png', or "
                f"give labels_from=None if their classes are not known."
            )
    if labels_from == "folder":
        images = nested
    if not images:
        where = "the sub-folders of " if labels_from == "folder" else ""
        raise ValueError(
            f"There are no images in {where}container_path={str(folder)!r}; "
            f"files ending in {', '.join(PILLOW_FORMATS)} are read."
        )
    if labels_from is None:
        return [folder / path for path in images], None
    classes = [
        path.parts[0] if labels_from == "folder" else path.name.split(".")[0]
        for path in images
    ]
    return [folder / path for path in images], classes


def _find_image_paths(folder: Path) -> list[Path]:
    """Return the sorted relative paths of the images; links to folders are followed."""

    def fail(error: OSError) -> NoReturn:
        raise error

    paths = []
    seen = set()  # links to folders may form a circle
    for current, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        here = Path(current)
        seen.add(here.resolve())
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".") and (here / name).resolve() not in seen
        ]
        paths += [
            (here / name).relative_to(folder)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in PILLOW_FORMATS
        ]
    return sorted(paths, key=lambda path: path.parts)
