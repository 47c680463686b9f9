"""CIFAR-10 from its binary archive: no pickle is opened, no file is extracted."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from skmlp._sklearn_compat import validate_params
from skmlp.datasets._image_set import (
    FETCH_CONSTRAINTS,
    ImageSet,
    as_result,
    obtain,
    parts_of,
)

_SIDE = 32
_RECORD = 1 + 3 * _SIDE * _SIDE  # bytes: the label, then the planes red, green, blue
_N_CLASSES = 10
_MAX_MEMBERS = 100  # the archive has nine
_OVERHEAD = 1 << 20  # bytes for tar headers, padding, the archive's two text files


@dataclass(frozen=True)
class BatchArchive:
    """An image set in one archive: its name and MD5, the batches of each part."""

    about: ImageSet
    file_name: str
    md5: str
    batches: Mapping[str, tuple[str, ...]]
    rows_per_batch: int

    @property
    def max_bytes(self) -> int:
        """The most bytes that the unpacked archive can have."""
        n_batches = sum(map(len, self.batches.values()))
        return n_batches * self.rows_per_batch * _RECORD + _OVERHEAD


CIFAR10 = BatchArchive(
    ImageSet(
        title="CIFAR-10",
        folder="cifar10",
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
        image_shape=(_SIDE, _SIDE, 3),
        target_names=(
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        description="""\
CIFAR-10: small colour photographs

60,000 colour images of 32 x 32 pixels, 50,000 to train and 10,000 to test, of ten
kinds of animals and vehicles, 6,000 images of each.

A. Krizhevsky, "Learning multiple layers of features from tiny images", technical
report, University of Toronto, 2009.
""",
    ),
    file_name="cifar-10-binary.tar.gz",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
    batches={
        "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        "test": ("test_batch.bin",),
    },
    rows_per_batch=10000,
)


@validate_params(FETCH_CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_cifar10(
    *,
    data_home: str | os.PathLike[str] | None = None,
    subset: str = "train",
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Bunch | tuple[Any, Any]:
    """Load CIFAR-10, small colour photographs (classification).

    =================   ==================================
    Classes                                             10
    Samples, training                               50,000
    Samples, test                                   10,000
    Features            3072 (32 x 32 x 3 colours, 0..255)
    =================   ==================================

    The archive of the binary version, ``cifar-10-binary.tar.gz`` (162 MB), is looked
    for in the folder ``cifar10`` of the data home (see :func:`get_data_home`), then
    of the system's data folders, and is downloaded into the data home at last. It
    stays packed, and its MD5 is verified at every call.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder that holds the folder ``cifar10``. If None, the environment
        variable ``SKMLP_DATA`` names it, else it is the user's cache.
    subset : {'train', 'test', 'all'}, default='train'
        Which rows to load; 'all' is the training rows followed by the test rows.
    download_if_missing : bool, default=True
        If False, raise an OSError where a download would be needed.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        If True, data is a pandas DataFrame and target a pandas Series.
    n_retries : int, default=3
        How often to try again after a failed download.
    delay : float, default=1.0
        Seconds between tries.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With these attributes, for n images:

        data : ndarray or DataFrame of shape (n, 3072), dtype uint8
            One image in each row, the three colours of a pixel side by side (the
            archive stores them as three planes).
        target : ndarray or Series of shape (n,), dtype int64
            The class of each image, 0 to 9.
        images : ndarray of shape (n, 32, 32, 3), dtype uint8
            The same memory as `data`, as images, channels last.
        frame : DataFrame of shape (n, 3073) or None
            With ``as_frame=True``, data and target.
        feature_names : list of str
            ``pixel_<row>_<column>_<red|green|blue>``.
        target_names : ndarray of shape (10,)
            The classes' names.
        DESCR : str
            The description of the data set.

    (data, target) : tuple if ``return_X_y=True``
        The data and the target above.

    Raises
    ------
    OSError
        If the data are not found and cannot be, or must not be, downloaded.
    ValueError
        If the archive that was found is not what it should be.

    Examples
    --------
    >>> from skmlp.datasets import fetch_cifar10
    >>> photographs = fetch_cifar10(subset="test")  # doctest: +SKIP
    >>> photographs.images.shape  # doctest: +SKIP
    (10000, 32, 32, 3)
    """
    images, target = obtain(
        CIFAR10.about,
        (CIFAR10.file_name,),
        partial(_read_verified, CIFAR10, parts_of(subset)),
        max_bytes=CIFAR10.max_bytes,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    return as_result(
        CIFAR10.about, images, target, return_X_y=return_X_y, as_frame=as_frame
    )


def _read_verified(
    archive: BatchArchive, parts: tuple[str, ...], path: Path
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read the archive at `path`, which must be the one that `archive` describes."""
    with path.open("rb") as stream:
        md5 = hashlib.file_digest(
            stream, lambda: hashlib.md5(usedforsecurity=False)
        ).hexdigest()
    if md5 != archive.md5:
        raise ValueError(
            f"{path} is not the {archive.file_name} that is expected: it has MD5 "
            f"{md5} instead of {archive.md5}; remove it to have it found elsewhere or "
            f"downloaded."
        )
    names = tuple(name for part in parts for name in archive.batches[part])
    return read_batches(path, names, archive.rows_per_batch, archive.max_bytes)


def read_batches(
    path: Path, names: tuple[str, ...], rows_per_batch: int, max_bytes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images, channels last, and the labels of batches in an archive.

    Members are read in memory by their base name and only at their prescribed size;
    of the archive, at most `max_bytes` are unpacked. All else is a ValueError.
    """
    size = rows_per_batch * _RECORD
    batches: dict[str, NDArray[np.uint8]] = {}
    try:
        with (
            gzip.open(path) as unpacked,
            tarfile.open(
                fileobj=_Bounded(unpacked, max_bytes),  # type: ignore[call-overload]
                mode="r|",
            ) as tar,
        ):
            for number, member in enumerate(tar):
                if number >= _MAX_MEMBERS or not 0 <= member.size <= max_bytes:
                    raise ValueError(
                        f"its member {number}, {member.name!r}, has {member.size} "
                        f"bytes; at most {_MAX_MEMBERS} members fit into {max_bytes}"
                    )
                name = PurePosixPath(member.name).name
                if name not in names:
                    continue
                stream = tar.extractfile(member) if member.isreg() else None
                if stream is None or member.size != size or name in batches:
                    raise ValueError(
                        f"its member {member.name!r} has {member.size} bytes, where "
                        f"one file of {size} bytes is expected"
                    )
                content = stream.read(size)
                batches[name] = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    except (
        tarfile.TarError,
        gzip.BadGzipFile,
        zlib.error,
        EOFError,
        OverflowError,
        RecursionError,  # headers that only announce further headers
    ) as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
    except ValueError as error:
        raise ValueError(f"{path} is not the expected archive: {error}.") from error
    missing = [name for name in names if name not in batches]
    if missing:
        raise ValueError(f"{path} is not the expected archive: {missing} are missing.")

    images = np.empty((len(names) * rows_per_batch, _SIDE, _SIDE, 3), np.uint8)
    target = np.empty(len(images), np.int64)
    for number, name in enumerate(names):
        rows = slice(number * rows_per_batch, (number + 1) * rows_per_batch)
        planes = batches[name][:, 1:].reshape(-1, 3, _SIDE, _SIDE)
        images[rows] = planes.transpose(0, 2, 3, 1)
        target[rows] = batches[name][:, 0]
    if target.size and target.max() >= _N_CLASSES:
        raise ValueError(
            f"{path} holds the label {target.max()}; labels are 0 to {_N_CLASSES - 1}."
        )
    return images, target


class _Bounded:
    """A stream to read `left` bytes from at most, and its end at most once."""

    def __init__(self, stream: gzip.GzipFile, left: int) -> None:
        self._stream = stream
        self._left = left
        self._ended = False

    def read(self, size: int) -> bytes:
        chunk = self._stream.read(min(size, self._left + 1))
        self._left -= len(chunk)
        if self._left < 0:
            raise ValueError("it unpacks to more bytes than the format prescribes")
        if not chunk and self._ended:  # tarfile would seek on for a claimed exabyte
            raise EOFError("it ends before its members do")
        self._ended = not chunk
        return chunk
