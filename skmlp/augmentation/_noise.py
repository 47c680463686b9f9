"""Gaussian pixel noise."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skmlp.augmentation._base import Augmentation, as_dtype, working_dtype
from skmlp.augmentation._parameters import bad_value, read_numbers


class GaussianNoise(Augmentation):
    """Add independent normal noise to every value of every pixel.

    Each value takes one number from the generator, in the order batch, channel, row,
    column.

    Parameters
    ----------
    sigma : float, default=0.1
        Standard deviation of the noise, in the units of the images: grey levels for
        images from 0 to 255, of either dtype. 0 leaves the images as they are.
    clip : (low, high) or None, default=None
        Range to which noisy values are clipped. None does not clip floating point
        images, since they may be standardized; uint8 images are clipped to 0..255
        in any case.

    Examples
    --------
    >>> import torch
    >>> from skmlp.augmentation import GaussianNoise
    >>> noisy = GaussianNoise(sigma=0.05)(torch.zeros(100, 1, 28, 28), 0)
    >>> f"{noisy.std():.2f}"
    '0.05'
    """

    def __init__(self, sigma: float = 0.1, clip: Sequence[float] | None = None) -> None:
        self.sigma = sigma
        self.clip = clip

    def _read(self) -> tuple[float, tuple[float, ...] | None]:
        wanted = "a number of at least 0"
        (sigma,) = read_numbers(self, "sigma", (1,), wanted)
        if sigma < 0:
            raise bad_value(self, "sigma", wanted)
        if self.clip is None:
            return sigma, None
        wanted = "(low, high) with low < high, or None"
        clip = read_numbers(self, "clip", (2,), wanted)
        if not clip[0] < clip[1]:
            raise bad_value(self, "clip", wanted)
        return sigma, clip

    def _augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        sigma, clip = self._read()
        # Drawn in float32 and in the order of the axes, so that neither dtype nor
        # memory format changes which noise a seed gives.
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        values = images.to(working_dtype(images.dtype))
        values = torch.add(values, noise, alpha=sigma)
        if clip is not None:
            values = values.clamp_(*clip)
        return as_dtype(values, images.dtype)
