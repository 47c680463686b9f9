"""Find the image files in a folder, and their classes."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from skmlp._image_files.paths import PILLOW_FORMATS
from skmlp._warnings import warn
from skmlp.datasets._image_labels import (
    PATTERN_EXAMPLE,
    compile_pattern,
    labels_by_pattern,
)

# Names of the subsets of data sets. Classes seldom have such names.
_SUBSET_NAMES = {
    "dev",
    "eval",
    "evaluation",
    "extra",
    "holdout",
    "test",
    "testing",
    "train",
    "training",
    "unlabeled",
    "unlabelled",
    "val",
    "valid",
    "validation",
}


class ImageFolderWarning(UserWarning):
    """Images are missing in the result of `load_image_folder` or `load_images`.

    The message names an image that cannot be read, or a class without images.

    Examples
    --------
    >>> import warnings
    >>> from skmlp.datasets import ImageFolderWarning
    >>> warnings.simplefilter("error", ImageFolderWarning)  # be strict
    >>> warnings.simplefilter("ignore", ImageFolderWarning)  # be silent
    """


def find_labeled_images(
    folder: Path, labels_from: str | None
) -> tuple[list[Path], list[str] | None]:
    """Return the sorted paths of the images in a folder, and the class of each image.

    The classes are None if `labels_from` is None. A sub-folder that would be a class,
    but holds no images, is named in a warning.
    """
    if not folder.exists():
        raise FileNotFoundError(f"container_path={str(folder)!r} does not exist.")
    if not folder.is_dir():
        raise NotADirectoryError(f"container_path={str(folder)!r} is not a folder.")
    pattern = compile_pattern(labels_from, ("auto", "folder", "filename"))
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
        if _are_subsets(names, nested):
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
                f"images of a class into a sub-folder, name files as 'class.1.png', "
                f"give labels_from a pattern of the names, as {PATTERN_EXAMPLE}, or "
                f"labels_from=None if their classes are not known."
            )
    if labels_from == "folder":
        images = nested
    if not images:
        where = "the sub-folders of " if labels_from == "folder" else ""
        raise ValueError(
            f"There are no images in {where}container_path={str(folder)!r}; "
            f"files ending in {', '.join(PILLOW_FORMATS)} are read."
        )
    if labels_from == "folder":
        _warn_of_empty_classes(folder, {path.parts[0] for path in images})
    paths = [folder / path for path in images]
    if labels_from is None:
        return paths, None
    if pattern is not None:
        return paths, labels_by_pattern(images, pattern)
    classes = [
        path.parts[0] if labels_from == "folder" else path.name.split(".")[0]
        for path in images
    ]
    return paths, classes


def _are_subsets(names: list[str], nested: list[Path]) -> bool:
    """Return whether sub-folders are subsets of a data set, by their names.

    Either all of them have names of subsets, or one of them has and holds folders of
    the same names as another one, such as ``train/cat`` and ``more/cat``.
    """
    subsets = [name for name in names if name.lower() in _SUBSET_NAMES]
    if len(names) > 1 and len(subsets) == len(names):
        return True
    if not subsets or any(len(path.parts) < 3 for path in nested):
        return False
    classes: dict[str, set[str]] = {name: set() for name in names}
    for path in nested:
        classes[path.parts[0]].add(path.parts[1])
    if len(names) == 1:
        return len(classes[names[0]]) > 1
    return any(
        classes[subset] & classes[name]
        for subset in subsets
        for name in names
        if name != subset
    )


def _warn_of_empty_classes(folder: Path, classes: set[str]) -> None:
    """Warn of sub-folders that hold no files with the suffix of an image."""
    empty = sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.is_dir() and not entry.name.startswith(".")
    )
    empty = [name for name in empty if name not in classes]
    if empty:
        warn(
            f"container_path={str(folder)!r}: there are no images in "
            f"{', '.join(map(repr, empty))}, so there is no such class; files ending "
            f"in {', '.join(PILLOW_FORMATS)} are read.",
            ImageFolderWarning,
        )


def _find_image_paths(folder: Path) -> list[Path]:
    """Return the sorted relative paths of the images.

    Every folder is read once. Links to folders are followed after the folders that are
    no links were read, those near the top first, so a link never replaces a folder.
    """
    paths = []
    root = os.path.realpath(folder)
    seen = {root}
    folders = deque([(Path(), root)])  # relative path, and path without links
    links: deque[Path] = deque()
    while folders or links:
        if not folders:
            here = links.popleft()
            target = os.path.realpath(folder / here)
            if target in seen:
                continue
            seen.add(target)
        else:
            here, target = folders.popleft()
        with os.scandir(folder / here) as entries:
            by_name = sorted(entries, key=lambda entry: entry.name)
        for entry in by_name:
            if entry.name.startswith("."):
                continue
            path = here / entry.name
            if not entry.is_dir():
                if path.suffix.lower() in PILLOW_FORMATS:
                    paths.append(path)
            elif entry.is_symlink():
                links.append(path)
            elif (real := f"{target}{os.sep}{entry.name}") not in seen:
                seen.add(real)
                folders.append((path, real))
    return sorted(paths, key=lambda path: path.parts)
