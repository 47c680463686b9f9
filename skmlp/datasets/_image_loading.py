"""Load image files with their labels as a Bunch; used by all loaders of files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmlp._image_files.decoding import read_image
from skmlp._image_files.options import ImageOptions, pixel_names
from skmlp._image_files.reading import read_images
from skmlp._sklearn_bases import Bunch
from skmlp._warnings import warn
from skmlp.datasets._image_labels import Labels
from skmlp.datasets._image_paths import ImageFolderWarning
from skmlp.datasets._progress import progress_bar
from skmlp.storage.atomic_files import replace_file


def load_image_set(
    paths: Sequence[Path],
    labels: Labels | None,
    options: ImageOptions,
    *,
    source: str,
    on_error: str,
    memmap: str | os.PathLike[str] | None,
    return_X_y: bool,
    n_jobs: int | None,
    verbose: bool,
) -> Bunch | tuple[NDArray[np.uint8], NDArray[Any] | None]:
    """Load images and labels; `source` says in messages where they come from.

    The other parameters are those of `load_image_folder`.
    """
    failures: list[str] = []

    def fill(images: NDArray[np.uint8]) -> list[int]:
        loaded, failed = _read_all(images, paths, options, on_error, n_jobs, verbose)
        failures.extend(failed)
        return loaded

    shape = options.image_shape or _first_shape(paths, options, on_error)
    if memmap is None:
        images: NDArray[np.uint8] = np.empty((len(paths), *shape), np.uint8)
        loaded = fill(images)
        images = images[: len(loaded)]
    else:
        images, loaded = _fill_memmap(Path(memmap), (len(paths), *shape), fill)

    for failure in failures:
        warn(f"{failure}; it is left out.", ImageFolderWarning)
    data = images.reshape(len(images), -1)
    target, columns, class_text = None, {}, ""
    if labels is not None:
        target = labels.target[loaded]
        columns = {"target": target}
        if labels.target_names is not None:
            columns["target_names"] = labels.target_names
        if labels.are_classes:
            _warn_of_unread_classes(labels, target, source)
            class_text = f" in {len(columns['target_names'])} classes"
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        images=images,
        feature_names=pixel_names(shape),
        filenames=np.array([str(paths[i]) for i in loaded]),
        DESCR=f"{len(loaded)} images of shape {shape}{class_text}, read from {source}",
        **columns,
    )


def _warn_of_unread_classes(labels: Labels, target: NDArray[Any], source: str) -> None:
    """Warn about classes without readable images."""
    assert labels.target_names is not None
    unread = np.setdiff1d(labels.target_names, labels.target_names[target])
    if len(unread):
        warn(
            f"{source}: no image of the class {', '.join(map(repr, unread.tolist()))} "
            "can be read, so target_names has a class without images.",
            ImageFolderWarning,
        )


def _first_shape(
    paths: Sequence[Path], options: ImageOptions, on_error: str
) -> tuple[int, ...]:
    """Return the shape of the first image that can be read."""
    for path in paths:
        try:
            return read_image(path, options).shape
        except ValueError as error:
            if on_error == "raise":
                raise _with_remedy(error) from error
    raise _nothing_read(paths)


def _nothing_read(paths: Sequence[Path]) -> ValueError:
    """Return the error for files without any image."""
    return ValueError(f"None of {len(paths)} images, as {paths[0]}, can be read.")


def _with_remedy(error: ValueError) -> ValueError:
    """Return an error that also says how to leave the image out."""
    return ValueError(f"{error}; on_error='warn' leaves it out.")


def _read_all(
    images: NDArray[np.uint8],
    paths: Sequence[Path],
    options: ImageOptions,
    on_error: str,
    n_jobs: int | None,
    verbose: bool,
) -> tuple[list[int], list[str]]:
    """Read images into the beginning of an array.

    Returns the indices of the paths that were read, and a message for every other path.
    """
    outcomes = read_images(images, paths, options, n_jobs=n_jobs, skip_unreadable=True)
    failures = []
    with progress_bar("images", len(paths), enabled=verbose) as bar:
        for failure in outcomes:
            if failure is not None and on_error == "raise":
                raise _with_remedy(ValueError(failure))
            failures.append(failure)
            if bar is not None:
                bar.update(1)
    loaded = [i for i, failure in enumerate(failures) if failure is None]
    if not loaded:
        raise _nothing_read(paths)
    # Close the gaps that unreadable images left.
    for i, source in enumerate(loaded):
        if i != source:
            images[i] = images[source]
    return loaded, [failure for failure in failures if failure is not None]


def _fill_memmap(
    path: Path, shape: tuple[int, ...], fill: Callable[[NDArray[np.uint8]], list[int]]
) -> tuple[NDArray[np.uint8], list[int]]:
    """Create a .npy file and fill it.

    Return the array, mapped read-only, and the result of `fill`.
    """
    with replace_file(path) as part:
        array = np.lib.format.open_memmap(part, "w+", np.uint8, shape)
        loaded = fill(array)
        array.flush()
        start = array.offset
        del array  # some systems cannot rename a mapped file
        if len(loaded) < shape[0]:
            _truncate_npy(part, (len(loaded), *shape[1:]), start)
    return np.load(path, mmap_mode="r"), loaded


def _truncate_npy(path: Path, shape: tuple[int, ...], start: int) -> None:
    """Shorten the first axis of a .npy file of uint8 whose values begin at `start`."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with path.open("r+b") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        # NumPy pads headers so that the first axis can change its length in place.
        if stream.tell() != start:
            raise RuntimeError(f"NumPy's header of {path} changed its length.")
        stream.truncate(start + int(np.prod(shape, dtype=np.int64)))
