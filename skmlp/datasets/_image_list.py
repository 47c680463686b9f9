"""Load a list of image files, or a table of their names and labels."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skmlp._image_files.options import (
    PILLOW_MODES,
    RESIZE_MODES,
    ImageOptions,
    check_image_size,
)
from skmlp._image_files.paths import as_paths, check_files
from skmlp._sklearn_bases import Bunch, validate_params
from skmlp._sklearn_compat import StrOptions
from skmlp.datasets._image_labels import (
    Labels,
    compile_pattern,
    encode_classes,
    encode_target,
    labels_by_pattern,
)
from skmlp.datasets._image_loading import load_image_set


@overload
def load_images(
    paths: Any,
    target: Any = None,
    *,
    path_column: str | None = None,
    container_path: str | os.PathLike[str] | None = None,
    suffix: str = "",
    labels_from: str | None = None,
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
def load_images(
    paths: Any,
    target: Any = None,
    *,
    path_column: str | None = None,
    container_path: str | os.PathLike[str] | None = None,
    suffix: str = "",
    labels_from: str | None = None,
    color_mode: str = "rgb",
    image_size: tuple[int, int] | None = None,
    resize_mode: str = "stretch",
    on_error: str = "raise",
    memmap: str | os.PathLike[str] | None = None,
    return_X_y: Literal[True],
    n_jobs: int | None = None,
    verbose: bool | int = True,
) -> tuple[NDArray[np.uint8], NDArray[Any] | None]: ...


@overload
def load_images(
    paths: Any,
    target: Any = None,
    *,
    path_column: str | None = None,
    container_path: str | os.PathLike[str] | None = None,
    suffix: str = "",
    labels_from: str | None = None,
    color_mode: str = "rgb",
    image_size: tuple[int, int] | None = None,
    resize_mode: str = "stretch",
    on_error: str = "raise",
    memmap: str | os.PathLike[str] | None = None,
    return_X_y: bool,
    n_jobs: int | None = None,
    verbose: bool | int = True,
) -> Bunch | tuple[NDArray[np.uint8], NDArray[Any] | None]: ...


@validate_params(
    {
        "paths": "no_validation",
        "target": "no_validation",
        "path_column": [str, None],
        "container_path": [str, os.PathLike, None],
        "suffix": [str],
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
def load_images(
    paths: Any,
    target: Any = None,
    *,
    path_column: str | None = None,
    container_path: str | os.PathLike[str] | None = None,
    suffix: str = "",
    labels_from: str | None = None,
    color_mode: str = "rgb",
    image_size: tuple[int, int] | None = None,
    resize_mode: str = "stretch",
    on_error: str = "raise",
    memmap: str | os.PathLike[str] | None = None,
    return_X_y: bool = False,
    n_jobs: int | None = None,
    verbose: bool | int = True,
) -> Bunch | tuple[NDArray[np.uint8], NDArray[Any] | None]:
    r"""Load the images in a list, or in a table of file names and labels.

    - The images keep the order of the list.
    - The formats are those of `load_image_folder`. The names of files may have any
      suffix.
    - The EXIF orientation is applied, so that photographs of phones are upright.
    - Transparency is dropped.
    - If a file has several frames or pages, the first one is read.

    Parameters
    ----------
    paths : list of str or path-like, array, Series, DataFrame, or path of a CSV file
        The files. A DataFrame, or a CSV file whose name ends in ``.csv``, is a table
        with a column of file names.
    target : array-like of shape (n,) or (n, n_targets), str, list of str or None, \
default=None
        The label or the numbers of every image.

        - For a list of files: the values.
        - For a table: the name of a column, or the names of several columns of numbers.
        - None: there is no target, or `labels_from` finds the classes in the paths.
    path_column : str, default=None
        The column of the file names in a table. None is the first column.
    container_path : str or path-like, default=None
        The folder of relative file names. None is the folder of the CSV file, and the
        working directory for other `paths`.
    suffix : str, default=''
        Appended to every file name, such as ``'.jpg'`` for tables without suffixes.
    labels_from : {'folder', 'filename'}, regular expression or None, default=None
        Where the class of an image is taken from if `target` is None.

        - 'folder': the class is the name of the folder that holds the file.
        - 'filename': the class is the file name up to the first dot.
        - A regular expression with one group, as a string: the class is the text of
          the group, which is searched in the file name. ``r"(.+)_[0-9]+"`` finds the
          class of ``cat_001.jpg``.
        - None: the images have no classes.
    color_mode, image_size, resize_mode, on_error, memmap, return_X_y, n_jobs, verbose
        As in `load_image_folder`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary-like object with these attributes, for n images:

        data : ndarray of shape (n, height * width * channels), dtype uint8
            One image per row.
        target : ndarray of shape (n,) or (n, n_targets)
            Strings become indices into `target_names`, of dtype int64. Numbers are
            unchanged. Absent without labels.
        images : ndarray of shape (n, height, width[, 3]), dtype uint8
            A view of the same memory as `data`. It is read-only with `memmap`.
        feature_names : list of str
            ``pixel_<row>_<column>[_<red|green|blue>]``.
        target_names : ndarray of str
            The sorted names of the classes, or the names of several columns of numbers.
            Absent for one column of numbers.
        filenames : ndarray of str, shape (n,)
            The path of each image.
        DESCR : str
            The number and shape of the images.

    (data, target) : tuple if ``return_X_y=True``
        The arrays `data` and `target` that are described above. `target` is None
        without labels.

    Raises
    ------
    ValueError
        In these cases:

        - `paths` is empty, or holds something else than paths,
        - a path leads to no file, or to no image. With ``on_error='warn'`` the image is
          left out,
        - a table lacks a column,
        - a label is missing, or labels are neither strings nor finite numbers,
        - `target` and `labels_from` are both given,
        - the sizes of images differ and `image_size` is None.

    Warns
    -----
    ImageFolderWarning
        If an image is left out, because it cannot be read, or if no image of a class
        can be read.

    See Also
    --------
    load_image_folder : Load the files in a folder.
    skmlp.preprocessing.ImageReader : Read the files in a Pipeline.

    Examples
    --------
    A table as in competitions of Kaggle, and the folder of its images:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skmlp.datasets import load_images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for number, gray in enumerate([0, 9, 255]):
    ...         Image.new("L", (4, 2), gray).save(Path(folder, f"{number}.png"))
    ...     table = Path(folder, "train.csv")
    ...     _ = table.write_text("id,label\n0,night\n1,night\n2,day\n")
    ...     sky = load_images(table, "label", suffix=".png", color_mode="grayscale")
    >>> sky.images.shape
    (3, 2, 4)
    >>> sky.target, sky.target_names
    (array([1, 1, 0]), array(['day', 'night'], dtype='<U5'))
    """
    options = ImageOptions(color_mode, check_image_size(image_size), resize_mode)
    listed = _read_list(paths, target, path_column, container_path, suffix)
    labels = _find_labels(listed, labels_from)
    if on_error == "raise":
        check_files(listed.paths)
    return load_image_set(
        listed.paths,
        labels,
        options,
        source=listed.source,
        on_error=on_error,
        memmap=memmap,
        return_X_y=return_X_y,
        n_jobs=n_jobs,
        verbose=bool(verbose),
    )


class _ListedImages(NamedTuple):
    """Files and their targets, and where they come from."""

    paths: list[Path]
    target: Any
    target_name: str
    source: str


def _read_list(
    paths: Any,
    target: Any,
    path_column: str | None,
    container_path: str | os.PathLike[str] | None,
    suffix: str,
) -> _ListedImages:
    """Return the paths of the files, and the values of the targets."""
    folder = Path() if container_path is None else Path(container_path)
    source = "a list of files"
    target_name = "target"
    if isinstance(paths, str | os.PathLike) and str(paths).lower().endswith(".csv"):
        source = str(paths)
        folder = Path(paths).parent if container_path is None else folder
        paths = _read_table(Path(paths), path_column)
    if isinstance(paths, pd.DataFrame):
        path_column = _check_column(paths, path_column)
        if target is not None:
            names = [target] if isinstance(target, str) else list(target)
            for name in names:
                _check_column(paths, name)
            target_name = f"target={target!r}"
            target = paths[target if isinstance(target, str) else names]
        paths = paths[path_column]
    elif path_column is not None:
        raise ValueError(
            f"path_column={path_column!r} was given, but paths is no table; give a "
            "DataFrame or the path of a CSV file."
        )
    elif isinstance(target, str):
        raise ValueError(
            f"target={target!r} names a column, but paths is no table; give a label "
            "for every path."
        )
    found = as_paths(paths, "paths")
    return _ListedImages(
        [folder / f"{path}{suffix}" for path in found], target, target_name, source
    )


def _read_table(path: Path, path_column: str | None) -> pd.DataFrame:
    """Read a CSV file; file names stay strings, such as 0001."""
    if not path.is_file():
        raise ValueError(f"paths={str(path)!r} is no CSV file: it does not exist.")
    columns = pd.read_csv(path, nrows=0).columns
    name = columns[0] if path_column is None and len(columns) else path_column
    return pd.read_csv(path, dtype={name: str})


def _check_column(table: pd.DataFrame, name: Any) -> Any:
    """Return the name of a column, which is the first one for None."""
    if name is None and len(table.columns):
        return table.columns[0]
    if name not in table.columns:
        known = ", ".join(map(repr, table.columns))
        raise ValueError(f"The table has no column {name!r}; there is {known}.")
    return name


def _find_labels(listed: _ListedImages, labels_from: str | None) -> Labels | None:
    """Return the labels of the files, or None if there are none."""
    pattern = compile_pattern(labels_from, ("folder", "filename"))
    if listed.target is not None:
        if labels_from is not None:
            raise ValueError("Give target or labels_from, not both.")
        return encode_target(listed.target, len(listed.paths), listed.target_name)
    if labels_from is None:
        return None
    if pattern is not None:
        return encode_classes(labels_by_pattern(listed.paths, pattern))
    if labels_from == "folder":
        return encode_classes([path.absolute().parent.name for path in listed.paths])
    return encode_classes([path.name.split(".")[0] for path in listed.paths])
