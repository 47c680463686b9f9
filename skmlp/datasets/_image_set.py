"""Code that the fetchers of image sets share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from skmlp._image_files.options import pixel_names
from skmlp._sklearn_bases import Bunch
from skmlp._sklearn_compat import Interval, StrOptions
from skmlp.datasets._data_home import data_set_folders, find_file
from skmlp.datasets._download import download

T = TypeVar("T")

FETCH_CONSTRAINTS: dict[str, list[Any]] = {
    "data_home": [str, os.PathLike, None],
    "subset": [StrOptions({"train", "test", "all"})],
    "download_if_missing": ["boolean"],
    "return_X_y": ["boolean"],
    "as_frame": ["boolean"],
    "n_retries": [Interval(Integral, 0, None, closed="left")],
    "delay": [Interval(Real, 0, None, closed="left")],
}


@dataclass(frozen=True)
class ImageSet:
    """A published image set.

    Parameters
    ----------
    title : str
        The name of the image set in messages.
    folder : str
        The name of its folder in the data home.
    mirrors : tuple of str
        URLs of folders that hold its files.
    image_shape : tuple of int
        (height, width) or (height, width, channels).
    target_names : tuple of str
        The names of the classes.
    description : str
        The attribute ``DESCR`` of the result.
    install_hint : str, default=""
        Appended to the error message if the files are missing.
    """

    title: str
    folder: str
    mirrors: tuple[str, ...]
    image_shape: tuple[int, ...]
    target_names: tuple[str, ...]
    description: str
    install_hint: str = ""


def subset_parts(subset: str) -> tuple[str, ...]:
    """Return 'train', 'test' or both, in the order of their samples."""
    return ("train", "test") if subset == "all" else (subset,)


def find_or_download(
    image_set: ImageSet,
    file_names: Sequence[str],
    load: Callable[[Path], T],
    *,
    max_bytes: int,
    data_home: str | os.PathLike[str] | None,
    download_if_missing: bool,
    n_retries: int,
    delay: float,
) -> T:
    """Return `load(path)` for a file of an image set.

    The file is looked for under all `file_names`. If it is not found, the last of them
    is downloaded.
    """
    folders = data_set_folders(image_set.folder, data_home)
    path = find_file(folders, file_names)
    if path is not None:
        return load(path)
    not_found = f"{file_names[0]} was not found in {', '.join(map(str, folders))}"
    remedy = (
        f"put the files of {image_set.title} into one of these folders, or name the "
        f"folder that holds {image_set.folder}/ by data_home or the environment "
        f"variable SKMLP_DATA{image_set.install_hint}."
    )
    if not download_if_missing:
        raise OSError(
            f"{image_set.title}: {not_found}, and download_if_missing=False; {remedy}"
        )
    try:
        return download(
            file_names[-1],
            folders[0],
            mirrors=image_set.mirrors,
            load=load,
            max_bytes=max_bytes,
            n_retries=n_retries,
            delay=delay,
        )
    except OSError as error:
        raise OSError(
            f"{image_set.title}: {not_found}, and {error}; {remedy}"
        ) from error


def format_result(
    image_set: ImageSet,
    images: NDArray[np.uint8],
    target: NDArray[np.int64],
    *,
    return_X_y: bool,
    as_frame: bool,
) -> Bunch | tuple[Any, Any]:
    """Return images and target as a Bunch or as a tuple, of arrays or of frames."""
    flat = images.reshape(len(images), -1)
    feature_names = pixel_names(image_set.image_shape)
    data: Any = flat
    labels: Any = target
    frame = None
    if as_frame:
        import pandas as pd

        data = pd.DataFrame(flat, columns=feature_names, copy=False)
        labels = pd.Series(target, name="target")
        frame = None if return_X_y else pd.concat([data, labels], axis="columns")
    if return_X_y:
        return data, labels
    return Bunch(
        data=data,
        target=labels,
        frame=frame,
        images=flat.reshape(images.shape),
        feature_names=feature_names,
        target_names=np.array(image_set.target_names),
        DESCR=image_set.description,
    )
