"""Flat samples as images, and images as flat samples."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skmlp.training.data.sources import Source, as_source

ImageShape = tuple[int, int, int]


def flatten_images(X: Any) -> tuple[Any, ImageShape | None]:
    """Flatten images ``(n, height, width[, channels])``; return them and their shape.

    Input with at most two dimensions is returned unchanged, with None for the shape. A
    large out-of-core array is returned as a `Source`.
    """
    X = as_source(X)
    if isinstance(X, Source):
        holds_images = len(X.sample_shape) > 1
        shape = _shape_of_images((len(X), *X.sample_shape)) if holds_images else None
        return X, shape
    if isinstance(X, (list, tuple)) and len(X) and np.ndim(X[0]) > 1:
        X = np.asarray(X)
    if not hasattr(X, "shape") or len(X.shape) < 3:
        return X, None
    X = np.asarray(X)
    shape = _shape_of_images(X.shape)
    return X.reshape(len(X), int(np.prod(shape))), shape


def _shape_of_images(shape: tuple[int, ...]) -> ImageShape:
    """Return height, width and channels for the shape of an array of images."""
    if len(shape) > 4:
        raise ValueError(
            f"X has shape {shape}; give samples (n, features), gray images "
            "(n, height, width) or color images (n, height, width, channels)."
        )
    # Gray images have one channel.
    return (*shape[1:], 1)[:3]  # type: ignore[return-value]


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


def augment_samples(
    augmentation: Callable[[Tensor, torch.Generator], Tensor],
    image_shape: ImageShape,
    generator: torch.Generator | int,
    samples: Tensor,
) -> Tensor:
    """Apply an augmentation of images to a batch of flat samples.

    An int as `generator` is the seed of a new generator.
    """
    if isinstance(generator, int):
        generator = torch.Generator(samples.device).manual_seed(generator)
    images = samples.view(-1, *image_shape).permute(0, 3, 1, 2)
    changed = augmentation(images, generator)
    if changed.shape != images.shape:
        raise ValueError(
            f"augmentation made images of shape {tuple(changed.shape)} from images of "
            f"shape {tuple(images.shape)}; it has to keep the shape."
        )
    return changed.to(samples.dtype).permute(0, 2, 3, 1).reshape(samples.shape)
