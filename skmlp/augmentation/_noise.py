"""Gaussian pixel noise."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skmlp.augmentation._base import Augmentation, cast_to_image_dtype, compute_dtype
from skmlp.augmentation._parameters import parameter_error, read_numbers


class GaussianNoise(Augmentation):
    """Add independent normal noise to every value of every pixel.

    One random number is drawn for each value, in the order batch, channel, row, column.

    Parameters
    ----------
    sigma : float, default=0.1
        Standard deviation of the noise, in the unit of the pixel values. 0 does not
        change the images.
    clip : (low, high) or None, default=None
        Range to which the results are clipped. With None, floating-point images are not
        clipped, because they may be standardized. uint8 images are always clipped to
        0..255.

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

    def _check_parameters(self) -> tuple[float, tuple[float, ...] | None]:
        """Return sigma and clip."""
        expected = "a number of at least 0"
        (sigma,) = read_numbers(self, "sigma", (1,), expected)
        if sigma < 0:
            raise parameter_error(self, "sigma", expected)
        if self.clip is None:
            return sigma, None
        expected = "(low, high) with low < high, or None"
        clip = read_numbers(self, "clip", (2,), expected)
        if not clip[0] < clip[1]:
            raise parameter_error(self, "clip", expected)
        return sigma, clip

    def _augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        sigma, clip = self._check_parameters()
        # The noise is drawn in float32 for a contiguous tensor. So it does not depend
        # on the dtype and the memory format of the images.
        noise = torch.randn(
            images.shape, generator=generator, dtype=torch.float32, device=images.device
        )
        values = images.to(compute_dtype(images.dtype))
        values = torch.add(values, noise, alpha=sigma)
        if clip is not None:
            values = values.clamp_(*clip)
        return cast_to_image_dtype(values, images.dtype)
