"""Load a folder of image files as one array."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from skmlp._sklearn_bases import Bunch, validate_params
from skmlp._sklearn_compat import StrOptions
from skmlp._warnings import warn
from skmlp.datasets._image_files import PILLOW_MODES, read_image
from skmlp.datasets._image_paths import ImageFolderWarning, find_labeled_images
from skmlp.datasets._image_set import pixel_names
from skmlp.datasets._progress import progress_bar
from skmlp.storage.atomic_files import replace_file


@overload
def load_image_folder(
    container_path: str | os.PathLike[str],
    *,
    labels_from: str | None = "auto",
    color_mode: str = "rgb",
    image_size: tuple[int, int] | None = None,
    on_error: str = "raise",
    memmap: str | os.PathLike[str] | None = None,
    return_X_y: Literal[False] = False,
    n_jobs: int | None = None,
    verbose: bool | int = True,
) -> Bunch: ...


@overload
def load_image_folder(
    container_path: str | os.PathLike[str],
    *,
    labels_from: str | None = "auto",
    color_mode: str = "rgb",
    image_size: tuple[int, int] | None = None,
    on_error: str = "raise",
    memmap: str | os.PathLike[str] | None = None,
    return_X_y: Literal[True],
    n_jobs: int | None = None,
    verbose: bool | int = True,
) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]: ...


@overload
def load_image_folder(
    container_path: str | os.PathLike[str],
    *,
    labels_from: str | None = "auto",
    color_mode: str = "rgb",
    image_size: tuple[int, int] | None = None,
    on_error: str = "raise",
    memmap: str | os.PathLike[str] | None = None,
    return_X_y: bool,
    n_jobs: int | None = None,
    verbose: bool | int = True,
) -> Bunch | tuple[NDArray[np.uint8], NDArray[np.int64] | None]: ...


@validate_params(
    {
        "container_path": [str, os.PathLike],
        "labels_from": [StrOptions({"auto", "folder", "filename"}), None],
        "color_mode": [StrOptions(set(PILLOW_MODES))],
        "image_size": [tuple, list, None],
        "on_error": [StrOptions({"raise", "warn"})],
        "memmap": [str, os.PathLike, None],
        "return_X_y": ["boolean"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=True,
)
def load_image_folder(
    container_path: str | os.PathLike[str],
    *,
    labels_from: str | None = "auto",
    color_mode: str = "rgb",
    image_size: tuple[int, int] | None = None,
    on_error: str = "raise",
    memmap: str | os.PathLike[str] | None = None,
    return_X_y: bool = False,
    n_jobs: int | None = None,
    verbose: bool | int = True,
) -> Bunch | tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    """Load the images in a folder, with their classes.

    - Files that end in .bmp, .gif, .jpeg, .jpg, .pbm, .pgm, .png, .ppm, .tif, .tiff or
      .webp are read, at any depth, in the order of their sorted paths.
    - Other files and hidden files are ignored.
    - Transparency is dropped.
    - If a file has several frames or pages, the first one is read.
    - Links to folders are followed. A folder that several paths lead to is read once,
      by its own path if that is in `container_path`.

    Parameters
    ----------
    container_path : str or path-like
        The folder.
    labels_from : {'auto', 'folder', 'filename'} or None, default='auto'
        Where the class of an image is taken from.

        - 'folder': the class is the name of the sub-folder of `container_path` that
          holds the image. Images outside of sub-folders are left out.
        - 'filename': the class is the file name up to the first dot, as in
          ``cat.0.jpg``.
        - 'auto': 'folder' if all images are in sub-folders. 'filename' if no image is
          in a sub-folder, and at least two images have the same class by their names.
        - None: the images have no classes, for example because they are to be
          predicted.
    color_mode : {'rgb', 'grayscale'}, default='rgb'
        Whether a pixel has three colors or one gray value.
    image_size : tuple of (height, width), default=None
        The size in pixels to which every image is resized, by bilinear interpolation.
        When an image shrinks, all of its pixels are averaged. If None, all images must
        have the same size.
    on_error : {'raise', 'warn'}, default='raise'
        Whether an image that cannot be read raises an error, or is left out with a
        warning that names it.
    memmap : str or path-like, default=None
        A file, usually ``.npy``, into which the images are written. The result is
        mapped from this file, so the images may be larger than memory. An existing file
        is replaced when the new one is complete.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch. `target` is None if
        `labels_from` is None.
    n_jobs : int, default=None
        Number of threads that read images. None means 1, and -1 means one per core.
    verbose : bool or int, default=True
        Whether to show a progress bar. It is shown only in a terminal.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary-like object with these attributes, for n images:

        data : ndarray of shape (n, height * width * channels), dtype uint8
            One image per row.
        target : ndarray of shape (n,), dtype int64
            The class of each image, as an index into `target_names`. The same class
            has different indices in two folders if the folders have different classes,
            but ``target_names[target]`` is the same. Absent if `labels_from` is None.
        images : ndarray of shape (n, height, width[, 3]), dtype uint8
            A view of the same memory as `data`. It is read-only with `memmap`.
        feature_names : list of str
            ``pixel_<row>_<column>[_<red|green|blue>]``.
        target_names : ndarray of str, shape (n_classes,)
            The sorted names of the classes. Absent if `labels_from` is None.
        filenames : ndarray of str, shape (n,)
            The path of each image.
        DESCR : str
            The number, shape and folder of the images.

    (data, target) : tuple if ``return_X_y=True``
        The arrays `data` and `target` that are described above.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If `container_path` is not a folder.
    ValueError
        In these cases:

        - there are no images,
        - `labels_from` is 'auto', and every image would have its own class,
        - `labels_from` is 'auto', and sub-folders have names of subsets, such as
          ``train`` and ``test``,
        - `labels_from` is 'auto', and only some images are in sub-folders,
        - the sizes of images differ and `image_size` is None,
        - an image cannot be read, or has more pixels than
          ``PIL.Image.MAX_IMAGE_PIXELS``.

    Warns
    -----
    ImageFolderWarning
        In these cases:

        - an image is left out, because it cannot be read,
        - no image of a class can be read,
        - `labels_from` is 'folder' or 'auto', and a sub-folder of `container_path`
          holds no images, so that it is no class.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skmlp.datasets import load_image_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, gray in [("cat.0.png", 0), ("cat.1.png", 9), ("dog.0.png", 255)]:
    ...         Image.new("L", (4, 2), gray).save(Path(folder, name))
    ...     pets = load_image_folder(folder, color_mode="grayscale")
    >>> pets.images.shape, pets.data.shape
    ((3, 2, 4), (3, 8))
    >>> pets.target, pets.target_names
    (array([0, 0, 1]), array(['cat', 'dog'], dtype='<U3'))
    """
    folder = Path(container_path)
    size = _check_image_size(image_size)
    paths, classes = find_labeled_images(folder, labels_from)

    def read(path: Path) -> NDArray[np.uint8]:
        return read_image(path, PILLOW_MODES[color_mode], size, on_error)

    shape = _shape_of_first_readable_image(paths, read, on_error)

    failures: list[str] = []

    def fill(images: NDArray[np.uint8]) -> list[int]:
        loaded, failed = _read_all(images, paths, read, on_error, n_jobs, bool(verbose))
        failures.extend(failed)
        return loaded

    if memmap is None:
        images: NDArray[np.uint8] = np.empty((len(paths), *shape), np.uint8)
        loaded = fill(images)
        images = images[: len(loaded)]
    else:
        images, loaded = _fill_memmap(Path(memmap), (len(paths), *shape), fill)

    for failure in failures:
        warn(f"{failure}; it is left out.", ImageFolderWarning)
    data = images.reshape(len(images), -1)
    labels: dict[str, NDArray[Any]] = {}
    class_text = ""
    if classes is not None:
        target_names, codes = np.unique(classes, return_inverse=True)
        labels = {
            "target": codes.astype(np.int64)[loaded],
            "target_names": target_names,
        }
        unread = np.setdiff1d(target_names, target_names[labels["target"]])
        if len(unread):
            warn(
                f"container_path={str(folder)!r}: no image of the class "
                f"{', '.join(map(repr, unread.tolist()))} can be read, so target_names "
                "has a class without images.",
                ImageFolderWarning,
            )
        class_text = f" in {len(target_names)} classes"
    if return_X_y:
        return data, labels.get("target")
    return Bunch(
        data=data,
        images=images,
        feature_names=pixel_names(shape),
        filenames=np.array([str(paths[i]) for i in loaded]),
        DESCR=f"{len(loaded)} images of shape {shape}{class_text}, read from {folder}",
        **labels,
    )


def _check_image_size(image_size: Any) -> tuple[int, int] | None:
    """Return image_size as (height, width), or raise an error that explains it."""
    if image_size is None:
        return None
    if len(image_size) != 2 or not all(
        isinstance(length, int | np.integer) and length > 0 for length in image_size
    ):
        raise ValueError(
            f"image_size must be None or (height, width), two positive integers, "
            f"got {image_size!r}."
        )
    return int(image_size[0]), int(image_size[1])


def _shape_of_first_readable_image(
    paths: Sequence[Path], read: Callable[[Path], NDArray[np.uint8]], on_error: str
) -> tuple[int, ...]:
    """Return the shape of the first image that can be read."""
    for path in paths:
        try:
            return read(path).shape
        except ValueError:
            if on_error == "raise":
                raise
    raise ValueError(f"None of {len(paths)} images, as {paths[0]}, can be read.")


def _read_all(
    images: NDArray[np.uint8],
    paths: Sequence[Path],
    read: Callable[[Path], NDArray[np.uint8]],
    on_error: str,
    n_jobs: int | None,
    verbose: bool,
) -> tuple[list[int], list[str]]:
    """Read images into the beginning of an array.

    Returns the indices of the paths that were read, and a message for every other path.
    """

    def read_into(i: int) -> str | None:
        try:
            image = read(paths[i])
        except ValueError as error:
            if on_error == "raise":
                raise
            return str(error)
        if image.shape != images.shape[1:]:
            raise ValueError(
                f"{paths[i]} has shape {image.shape}, but images before it have "
                f"{images.shape[1:]}; give image_size=(height, width) to resize all."
            )
        images[i] = image
        return None

    # Decoding releases the global interpreter lock, so threads run in parallel.
    outcomes = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(read_into)(i) for i in range(len(paths))
    )
    failures = []
    with progress_bar("images", len(paths), enabled=verbose) as bar:
        for failure in outcomes:
            failures.append(failure)
            if bar is not None:
                bar.update(1)
    loaded = [i for i, failure in enumerate(failures) if failure is None]
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
