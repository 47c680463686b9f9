"""What every augmentation shares: the call, its checks, and the way values are cast."""

from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skmlp._sklearn_bases import BaseEstimator


class Augmentation(BaseEstimator, ABC):
    """Base of the augmentations: checks a call, then hands it to `_augment`."""

    def __call__(
        self, images: Tensor, generator: torch.Generator | int | None = None
    ) -> Tensor:
        """Augment a batch of images.

        Parameters
        ----------
        images : Tensor of shape (batch, channels, height, width)
            uint8 or floating point. Never changed.
        generator : torch.Generator, int or None, default=None
            Source of all randomness: a generator on the images' device, which is
            advanced; or the seed of a new one; None seeds a new one from the system.

        Returns
        -------
        Tensor of shape (batch, channels, height, width)
            A new tensor with the dtype and device of `images`. uint8 results are
            rounded and clipped to 0..255.

        Raises
        ------
        TypeError
            If `images` is no tensor of a supported dtype, or `generator` is of
            another type.
        ValueError
            If `images` is no batch of images, `generator` lives on another device, or a
            parameter of the augmentation has a bad value.
        """
        check_images(images)
        return self._augment(images, as_generator(generator, images.device))

    def validate(self) -> None:
        """Check the parameters, so that a bad one shows before any training.

        Raises
        ------
        ValueError
            If a parameter has a bad value; the message names it, what was given, and
            what would do.
        """
        self._read()

    @abstractmethod
    def _read(self) -> Any:
        """Return the parameters in the form that `_augment` uses, or raise."""

    @abstractmethod
    def _augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return a new, augmented batch."""


def check_images(images: Tensor) -> None:
    """Raise unless `images` is a batch that an augmentation can take."""
    if not isinstance(images, Tensor):
        raise TypeError(
            f"images is a {type(images).__name__}, but an augmentation takes a torch "
            "tensor of shape (batch, channels, height, width)."
        )
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise ValueError(
            f"images has shape {tuple(images.shape)}, but an augmentation takes "
            "(batch, channels, height, width) with at least one pixel."
        )
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise TypeError(
            f"images has dtype {images.dtype}, but an augmentation takes uint8 or "
            "floating point; cast the images first."
        )


def as_generator(
    generator: torch.Generator | int | None, device: torch.device
) -> torch.Generator:
    """Return a generator on `device`: the one given, or a new one of its own."""
    if isinstance(generator, torch.Generator):
        # A tensor completes a device without an index, as images have it.
        if torch.empty(0, device=generator.device).device != device:
            raise ValueError(
                f"generator lives on {generator.device}, but the images are on "
                f"{device}; make it with torch.Generator('{device}')."
            )
        return generator
    made = torch.Generator(device)
    if generator is None:
        made.seed()
    elif isinstance(generator, Integral) and not isinstance(generator, bool | np.bool_):
        made.manual_seed(int(generator))
    else:
        raise TypeError(
            f"generator is a {type(generator).__name__}; give a torch.Generator on "
            "the images' device, an integer seed or None."
        )
    return made


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """Dtype to compute in: half precision would blur the grid, uint8 has no signs."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def as_dtype(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast computed floats to an image dtype; uint8 is rounded and clipped."""
    if dtype == torch.uint8:
        values = values.round().clamp(0, 255)
    return values.to(dtype)
