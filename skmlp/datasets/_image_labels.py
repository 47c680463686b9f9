"""Labels of image files: from their names, from a list, or from columns of a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from reprlib import repr as short_repr
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# A pattern for messages: it finds the class of ``cat_001.jpg``.
PATTERN_EXAMPLE = r"r'(.+)_[0-9]+'"


class Labels(NamedTuple):
    """The target of every image.

    Attributes
    ----------
    target : ndarray of shape (n,) or (n, n_targets)
        Indices of classes, or numbers.
    target_names : ndarray of str or None
        The names of the classes, or the names of several columns of numbers.
    are_classes : bool
        Whether `target` has indices of classes.
    """

    target: NDArray[Any]
    target_names: NDArray[Any] | None
    are_classes: bool


def encode_classes(classes: Sequence[str]) -> Labels:
    """Return class names as indices into their sorted names."""
    target_names, codes = np.unique(np.asarray(classes, dtype=str), return_inverse=True)
    return Labels(codes.astype(np.int64), target_names, True)


def encode_target(values: Any, n_images: int, name: str) -> Labels:
    """Return strings as classes, and numbers unchanged.

    `name` is the name of the argument in messages.
    """
    frame = _as_frame(values, name)
    if len(frame) != n_images:
        raise ValueError(
            f"{name} has {len(frame)} labels, but there are {n_images} paths."
        )
    missing = frame.isna().to_numpy().any(axis=1)
    if missing.any():
        raise ValueError(
            f"{name} has no label for image {int(missing.argmax())}; every image needs "
            "a label, or target=None."
        )
    columns = [frame.iloc[:, i].tolist() for i in range(frame.shape[1])]
    if len(columns) == 1 and all(isinstance(value, str) for value in columns[0]):
        return encode_classes(columns[0])
    for value in (value for column in columns for value in column):
        if not isinstance(value, bool | int | float):
            raise ValueError(
                f"{name} must be one column of strings, or columns of numbers, but "
                f"holds {short_repr(value)}."
            )
    numbers = np.array(columns).T
    if not np.isfinite(numbers).all():
        row = int((~np.isfinite(numbers)).any(axis=1).argmax())
        raise ValueError(f"{name} is not finite for image {row}.")
    if len(columns) == 1:
        return Labels(numbers[:, 0], None, False)
    return Labels(numbers, frame.columns.to_numpy().astype(str), False)


def _as_frame(values: Any, name: str) -> pd.DataFrame:
    """Return the values of the targets as a frame with a column for each target."""
    try:
        n_dimensions = np.ndim(values)
    except ValueError:  # lists of different lengths
        n_dimensions = 0
    if n_dimensions == 2:
        return pd.DataFrame(values)
    if n_dimensions == 1:
        return pd.DataFrame({name: list(values)})
    raise ValueError(
        f"{name} must have the shape (n,) or (n, n_targets), got {short_repr(values)}."
    )


def compile_pattern(
    labels_from: str | None, words: Sequence[str]
) -> re.Pattern[str] | None:
    """Return the regular expression in `labels_from`; None if it is one of the words.

    A pattern has a group, so a misspelt word is none.
    """
    if labels_from is None or labels_from in words:
        return None
    try:
        pattern = re.compile(labels_from)
    except re.error as error:
        raise ValueError(
            f"labels_from={labels_from!r} is no regular expression: {error}."
        ) from error
    if pattern.groups != 1:
        raise ValueError(
            f"labels_from={labels_from!r} must be {', '.join(map(repr, words))}, None, "
            f"or a regular expression with one group, such as {PATTERN_EXAMPLE}."
        )
    return pattern


def labels_by_pattern(paths: Sequence[Path], pattern: re.Pattern[str]) -> list[str]:
    """Return the text that the group of a pattern finds in the name of each file."""
    matches = [pattern.search(path.name) for path in paths]
    classes = [match[1] if match else None for match in matches]
    unmatched = [path for path, name in zip(paths, classes, strict=True) if not name]
    if unmatched:
        raise ValueError(
            f"labels_from={pattern.pattern!r} finds no class in the names of "
            f"{len(unmatched)} of {len(paths)} images, as {unmatched[0].name!r}."
        )
    return [str(name) for name in classes]
