"""Data sets by name or by path, as training and test arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from benchmarks.data import image_files
from benchmarks.data.image_files import DEFAULT_READ_OPTIONS, ReadOptions
from benchmarks.data.shifted_signals import make_signals
from benchmarks.definitions.experiment import IMAGE_FILES
from skmlp import datasets

TARGET_COLUMN_NAMES = ("label", "target", "class", "y")

# A column with more different numbers with decimals is no column of classes.
_MAX_FLOAT_CLASSES = 50


@dataclass(frozen=True)
class Data:
    """Flat samples and labels of the training set and the test set.

    `pixel_max` is the value of a white pixel. `image_shape` is (height, width) or
    (height, width, 3). Both are None for a table. `remarks` state facts about the
    source of the samples.
    """

    name: str
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    pixel_max: float | None = None
    image_shape: tuple[int, ...] | None = None
    remarks: tuple[str, ...] = ()

    def take_evenly(self, n_train: int, n_test: int) -> Data:
        """Return at most this many samples of each set, evenly spaced."""
        train = _evenly_spaced(len(self.y_train), n_train)
        test = _evenly_spaced(len(self.y_test), n_test)
        return replace(
            self,
            X_train=self.X_train[train],
            y_train=self.y_train[train],
            X_test=self.X_test[test],
            y_test=self.y_test[test],
        )


def _evenly_spaced(n_rows: int, at_most: int) -> np.ndarray:
    """Return at most this many indices, evenly spaced."""
    return np.linspace(0, n_rows - 1, min(n_rows, at_most)).astype(int)


def check_name(name: str) -> None:
    """Raise ValueError if `name` is neither a known data set nor an existing path."""
    if name not in NAMES and not Path(name).exists():
        raise ValueError(
            f"Unknown dataset {name!r}; use {', '.join(NAMES)}, "
            "or the path of a folder of images or of a CSV file."
        )


def load(
    name: str,
    data_home: str | None = None,
    reading: ReadOptions = DEFAULT_READ_OPTIONS,
    target: str | None = None,
) -> Data:
    """Load a data set by name, a folder of images or a CSV file by path.

    A folder with the sub-folders ``train`` and ``test`` has its own split. Other data
    without a split (digits, a plain folder, a CSV file) get a stratified test set of a
    fifth of the samples, always the same. `reading` says how the files of a folder are
    read. `target` is the column of the classes in a CSV file.
    """
    check_name(name)
    path = Path(name)
    is_table = name not in NAMES and not path.is_dir()
    if target is not None and not is_table:
        raise ValueError(f"--target names a column, but {name!r} is no CSV file.")
    if name == IMAGE_FILES:
        with image_files.write_digit_files() as folder:
            return replace(
                _load_folder(folder, reading), name=reading.dataset_name(name)
            )
    if name in LOADERS:
        return LOADERS[name](data_home)
    return _load_csv(path, target) if is_table else _load_folder(path, reading)


def _load_digits(data_home: str | None) -> Data:
    """Load scikit-learn's 1,797 digits of 8x8 pixels, from 0 to 16."""
    X, y = load_digits(return_X_y=True)
    return _split("digits", X.astype(np.uint8), y, pixel_max=16.0, image_shape=(8, 8))


def _make_shifted_signals(data_home: str | None) -> Data:
    """Make 2,000 training signals and 2,000 test signals, always the same."""
    return Data("shifted-signals", *make_signals(2000, 0), *make_signals(2000, 1))


def _fetch(name: str, fetch: Callable[..., Any], data_home: str | None) -> Data:
    """Load training set and test set with one of skmlp's fetchers."""
    train = fetch(subset="train", data_home=data_home)
    test = fetch(subset="test", data_home=data_home)
    return Data(
        name,
        train.data,
        train.target,
        test.data,
        test.target,
        pixel_max=255.0,
        image_shape=train.images.shape[1:],
    )


LOADERS: dict[str, Callable[[str | None], Data]] = {
    "digits": _load_digits,
    "mnist": partial(_fetch, "mnist", datasets.fetch_mnist),
    "fashion-mnist": partial(_fetch, "fashion-mnist", datasets.fetch_fashion_mnist),
    "cifar10": partial(_fetch, "cifar10", datasets.fetch_cifar10),
    "shifted-signals": _make_shifted_signals,
}
NAMES = (*LOADERS, IMAGE_FILES)


def _split(name: str, X: np.ndarray, y: np.ndarray, **data_fields: Any) -> Data:
    """Split off a fifth of the samples as the test set."""
    try:
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, test_size=0.2, random_state=0, stratify=y
        )
    except ValueError as error:
        raise ValueError(
            f"Dataset {name!r} cannot be split into a training set and a "
            f"test set: {error}"
        ) from error
    return Data(name, X_train, y_train, X_test, y_test, **data_fields)


def _load_folder(path: Path, reading: ReadOptions) -> Data:
    """Read a folder of images, all resized to the same size."""
    name = reading.dataset_name(path.resolve().name)
    data_fields: dict[str, Any] = {
        "pixel_max": 255.0,
        "image_shape": reading.image_shape,
    }
    if (path / "train").is_dir() and (path / "test").is_dir():
        train = image_files.read(path / "train", reading)
        test = image_files.read(path / "test", reading)
        remarks = (*train.remarks, *test.remarks)
        return Data(
            name, train.X, train.y, test.X, test.y, remarks=remarks, **data_fields
        )
    images = image_files.read(path, reading)
    return _split(name, images.X, images.y, remarks=images.remarks, **data_fields)


def usual_target(columns: Sequence[Any]) -> Any:
    """Return the first column with a usual name of targets, or the last column."""
    usual = [name for name in columns if str(name).lower() in TARGET_COLUMN_NAMES]
    return usual[0] if usual else columns[-1]


def _load_csv(path: Path, target: str | None = None) -> Data:
    """Read numbers and one column of classes.

    The column of classes is `target`. By default it is named label, target, class or y.
    Without such a name it is the last column. Integers from 0 to 255 that fill a square
    are read as the pixels of images.
    """
    try:
        frame = pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read as CSV: {error}") from error
    if frame.shape[1] < 2:
        raise ValueError(
            f"{str(path)!r} has {frame.shape[1]} column; "
            "a data set needs features and one column of classes."
        )
    missing = frame.isna().sum()
    if missing.any():
        column = missing.index[missing > 0][0]
        raise ValueError(
            f"Column {column!r} of {str(path)!r} lacks {missing[column]:,} of "
            f"{len(frame):,} values; impute them, or remove the rows or the column."
        )
    if target is None:
        target = usual_target(frame.columns)
    elif target not in frame.columns:
        raise ValueError(
            f"{str(path)!r} has no column {target!r}; it has "
            f"{', '.join(map(str, frame.columns))}."
        )
    features = frame.drop(columns=target)
    texts = features.columns[
        [not pd.api.types.is_numeric_dtype(t) for t in features.dtypes]
    ]
    if len(texts):
        raise ValueError(
            f"Column {texts[0]!r} of {str(path)!r} is not numeric; "
            "encode it or remove it."
        )
    X, y = features.to_numpy(), frame[target].to_numpy()
    side = isqrt(X.shape[1])
    is_image = (
        X.dtype.kind in "iu"
        and side > 1
        and side * side == X.shape[1]
        and X.min() >= 0
        and 1 < X.max() <= 255
    )
    n_classes = len(np.unique(y))
    if y.dtype.kind == "f" and n_classes > _MAX_FLOAT_CLASSES:
        raise ValueError(
            f"Column {target!r} of {str(path)!r} holds {n_classes:,} different numbers "
            "and no classes; the experiments classify. Choose another column with "
            "--target."
        )
    kind = f"images of {side}x{side} pixels" if is_image else "columns of numbers"
    remark = (
        f"Target: column {target!r} with {n_classes} classes. Features: {X.shape[1]}, "
        f"taken for {kind}."
    )
    if not is_image:
        return _split(path.stem, X.astype(np.float32), y, remarks=(remark,))
    return _split(
        path.stem,
        X.astype(np.uint8),
        y,
        pixel_max=float(X.max()),
        image_shape=(side, side),
        remarks=(remark,),
    )
