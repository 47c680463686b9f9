"""MNIST and Fashion-MNIST, which are four IDX files each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmlp._sklearn_bases import Bunch
from skmlp.datasets._fetcher_types import fetcher
from skmlp.datasets._idx import build_idx_header, read_ubyte_idx
from skmlp.datasets._image_set import (
    ImageSet,
    find_or_download,
    format_result,
    subset_parts,
)

_MAX_EXTRA_BYTES = 1 << 16  # for the header, and for gzip of incompressible values


@dataclass(frozen=True)
class IDXFile:
    """An IDX file of uint8 values, with the SHA-256 of its uncompressed content."""

    name: str
    shape: tuple[int, ...]
    sha256: str


@dataclass(frozen=True)
class IDXImageSet:
    """An image set, and for each of its parts the files of images and labels."""

    info: ImageSet
    files: Mapping[str, tuple[IDXFile, IDXFile]]


def _four_files(
    sha256: tuple[str, str, str, str],
) -> dict[str, tuple[IDXFile, IDXFile]]:
    """Return the four files of an image set, whose names and shapes are MNIST's."""
    return {
        "train": (
            IDXFile("train-images-idx3-ubyte", (60000, 28, 28), sha256[0]),
            IDXFile("train-labels-idx1-ubyte", (60000,), sha256[1]),
        ),
        "test": (
            IDXFile("t10k-images-idx3-ubyte", (10000, 28, 28), sha256[2]),
            IDXFile("t10k-labels-idx1-ubyte", (10000,), sha256[3]),
        ),
    }


MNIST = IDXImageSet(
    ImageSet(
        title="MNIST",
        folder="mnist",
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        image_shape=(28, 28),
        target_names=tuple("0123456789"),
        description="""\
MNIST: handwritten digits

70,000 gray images of 28 x 28 pixels from 0 (paper) to 255 (ink), 60,000 to train and
10,000 to test, of the digits 0 to 9. The writers of the test images wrote none of the
training images.

Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to
document recognition", Proceedings of the IEEE 86(11), 1998, 2278-2324.
""",
    ),
    _four_files(
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        )
    ),
)

FASHION_MNIST = IDXImageSet(
    ImageSet(
        title="Fashion-MNIST",
        folder="fashion-mnist",
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/"
            "data/fashion/",
        ),
        image_shape=(28, 28),
        target_names=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        install_hint=(
            ", or install the package dataset-fashion-mnist on Debian or Ubuntu"
        ),
        description="""\
Fashion-MNIST: articles of clothing

70,000 gray images of 28 x 28 pixels from 0 (background) to 255, 60,000 to train and
10,000 to test, of ten kinds of Zalando's articles, 7,000 images of each. The set
is a harder replacement for MNIST, with the same file names and shapes.

H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for
benchmarking machine learning algorithms", 2017, arXiv:1708.07747.
""",
    ),
    _four_files(
        (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        )
    ),
)


@fetcher
def fetch_mnist(
    *,
    data_home: str | os.PathLike[str] | None = None,
    subset: str = "train",
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Bunch | tuple[Any, Any]:
    """Load MNIST, a set of handwritten digits (classification).

    =================   ==========================
    Classes                                     10
    Samples, training                       60,000
    Samples, test                           10,000
    Features            784 (28 x 28 gray, 0..255)
    =================   ==========================

    The files may be plain or compressed with gzip. They are searched in this order:

    - the folder ``mnist`` of the data home (see :func:`get_data_home`),
    - the folder ``mnist`` of ``/usr/local/share/datasets`` and of
      ``/usr/share/datasets``,
    - the mirrors, from which they are downloaded into the data home.

    Every call verifies the SHA-256 of the content.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder that holds the folder ``mnist``. If None, :func:`get_data_home`
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

        data : ndarray or DataFrame of shape (n, 784), dtype uint8
            One image per row.
        target : ndarray or Series of shape (n,), dtype int64
            The class of each image, 0 to 9.
        images : ndarray of shape (n, 28, 28), dtype uint8
            A view of the same memory as `data`.
        frame : DataFrame of shape (n, 785) or None
            Data and target if ``as_frame=True``, otherwise None.
        feature_names : list of str
            ``pixel_<row>_<column>``.
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
        If a file in one of the folders does not have the published content.

    Examples
    --------
    >>> from skmlp.datasets import fetch_mnist
    >>> X, y = fetch_mnist(return_X_y=True)  # doctest: +SKIP
    >>> X.shape, X.dtype, y[:5]  # doctest: +SKIP
    ((60000, 784), dtype('uint8'), array([5, 0, 4, 1, 9]))
    """
    options = (data_home, download_if_missing, n_retries, delay)
    images, target = _load_parts(MNIST, subset_parts(subset), *options)
    return format_result(
        MNIST.info, images, target, return_X_y=return_X_y, as_frame=as_frame
    )


@fetcher
def fetch_fashion_mnist(
    *,
    data_home: str | os.PathLike[str] | None = None,
    subset: str = "train",
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Bunch | tuple[Any, Any]:
    """Load Fashion-MNIST, a set of images of clothing (classification).

    =================   ==========================
    Classes                                     10
    Samples, training                       60,000
    Samples, test                           10,000
    Features            784 (28 x 28 gray, 0..255)
    =================   ==========================

    The files are searched and verified as in :func:`fetch_mnist`, in folders with the
    name ``fashion-mnist``. Debian's package ``dataset-fashion-mnist`` installs them in
    ``/usr/share/datasets``, so that no download is necessary.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder that holds the folder ``fashion-mnist``. If None,
        :func:`get_data_home` says which folder is used.
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
        A dictionary-like object with the attributes, shapes and dtypes that
        :func:`fetch_mnist` returns. `target_names` are the names of the articles.
    (data, target) : tuple if ``return_X_y=True``
        The arrays or frames `data` and `target`.

    Raises
    ------
    OSError
        If a file is missing, and the download fails or `download_if_missing` is
        False.
    ValueError
        If a file in one of the folders does not have the published content.

    Examples
    --------
    >>> from skmlp.datasets import fetch_fashion_mnist
    >>> clothes = fetch_fashion_mnist(subset="test")  # doctest: +SKIP
    >>> clothes.target_names[clothes.target[0]]  # doctest: +SKIP
    'Ankle boot'
    """
    options = (data_home, download_if_missing, n_retries, delay)
    images, target = _load_parts(FASHION_MNIST, subset_parts(subset), *options)
    return format_result(
        FASHION_MNIST.info, images, target, return_X_y=return_X_y, as_frame=as_frame
    )


def _load_parts(
    image_set: IDXImageSet,
    parts: tuple[str, ...],
    data_home: str | os.PathLike[str] | None,
    download_if_missing: bool,
    n_retries: int,
    delay: float,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images and labels of some parts, concatenated."""

    def read(file: IDXFile) -> NDArray[np.uint8]:
        return find_or_download(
            image_set.info,
            (file.name, f"{file.name}.gz"),
            partial(_read_verified, file),
            max_bytes=int(np.prod(file.shape)) + _MAX_EXTRA_BYTES,
            data_home=data_home,
            download_if_missing=download_if_missing,
            n_retries=n_retries,
            delay=delay,
        )

    files = [image_set.files[part] for part in parts]
    labels = np.concatenate([read(labels) for _, labels in files]).astype(np.int64)
    images = [read(images) for images, _ in files]
    return images[0] if len(images) == 1 else np.concatenate(images), labels


def _read_verified(file: IDXFile, path: Path) -> NDArray[np.uint8]:
    """Read a file, and verify its shape and hash."""
    array = read_ubyte_idx(path, file.shape)
    digest = hashlib.sha256(build_idx_header(array))
    digest.update(array.data)
    if digest.hexdigest() != file.sha256:
        raise ValueError(
            f"{path} does not hold the {file.name} that is expected: its content has "
            f"SHA-256 {digest.hexdigest()} instead of {file.sha256}; remove it, and it "
            f"is searched elsewhere or downloaded."
        )
    return array
