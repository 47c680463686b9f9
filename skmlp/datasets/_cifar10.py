"""CIFAR-10, read from its binary archive without extracting files."""

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

from skmlp._sklearn_bases import Bunch
from skmlp.datasets._fetcher_types import fetcher
from skmlp.datasets._image_set import (
    ImageSet,
    find_or_download,
    format_result,
    subset_parts,
)

_SIDE = 32
# One record is the label, then the red, the green and the blue plane.
_RECORD_BYTES = 1 + 3 * _SIDE * _SIDE
_N_CLASSES = 10
_MAX_MEMBERS = 100  # the archive has nine
_MAX_EXTRA_BYTES = 1 << 20  # for tar headers, padding and two text files


@dataclass(frozen=True)
class BatchArchive:
    """An image set in one archive, and the names of its batches for each subset.

    A batch is one file of CIFAR-10.
    """

    info: ImageSet
    file_name: str
    md5: str
    batches: Mapping[str, tuple[str, ...]]
    images_per_batch: int

    @property
    def max_bytes(self) -> int:
        """The largest size of the uncompressed archive."""
        n_batches = sum(map(len, self.batches.values()))
        return n_batches * self.images_per_batch * _RECORD_BYTES + _MAX_EXTRA_BYTES


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
CIFAR-10: small color photographs

60,000 color images of 32 x 32 pixels, 50,000 to train and 10,000 to test, of ten
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
    images_per_batch=10000,
)


@fetcher
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
    """Load CIFAR-10, a set of small color photographs (classification).

    =================   ==================================
    Classes                                             10
    Samples, training                               50,000
    Samples, test                                   10,000
    Features            3072 (32 x 32 x 3 colors, 0..255)
    =================   ==================================

    The data are read from the archive of the binary version,
    ``cifar-10-binary.tar.gz`` (162 MB). It is searched in this order:

    - the folder ``cifar10`` of the data home (see :func:`get_data_home`),
    - the folder ``cifar10`` of ``/usr/local/share/datasets`` and of
      ``/usr/share/datasets``,
    - the mirror, from which it is downloaded into the data home.

    The archive is not extracted. Every call verifies its MD5.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder that holds the folder ``cifar10``. If None, :func:`get_data_home`
        says which folder is used.
    subset : {'train', 'test', 'all'}, default='train'
        Which samples to load. 'all' is the training samples followed by the test
        samples.
    download_if_missing : bool, default=True
        If False, raise an OSError instead of downloading a missing file.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        If True, data is a pandas DataFrame and target a pandas Series.
    n_retries : int, default=3
        How often a failed download is tried again.
    delay : float, default=1.0
        Seconds between two tries.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary-like object with these attributes, for n images:

        data : ndarray or DataFrame of shape (n, 3072), dtype uint8
            One image per row. The three colors of a pixel are adjacent, although the
            archive stores three planes.
        target : ndarray or Series of shape (n,), dtype int64
            The class of each image, 0 to 9.
        images : ndarray of shape (n, 32, 32, 3), dtype uint8
            A view of the same memory as `data`, channels last.
        frame : DataFrame of shape (n, 3073) or None
            Data and target if ``as_frame=True``, otherwise None.
        feature_names : list of str
            ``pixel_<row>_<column>_<red|green|blue>``.
        target_names : ndarray of shape (10,)
            The names of the classes.
        DESCR : str
            The description of the data set.

    (data, target) : tuple if ``return_X_y=True``
        The arrays or frames `data` and `target` that are described above.

    Raises
    ------
    OSError
        If a file is missing, and the download fails or `download_if_missing` is
        False.
    ValueError
        If an archive in one of the folders is not the published one.

    Examples
    --------
    >>> from skmlp.datasets import fetch_cifar10
    >>> photographs = fetch_cifar10(subset="test")  # doctest: +SKIP
    >>> photographs.images.shape  # doctest: +SKIP
    (10000, 32, 32, 3)
    """
    images, target = find_or_download(
        CIFAR10.info,
        (CIFAR10.file_name,),
        partial(_read_verified, CIFAR10, subset_parts(subset)),
        max_bytes=CIFAR10.max_bytes,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    return format_result(
        CIFAR10.info, images, target, return_X_y=return_X_y, as_frame=as_frame
    )


def _read_verified(
    archive: BatchArchive, parts: tuple[str, ...], path: Path
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Verify the hash of an archive, and read some of its parts."""
    with path.open("rb") as stream:
        md5 = hashlib.file_digest(
            stream, lambda: hashlib.md5(usedforsecurity=False)
        ).hexdigest()
    if md5 != archive.md5:
        raise ValueError(
            f"{path} is not the {archive.file_name} that is expected: it has MD5 "
            f"{md5} instead of {archive.md5}; delete it; the file is then "
            "looked for in the other folders, or downloaded."
        )
    names = tuple(name for part in parts for name in archive.batches[part])
    return read_batches(path, names, archive.images_per_batch, archive.max_bytes)


def read_batches(
    path: Path, names: tuple[str, ...], images_per_batch: int, max_bytes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images, channels last, and the labels of some batches.

    The archive is not trusted. Members are identified by their base name, and must have
    the size of a batch. At most `max_bytes` bytes are unpacked. Any violation is a
    ValueError.

    Parameters
    ----------
    path : Path
        The archive.
    names : tuple of str
        The base names of the batches, in the order of the result.
    images_per_batch : int
        Number of images in every batch.
    max_bytes : int
        The largest size of the uncompressed archive.

    Returns
    -------
    images : ndarray of shape (n_images, 32, 32, 3), dtype uint8
        The images.
    target : ndarray of shape (n_images,), dtype int64
        Their labels.
    """
    size = images_per_batch * _RECORD_BYTES
    batches: dict[str, NDArray[np.uint8]] = {}
    try:
        with (
            gzip.open(path) as unpacked,
            tarfile.open(
                fileobj=_LimitedReader(unpacked, max_bytes),  # type: ignore[call-overload]
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
                batches[name] = np.frombuffer(content, np.uint8).reshape(
                    -1, _RECORD_BYTES
                )
    except (
        tarfile.TarError,
        gzip.BadGzipFile,
        zlib.error,
        EOFError,
        OverflowError,
        RecursionError,  # nested tar headers can exceed the recursion limit
    ) as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
    except ValueError as error:
        raise ValueError(f"{path} is not the expected archive: {error}.") from error
    missing = [name for name in names if name not in batches]
    if missing:
        raise ValueError(f"{path} is not the expected archive: {missing} are missing.")

    images = np.empty((len(names) * images_per_batch, _SIDE, _SIDE, 3), np.uint8)
    target = np.empty(len(images), np.int64)
    for number, name in enumerate(names):
        batch = slice(number * images_per_batch, (number + 1) * images_per_batch)
        planes = batches[name][:, 1:].reshape(-1, 3, _SIDE, _SIDE)
        images[batch] = planes.transpose(0, 2, 3, 1)
        target[batch] = batches[name][:, 0]
    if target.size and target.max() >= _N_CLASSES:
        raise ValueError(
            f"{path} holds the label {target.max()}; labels are 0 to {_N_CLASSES - 1}."
        )
    return images, target


class _LimitedReader:
    """A stream that raises an error if too many bytes are read, or after its end."""

    def __init__(self, stream: gzip.GzipFile, max_bytes: int) -> None:
        self._stream = stream
        self._bytes_left = max_bytes
        self._ended = False

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes."""
        content = self._stream.read(min(size, self._bytes_left + 1))
        self._bytes_left -= len(content)
        if self._bytes_left < 0:
            raise ValueError("it unpacks to more bytes than the format prescribes")
        # If a header has a huge size, tarfile would read after the end in a loop.
        if not content and self._ended:
            raise EOFError("it ends before its members do")
        self._ended = not content
        return content
