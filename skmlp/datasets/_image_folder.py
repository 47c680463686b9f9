"""A folder of image files as one array, classes taken from the files' names."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.utils import Bunch

from skmlp._sklearn_compat import StrOptions, validate_params
from skmlp.datasets._image_paths import FORMATS, labelled_images
from skmlp.datasets._image_set import pixel_names
from skmlp.storage.atomic_files import replace_file

_PILLOW_MODES = {"rgb": "RGB", "grayscale": "L"}


@validate_params(
    {
        "container_path": [str, os.PathLike],
        "labels_from": [StrOptions({"auto", "folder", "filename"}), None],
        "color_mode": [StrOptions(set(_PILLOW_MODES))],
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
    """Load the image files of a folder, with their classes.

    Files ending in .bmp, .gif, .jpeg, .jpg, .pbm, .pgm, .png, .ppm, .tif, .tiff or
    .webp, at any depth, are read in the order of their sorted paths; others, and
    hidden ones, are not looked at. Transparency is dropped; of several frames or
    pages, the first is taken.

    Parameters
    ----------
    container_path : str or path-like
        The folder.
    labels_from : {'auto', 'folder', 'filename'} or None, default='auto'
        'folder': an image's class is the name of the sub-folder of `container_path`
        it lies in; images that lie in none are left out. 'filename': the class is
        the file's name up to the first dot, as in ``cat.0.jpg``. 'auto' is 'folder'
        if all images lie in sub-folders, and 'filename' if none does and their names
        share classes. None is for images without classes, which are to be predicted.
    color_mode : {'rgb', 'grayscale'}, default='rgb'
        Whether images have three colours or one grey value for each pixel.
    image_size : tuple of (height, width), default=None
        The size that every image is resized to, in pixels, by bilinear
        interpolation (over all source pixels when it shrinks). If None, all images
        must have the same size.
    on_error : {'raise', 'warn'}, default='raise'
        Whether an image that cannot be read is an error, or is named in a warning
        and left out.
    memmap : str or path-like, default=None
        A file, usually ``.npy``, to write the images to and to map into memory, for
        images larger than memory. It appears, or is replaced, when all is written.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch; `target` is None if
        `labels_from` is.
    n_jobs : int, default=None
        How many threads read images; None is one, -1 one for each core.
    verbose : bool or int, default=True
        Whether to show a progress bar, if run in a terminal.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With these attributes, for n images:

        data : ndarray of shape (n, height * width * channels), dtype uint8
            One image in each row.
        target : ndarray of shape (n,), dtype int64
            The class of each image, as an index of `target_names`. Two folders agree
            on it only if they have the same classes; ``target_names[target]`` holds
            the names, which always agree. Neither is there if `labels_from` is None.
        images : ndarray of shape (n, height, width[, 3]), dtype uint8
            The same memory as `data`, as images; with `memmap`, read-only.
        feature_names : list of str
            ``pixel_<row>_<column>[_<red|green|blue>]``.
        target_names : ndarray of str
            The classes, sorted.
        filenames : ndarray of str, shape (n,)
            The path of each image.
        DESCR : str
            Where the images are from.

    (data, target) : tuple if ``return_X_y=True``
        The data and the target above.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If `container_path` is not a folder.
    ValueError
        If there are no images, if without sub-folders every name would be a class, if
        all sub-folders are named as parts of a data set (``train``, ``test``), if sizes
        differ and `image_size` is None, or if an image cannot be read or has more
        pixels than ``PIL.Image.MAX_IMAGE_PIXELS``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skmlp.datasets import load_image_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, grey in [("cat.0.png", 0), ("cat.1.png", 9), ("dog.0.png", 255)]:
    ...         Image.new("L", (4, 2), grey).save(Path(folder, name))
    ...     pets = load_image_folder(folder, color_mode="grayscale")
    >>> pets.images.shape, pets.data.shape
    ((3, 2, 4), (3, 8))
    >>> pets.target, pets.target_names
    (array([0, 0, 1]), array(['cat', 'dog'], dtype='<U3'))
    """
    folder = Path(container_path)
    size = _checked_size(image_size)
    paths, classes = labelled_images(folder, labels_from)

    def read(path: Path) -> NDArray[np.uint8]:
        return _read_image(path, _PILLOW_MODES[color_mode], size, on_error)

    shape = _first_shape(paths, read, on_error)

    failures: list[str] = []

    def fill(images: NDArray[np.uint8]) -> list[int]:
        kept, failed = _fill(images, paths, read, on_error, n_jobs, bool(verbose))
        failures.extend(failed)
        return kept

    if memmap is None:
        images: NDArray[np.uint8] = np.empty((len(paths), *shape), np.uint8)
        kept = fill(images)
        images = images[: len(kept)]
    else:
        images, kept = _mapped(Path(memmap), (len(paths), *shape), fill)

    for failure in failures:
        warnings.warn(f"{failure}; it is left out.", stacklevel=3)
    data = images.reshape(len(images), -1)
    labels: dict[str, NDArray[Any]] = {}
    in_classes = ""
    if classes is not None:
        target_names, codes = np.unique(classes, return_inverse=True)
        labels = {"target": codes.astype(np.int64)[kept], "target_names": target_names}
        in_classes = f" in {len(target_names)} classes"
    if return_X_y:
        return data, labels.get("target")
    return Bunch(
        data=data,
        images=images,
        feature_names=pixel_names(shape),
        filenames=np.array([str(paths[row]) for row in kept]),
        DESCR=f"{len(kept)} images of shape {shape}{in_classes}, read from {folder}",
        **labels,
    )


def _checked_size(image_size: Any) -> tuple[int, int] | None:
    """Return image_size as (height, width), or say what is wrong with it."""
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


def _read_image(
    path: Path, mode: str, size: tuple[int, int] | None, on_error: str
) -> NDArray[np.uint8]:
    """Return an image as (height, width[, 3]), or a ValueError that names its file."""
    from PIL import Image

    try:
        with Image.open(path, formats=tuple(set(FORMATS.values()))) as image:
            most = Image.MAX_IMAGE_PIXELS
            if most is not None and image.width * image.height > most:
                raise ValueError(f"it has {image.size} pixels, more than {most}")
            converted = _in_eight_bits(image).convert(mode)
        if size is not None and converted.size != size[::-1]:
            converted = converted.resize(size[::-1], Image.Resampling.BILINEAR)
        return np.asarray(converted)
    except Exception as error:
        remedy = "; on_error='warn' leaves it out" if on_error == "raise" else ""
        raise ValueError(
            f"{path} cannot be read as an image: {error}{remedy}"
        ) from error


def _in_eight_bits(image: Any) -> Any:
    """Return an image whose conversion to grey or colour keeps its brightness."""
    from PIL import Image

    if image.mode.startswith("I;16"):  # convert() would clip at 255
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode!r} have no known maximum")
    if "transparency" in image.info:  # a palette's; Pillow warns about other ways
        return image.convert("RGBA")
    return image


def _first_shape(
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


def _fill(
    images: NDArray[np.uint8],
    paths: Sequence[Path],
    read: Callable[[Path], NDArray[np.uint8]],
    on_error: str,
    n_jobs: int | None,
    verbose: bool,
) -> tuple[list[int], list[str]]:
    """Read files into the first rows; return which they are, and the failures."""
    from tqdm import tqdm

    def fill_row(row: int) -> str | None:
        try:
            image = read(paths[row])
        except ValueError as error:
            if on_error == "raise":
                raise
            return str(error)
        if image.shape != images.shape[1:]:
            raise ValueError(
                f"{paths[row]} has shape {image.shape}, but images before it have "
                f"{images.shape[1:]}; give image_size=(height, width) to resize all."
            )
        images[row] = image
        return None

    # Decoding releases the interpreter's lock, so threads share one output array.
    outcomes = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(fill_row)(row) for row in range(len(paths))
    )
    with tqdm(
        outcomes, "images", len(paths), unit="image", disable=None if verbose else True
    ) as watched:
        failures = list(watched)
    kept = [row for row, failure in enumerate(failures) if failure is None]
    for row, source in enumerate(kept):
        if row != source:
            images[row] = images[source]
    return kept, [failure for failure in failures if failure is not None]


def _mapped(
    path: Path, shape: tuple[int, ...], fill: Callable[[NDArray[np.uint8]], list[int]]
) -> tuple[NDArray[np.uint8], list[int]]:
    """Fill an array in a .npy file at `path`; return it read-only, and the rows."""
    with replace_file(path) as part:
        array = np.lib.format.open_memmap(part, "w+", np.uint8, shape)
        kept = fill(array)
        array.flush()
        start = array.offset
        del array  # some systems rename no mapped file
        if len(kept) < shape[0]:
            _shorten(part, (len(kept), *shape[1:]), start)
    return np.load(path, mmap_mode="r"), kept


def _shorten(path: Path, shape: tuple[int, ...], start: int) -> None:
    """Cut a .npy file of uint8 to fewer rows; its values begin at byte `start`."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with path.open("r+b") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        # NumPy pads headers so that the first axis can change its length in place.
        if stream.tell() != start:
            raise RuntimeError(f"NumPy's header of {path} changed its length.")
        stream.truncate(start + int(np.prod(shape, dtype=np.int64)))
