"""Reading augmentation parameters: numbers, ranges and one value per channel."""

import math
import sys
from collections.abc import Container
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from skmlp.augmentation._base import Augmentation, as_dtype, working_dtype


def bad_value(owner: Augmentation, name: str, wanted: str) -> ValueError:
    """Return the error for a parameter: its name, what it is, what would do."""
    return ValueError(
        f"{name}={getattr(owner, name)!r} was given to {type(owner).__name__}; "
        f"give {wanted}."
    )


def read_numbers(
    owner: Augmentation, name: str, lengths: Container[int], wanted: str
) -> tuple[float, ...]:
    """Return a parameter's finite numbers; a single number counts as length 1."""
    value = getattr(owner, name)
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = tuple(value)
    items = value if isinstance(value, tuple | list) else (value,)
    if len(items) not in lengths or not all(map(_is_finite_number, items)):
        raise bad_value(owner, name, wanted)
    return tuple(map(float, items))


def _is_finite_number(value: object) -> bool:
    """Whether `value` is a real, finite number and no bool."""
    return (
        isinstance(value, Real)
        and not isinstance(value, bool | np.bool_)
        and math.isfinite(value)
    )


def read_probability(owner: Augmentation, name: str) -> float:
    """Return a parameter that is a probability."""
    wanted = "a probability from 0 to 1"
    (value,) = read_numbers(owner, name, (1,), wanted)
    if not 0 <= value <= 1:
        raise bad_value(owner, name, wanted)
    return value


def read_option(owner: Augmentation, name: str, options: tuple[str, ...]) -> str:
    """Return a parameter that is one of several strings."""
    value = getattr(owner, name)
    if not isinstance(value, str) or value not in options:
        raise bad_value(owner, name, " or ".join(map(repr, options)))
    return value


def read_channel_values(owner: Augmentation, name: str) -> tuple[float, ...]:
    """Return a parameter that is one pixel value, or one for each channel."""
    wanted = "a finite number, or a tuple of one for each channel"
    return read_numbers(owner, name, range(1, sys.maxsize), wanted)


def channel_values(values: tuple[float, ...], name: str, images: Tensor) -> Tensor:
    """Return pixel values as a tensor that broadcasts against `images`."""
    dtype = working_dtype(images.dtype)
    if len(values) == 1:
        # Filling a tensor on the device spares the copy from the host.
        filled = torch.full((1, 1, 1), values[0], dtype=dtype, device=images.device)
    elif len(values) == images.shape[1]:
        filled = torch.tensor(values, dtype=dtype, device=images.device)[:, None, None]
    else:
        raise ValueError(
            f"{name} has {len(values)} values, but the images have "
            f"{images.shape[1]} channels; give one number, or one for each channel."
        )
    return as_dtype(filled, images.dtype)  # (1 or channels, 1, 1)
