"""Flat samples as images, and images as flat samples.

Signals are images of one dimension. Their shape is (length, channels).
"""

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skmlp.augmentation import (
    Compose,
    GaussianNoise,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
)
from skmlp.training.data.sources import Source, as_source

ImageShape = tuple[int, ...]

_OWN_AUGMENTATIONS = frozenset(
    {GaussianNoise, RandomAffine, RandomCrop, RandomErasing, RandomHorizontalFlip}
)


def flatten_images(X: Any, n_dims: int = 2) -> tuple[Any, ImageShape | None]:
    """Flatten images ``(n, height, width[, channels])``; return them and their shape.

    Input with at most two dimensions is returned unchanged, with None for the shape. A
    large out-of-core array is returned as a `Source`. With one dimension (`n_dims`),
    the images are signals ``(n, length, channels)``.
    """
    X = as_source(X)
    if isinstance(X, Source):
        shape = None
        if len(X.sample_shape) > 1:
            shape = _shape_of_images((len(X), *X.sample_shape), n_dims)
        return X, shape
    if isinstance(X, (list, tuple)) and len(X) and np.ndim(X[0]) > 1:
        X = np.asarray(X)
    if not hasattr(X, "shape") or len(X.shape) < 3:
        return X, None
    X = np.asarray(X)
    shape = _shape_of_images(X.shape, n_dims)
    return X.reshape(len(X), int(np.prod(shape))), shape


def _shape_of_images(shape: tuple[int, ...], n_dims: int) -> ImageShape:
    """Return the shape of a sample, with its channels, for the shape of an array."""
    if len(shape) > n_dims + 2:
        if n_dims == 1:
            raise ValueError(
                f"X has shape {shape}; with conv_dims=1 give signals (n, length) or "
                "(n, length, channels), or images with conv_dims=2."
            )
        raise ValueError(
            f"X has shape {shape}; give samples (n, features), gray images "
            "(n, height, width) or color images (n, height, width, channels)."
        )
    # Gray images have one channel.
    return (*shape[1:], 1)[: n_dims + 1]


def check_image_shape(image_shape: Any, n_dims: int) -> ImageShape:
    """Return the parameter `image_shape` with channels; raise ValueError if invalid."""
    given = tuple(image_shape)
    are_positive_ints = all(
        isinstance(size, Integral) and int(size) > 0 for size in given
    )
    if len(given) in (n_dims, n_dims + 1) and are_positive_ints:
        return (*map(int, given), 1)[: n_dims + 1]
    if n_dims == 1:
        raise ValueError(
            f"image_shape={given} has to be (length, channels) with conv_dims=1."
        )
    raise ValueError(
        f"image_shape={given} has to be (height, width) or (height, width, channels)."
    )


def check_channels_last(shape: ImageShape) -> None:
    """Raise ValueError if the channels seem to be the first dimension.

    The first dimension is then 1, 3 or 4 and smaller than the image, and the last one
    is not 1, 3 or 4.
    """
    first, height, width = shape
    channels = (1, 3, 4)
    if first in channels and width not in channels and first < min(height, width):
        raise ValueError(
            f"X holds images of shape {shape}, which looks like channels first; give "
            "channels last, X.transpose(0, 2, 3, 1), or if they are, flat samples with "
            f"image_shape={shape}."
        )


def with_supported_dtype(X: Any) -> Any:
    """Return X; convert it to float64 if torch does not support its dtype.

    Raises
    ------
    TypeError
        If X does not hold numbers.
    """
    if isinstance(X, Source):
        return X  # a source checks its dtype itself
    if X.dtype.kind not in "fiub":
        raise TypeError(f"X has dtype {X.dtype}, but has to hold numbers.")
    is_supported = X.dtype.itemsize <= 8 and X.dtype.isnative
    if is_supported:
        return X
    with np.errstate(over="ignore"):
        cast = X.astype(np.float64)
    if X.dtype.itemsize > 8 and np.isinf(cast).any() and np.isfinite(X).all():
        raise ValueError("X holds values that float64 cannot hold; scale X.")
    return cast


def is_own_augmentation(augmentation: Any) -> bool:
    """Return whether an augmentation is None or skmlp's.

    skmlp's augmentations change each image on its own, and take no numbers from the
    host except their parameters.
    """
    if type(augmentation) is Compose:
        return all(map(is_own_augmentation, augmentation.transforms))
    return augmentation is None or type(augmentation) in _OWN_AUGMENTATIONS


def augment_samples(
    augmentation: Callable[[Tensor, torch.Generator], Tensor],
    image_shape: ImageShape,
    generator: torch.Generator | int,
    samples: Tensor,
    name: str = "augmentation",
) -> Tensor:
    """Apply an augmentation of images to a batch of flat samples.

    An int as `generator` is the seed of a new generator. Signals are images of height
    1 for the augmentation. `name` is the parameter that an error message names.
    """
    if isinstance(generator, int):
        generator = torch.Generator(samples.device).manual_seed(generator)
    height_width_channels = (1, *image_shape)[-3:]
    images = samples.view(-1, *height_width_channels).permute(0, 3, 1, 2)
    changed = augmentation(images, generator)
    if changed.shape != images.shape:
        raise ValueError(
            f"{name} made images of shape {tuple(changed.shape)} from images of "
            f"shape {tuple(images.shape)}; it has to keep the shape."
        )
    return changed.to(samples.dtype).permute(0, 2, 3, 1).reshape(samples.shape)
