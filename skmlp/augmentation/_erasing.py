"""Random erasing of a rectangle."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from skmlp.augmentation._base import Augmentation
from skmlp.augmentation._parameters import (
    bad_value,
    channel_values,
    read_channel_values,
    read_numbers,
    read_probability,
)


class RandomErasing(Augmentation):
    """Erase a random rectangle of each image with probability `p`.

    The rectangle's area is drawn uniformly from `scale`; then its ratio of height to
    width, log-uniformly, from that part of `ratio` in which such an area fits into
    the image; then its place, uniformly. Sides are rounded to whole pixels, at least
    one: the height first, then the width that brings the area closest to the one
    drawn. Each image takes five numbers from the generator, erased or not.

    Parameters
    ----------
    p : float, default=0.5
        Probability that an image loses a rectangle.
    scale : (low, high), default=(0.02, 0.33)
        Range of the erased area as a fraction of the image's.
    ratio : (low, high), default=(0.3, 3.3)
        Range of the rectangle's height divided by its width.
    value : float or tuple of one for each channel, default=0.0
        What the rectangle is filled with.

    References
    ----------
    Z. Zhong, L. Zheng, G. Kang, S. Li, Y. Yang, "Random Erasing Data Augmentation",
    AAAI 2020, https://arxiv.org/abs/1708.04896. They draw area and ratio anew until
    the rectangle fits; here the ratio is drawn among those that fit, without a loop.

    Examples
    --------
    >>> import torch
    >>> from skmlp.augmentation import RandomErasing
    >>> images = torch.ones(3, 1, 4, 4)
    >>> erased = RandomErasing(p=1.0, scale=(0.25, 0.25), ratio=(1, 1))(images, 0)
    >>> (erased == 0).sum(dim=(1, 2, 3))
    tensor([4, 4, 4])
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | Sequence[float] = 0.0,
    ) -> None:
        self.p = p
        self.scale = scale
        self.ratio = ratio
        self.value = value

    def _read(
        self,
    ) -> tuple[float, tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        p = read_probability(self, "p")
        wanted = "(low, high) with 0 <= low <= high <= 1"
        scale = read_numbers(self, "scale", (2,), wanted)
        if not 0 <= scale[0] <= scale[1] <= 1:
            raise bad_value(self, "scale", wanted)
        wanted = "(low, high) with 0 < low <= high"
        ratio = read_numbers(self, "ratio", (2,), wanted)
        if not 0 < ratio[0] <= ratio[1]:
            raise bad_value(self, "ratio", wanted)
        return p, scale, ratio, read_channel_values(self, "value")

    def _augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        p, scale, ratio, value = self._read()
        size, _, height, width = images.shape
        erased = channel_values(value, "value", images)
        scale = self._fitting_scale(scale, ratio, height, width)
        chosen, *uniform = torch.rand(
            size, 5, generator=generator, device=images.device
        ).unbind(1)
        area = height * width * (scale[0] + (scale[1] - scale[0]) * uniform[0])
        low = (area / width**2).log().clamp(min=math.log(ratio[0]))
        high = (height**2 / area).log().clamp(max=math.log(ratio[1]))
        tall = (area * (low + (high - low) * uniform[1]).exp()).sqrt()
        tall = tall.round().clamp(1, height)
        wide = (area / tall).round().clamp(1, width) * (chosen < p)
        inside = (
            _interval(uniform[2], tall, height)[:, None, :, None]
            & _interval(uniform[3], wide, width)[:, None, None, :]
        )  # (batch, 1, height, width)
        return torch.where(inside, erased, images)

    def _fitting_scale(
        self,
        scale: tuple[float, ...],
        ratio: tuple[float, ...],
        height: int,
        width: int,
    ) -> tuple[float, float]:
        """Lower the range of areas to those that fit with some ratio."""
        whole = height / width
        best = min(max(whole, ratio[0]), ratio[1])
        largest = min(whole, best) / max(whole, best)  # all of it if these are equal
        if largest < scale[0]:
            raise ValueError(
                f"scale={self.scale!r} and ratio={self.ratio!r} allow no rectangle in "
                f"images of {height} x {width} pixels; lower scale or widen ratio."
            )
        return scale[0], min(scale[1], largest)


def _interval(uniform: Tensor, length: Tensor, size: int) -> Tensor:
    """Mark an interval of each length, placed at random: (batch, size)."""
    start = (uniform * (size - length + 1)).floor()
    position = torch.arange(size, device=uniform.device)
    start, end = start[:, None], (start + length)[:, None]
    return (start <= position) & (position < end)
