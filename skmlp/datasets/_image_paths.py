"""Which files of a folder are images, and of which class each is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

FORMATS = {  # by suffix; Pillow's others can run programs or need a choice of page
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

# Sub-folders that are parts of a data set, where no others are beside them.
_PARTS = {"dev", "test", "testing", "train", "training", "val", "valid", "validation"}


def labelled_images(
    folder: Path, labels_from: str | None
) -> tuple[list[Path], list[str] | None]:
    """Return the images below a folder, sorted, and the class of each, if asked for."""
    if not folder.exists():
        raise FileNotFoundError(f"container_path={str(folder)!r} does not exist.")
    if not folder.is_dir():
        raise NotADirectoryError(f"container_path={str(folder)!r} is not a folder.")
    images = _images_below(folder)
    nested = [path for path in images if len(path.parts) > 1]
    if labels_from == "auto":
        if 0 < len(nested) < len(images):
            top = next(path for path in images if len(path.parts) == 1)
            raise ValueError(
                f"container_path={str(folder)!r} holds images, as {str(top)!r}, beside "
                f"sub-folders with images, as {str(nested[0])!r}; say by "
                f"labels_from='folder' or 'filename' where the classes are."
            )
        parts = sorted({path.parts[0] for path in nested})
        if len(parts) > 1 and _PARTS.issuperset(map(str.lower, parts)):
            raise ValueError(
                f"container_path={str(folder)!r} holds the sub-folders "
                f"{', '.join(map(repr, parts))}, parts of a data set by their names; "
                f"load each by itself, or give labels_from='folder' if they are "
                f"classes."
            )
        labels_from = "folder" if nested else "filename"
        names = {path.name.split(".")[0] for path in images}
        if not nested and len(names) == len(images) > 1:
            raise ValueError(
                f"container_path={str(folder)!r} holds images without sub-folders, and "
                f"by their names each would be a class, as {min(names)!r}; put the "
                f"images of a class into a sub-folder, name files as 'class.1.png', or "
                f"give labels_from=None if their classes are not known."
            )
    if labels_from == "folder":
        images = nested
    if not images:
        where = "the sub-folders of " if labels_from == "folder" else ""
        raise ValueError(
            f"There are no images in {where}container_path={str(folder)!r}; "
            f"files ending in {', '.join(FORMATS)} are read."
        )
    if labels_from is None:
        return [folder / path for path in images], None
    classes = [
        path.parts[0] if labels_from == "folder" else path.name.split(".")[0]
        for path in images
    ]
    return [folder / path for path in images], classes


def _images_below(folder: Path) -> list[Path]:
    """Return the images' paths relative to a folder; links to folders are followed."""

    def fail(error: OSError) -> NoReturn:
        raise error

    found = []
    seen = set()  # against links that lead in a circle
    for place, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        here = Path(place)
        seen.add(here.resolve())
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".") and (here / name).resolve() not in seen
        ]
        found += [
            (here / name).relative_to(folder)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in FORMATS
        ]
    return sorted(found, key=lambda path: path.parts)
