"""Base class of the augmentations, and functions that check and cast images."""

from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skmlp._sklearn_bases import BaseEstimator


class Augmentation(BaseEstimator, ABC):
    """Base class of the augmentations.

    A subclass implements `_check_parameters` and `_augment`.
    """

    def __call__(
        self, images: Tensor, generator: torch.Generator | int | None = None
    ) -> Tensor:
        """Augment a batch of images.

        Parameters
        ----------
        images : Tensor of shape (batch, channels, height, width)
            The images, of dtype uint8 or floating point. They are not changed.
        generator : torch.Generator, int or None, default=None
            The source of random numbers: a generator on the device of the images, or
            the seed of a new generator. None means a random seed.

        Returns
        -------
        augmented : Tensor of shape (batch, channels, height, width)
            A new tensor with the dtype and device of `images`. uint8 results are
            rounded and clipped to 0..255.

        Raises
        ------
        TypeError
            If `images` is not a tensor of a supported dtype, or `generator` has another
            type.
        ValueError
            If `images` has another shape, `generator` is on another device, or a
            parameter of the augmentation is invalid.

        Examples
        --------
        >>> import torch
        >>> from skmlp.augmentation import RandomHorizontalFlip
        >>> images = torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8)
        >>> RandomHorizontalFlip(p=1.0)(images, generator=0)
        tensor([[[[3, 2, 1]]]], dtype=torch.uint8)
        """
        check_images(images)
        return self._augment(images, as_generator(generator, images.device))

    def validate(self) -> None:
        """Check the parameters.

        Estimators call this method before training.

        Raises
        ------
        ValueError
            If a parameter is invalid. The message names the parameter, its value and
            the values that are allowed.

        Examples
        --------
        >>> from skmlp.augmentation import GaussianNoise
        >>> GaussianNoise(sigma=-1).validate()
        Traceback (most recent call last):
        ...
        ValueError: sigma=-1 was given to GaussianNoise; give a number of at least 0.
        """
        self._check_parameters()

    def validate_for_signals(self) -> None:
        """Check the parameters for signals, which are images of height 1.

        Estimators with ``conv_dims=1`` call this method before training.

        Raises
        ------
        ValueError
            If a parameter is invalid, or would move values vertically.

        Examples
        --------
        >>> from skmlp.augmentation import RandomCrop
        >>> RandomCrop(padding=(4, 0)).validate_for_signals()
        >>> RandomCrop(padding=4).validate_for_signals()
        Traceback (most recent call last):
        ...
        ValueError: padding=4 was given to RandomCrop; give (4, 0), because signals
        have no height.
        """
        self.validate()
        self._check_for_signals()

    def _check_for_signals(self) -> None:
        """Raise ValueError if a valid parameter would move values vertically."""

    @abstractmethod
    def _check_parameters(self) -> Any:
        """Check the parameters, and convert them to the form that `_augment` uses.

        Every call of the augmentation checks them, because `set_params` may have
        changed them.
        """

    @abstractmethod
    def _augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return a new batch with augmented images."""


def check_images(images: Tensor) -> None:
    """Raise an error if `images` is not a batch of images of a supported dtype."""
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
    """Return the given generator, or a new one on `device`."""
    if isinstance(generator, torch.Generator):
        # `generator.device` may be 'cuda' without an index. The device of a tensor
        # always has an index, so a tensor is created for the comparison.
        if torch.empty(0, device=generator.device).device != device:
            raise ValueError(
                f"generator lives on {generator.device}, but the images are on "
                f"{device}; make it with torch.Generator('{device}')."
            )
        return generator
    new = torch.Generator(device)
    if generator is None:
        new.seed()
    elif isinstance(generator, Integral) and not isinstance(generator, bool | np.bool_):
        new.manual_seed(int(generator))
    else:
        raise TypeError(
            f"generator is a {type(generator).__name__}; give a torch.Generator on "
            "the images' device, an integer seed or None."
        )
    return new


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return float64 for float64, and float32 for every other dtype.

    Half precision is too inexact for pixel positions, and uint8 has no negative values.
    """
    return torch.float64 if dtype == torch.float64 else torch.float32


def cast_to_image_dtype(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast floats to the dtype of the images; uint8 values are rounded and clipped."""
    if dtype == torch.uint8:
        values = values.round().clamp(0, 255)
    return values.to(dtype)
