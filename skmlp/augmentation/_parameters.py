"""Check and convert parameters of augmentations.

A function ``read_...`` returns the converted parameter, or raises a ValueError.
"""

import math
import sys
from collections.abc import Container
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from skmlp.augmentation._base import Augmentation, cast_to_image_dtype, compute_dtype


def parameter_error(augmentation: Augmentation, name: str, expected: str) -> ValueError:
    """Return a ValueError with the parameter's name, its value and what is expected."""
    value, class_name = getattr(augmentation, name), type(augmentation).__name__
    return ValueError(f"{name}={value!r} was given to {class_name}; give {expected}.")


def read_numbers(
    augmentation: Augmentation, name: str, lengths: Container[int], expected: str
) -> tuple[float, ...]:
    """Return the finite numbers of a parameter as a tuple.

    A single number gives a tuple of length 1.
    """
    value = getattr(augmentation, name)
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = tuple(value)
    items = value if isinstance(value, tuple | list) else (value,)
    if len(items) not in lengths or not all(map(_is_finite_number, items)):
        raise parameter_error(augmentation, name, expected)
    return tuple(map(float, items))


def _is_finite_number(value: object) -> bool:
    """Return whether a value is a finite real number and not a bool."""
    return (
        isinstance(value, Real)
        and not isinstance(value, bool | np.bool_)
        and math.isfinite(value)
    )


def read_probability(augmentation: Augmentation, name: str) -> float:
    """Return a parameter that is a probability."""
    expected = "a probability from 0 to 1"
    (value,) = read_numbers(augmentation, name, (1,), expected)
    if not 0 <= value <= 1:
        raise parameter_error(augmentation, name, expected)
    return value


def read_option(augmentation: Augmentation, name: str, options: tuple[str, ...]) -> str:
    """Return a parameter that is one of several strings."""
    value = getattr(augmentation, name)
    if not isinstance(value, str) or value not in options:
        raise parameter_error(augmentation, name, " or ".join(map(repr, options)))
    return value


def read_channel_values(augmentation: Augmentation, name: str) -> tuple[float, ...]:
    """Return a parameter that is one pixel value, or one value per channel."""
    expected = "a finite number, or a tuple of one for each channel"
    return read_numbers(augmentation, name, range(1, sys.maxsize), expected)


def channel_tensor(values: tuple[float, ...], name: str, images: Tensor) -> Tensor:
    """Return pixel values as a tensor that broadcasts against `images`."""
    if len(values) not in (1, images.shape[1]):
        raise ValueError(
            f"{name} has {len(values)} values, but the images have "
            f"{images.shape[1]} channels; give one number, or one for each channel."
        )
    dtype = compute_dtype(images.dtype)
    # Filling tensors on the device avoids a copy from the CPU.
    tensors = [
        torch.full((1, 1, 1), value, dtype=dtype, device=images.device)
        for value in values
    ]
    tensor = tensors[0] if len(tensors) == 1 else torch.cat(tensors)
    return cast_to_image_dtype(tensor, images.dtype)  # (1 or channels, 1, 1)
