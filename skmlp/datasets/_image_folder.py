"""Load a folder of image files as one array."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from skmlp._image_files.options import (
    PILLOW_MODES,
    RESIZE_MODES,
    ImageOptions,
    check_image_size,
)
from skmlp._sklearn_bases import Bunch, validate_params
from skmlp._sklearn_compat import StrOptions
from skmlp.datasets._image_labels import encode_classes
from skmlp.datasets._image_loading import load_image_set
from skmlp.datasets._image_paths import find_labeled_images


@overload
def load_image_folder(
    container_path: str | os.PathLike[str],
    *,
    labels_from: str | None = "auto",
    color_mode: str = "rgb",
    image_size: tuple[int, int] | None = None,
    resize_mode: str = "stretch",
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
    resize_mode: str = "stretch",
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
    resize_mode: str = "stretch",
    on_error: str = "raise",
    memmap: str | os.PathLike[str] | None = None,
    return_X_y: bool,
    n_jobs: int | None = None,
    verbose: bool | int = True,
) -> Bunch | tuple[NDArray[np.uint8], NDArray[np.int64] | None]: ...


@validate_params(
    {
        "container_path": [str, os.PathLike],
        "labels_from": [str, None],
        "color_mode": [StrOptions(set(PILLOW_MODES))],
        "image_size": [tuple, list, None],
        "resize_mode": [StrOptions(set(RESIZE_MODES))],
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
    resize_mode: str = "stretch",
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
    - The EXIF orientation is applied, so that photographs of phones are upright.
    - Transparency is dropped.
    - If a file has several frames or pages, the first one is read.
    - Links to folders are followed. A folder that several paths lead to is read once,
      by its own path if that is in `container_path`.

    Parameters
    ----------
    container_path : str or path-like
        The folder.
    labels_from : {'auto', 'folder', 'filename'}, regular expression or None, \
default='auto'
        Where the class of an image is taken from.

        - 'folder': the class is the name of the sub-folder of `container_path` that
          holds the image. Images outside of sub-folders are left out.
        - 'filename': the class is the file name up to the first dot, as in
          ``cat.0.jpg``.
        - 'auto': 'folder' if all images are in sub-folders. 'filename' if no image is
          in a sub-folder, and at least two images have the same class by their names.
        - A regular expression with one group, as a string: the class is the text of
          the group, which is searched in the file name. ``r"(.+)_[0-9]+"`` finds the
          class of ``cat_001.jpg``.
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
        - `labels_from` is no regular expression with one group, or does not match the
          name of an image,
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

    See Also
    --------
    load_images : Load a list of files, or a table of file names and labels.
    skmlp.preprocessing.ImageReader : Read the files in a Pipeline.

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
    paths, classes = find_labeled_images(Path(container_path), labels_from)
    labels = None if classes is None else encode_classes(classes)
    options = ImageOptions(color_mode, check_image_size(image_size), resize_mode)
    return load_image_set(
        paths,
        labels,
        options,
        source=f"container_path={str(container_path)!r}",
        on_error=on_error,
        memmap=memmap,
        return_X_y=return_X_y,
        n_jobs=n_jobs,
        verbose=bool(verbose),
    )
