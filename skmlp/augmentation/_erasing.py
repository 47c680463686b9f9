"""Random erasing of rectangles."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from skmlp.augmentation._base import Augmentation
from skmlp.augmentation._parameters import (
    channel_tensor,
    parameter_error,
    read_channel_values,
    read_numbers,
    read_probability,
)


class RandomErasing(Augmentation):
    """Erase a random rectangle of each image with probability `p`.

    The rectangle is drawn in these steps:

    1. The area is drawn uniformly from `scale`.
    2. The ratio of height to width is drawn log-uniformly from the part of `ratio` for
       which the rectangle fits into the image.
    3. The height is rounded to whole pixels. The width is the area divided by this
       height, rounded. Both are at least one pixel.
    4. The position is drawn uniformly.

    Five random numbers are drawn for each image, whether it is erased or not.

    Parameters
    ----------
    p : float, default=0.5
        Probability that a rectangle of an image is erased.
    scale : (low, high), default=(0.02, 0.33)
        Range of the erased area, as a fraction of the area of the image.
    ratio : (low, high), default=(0.3, 3.3)
        Range of the rectangle's height divided by its width. Images of height 1, which
        signals are, ignore it: a rectangle has the width that `scale` demands.
    value : float or tuple of float, default=0.0
        The value of the erased pixels. A tuple has one value for each channel.

    References
    ----------
    Z. Zhong, L. Zheng, G. Kang, S. Li, Y. Yang, "Random Erasing Data Augmentation",
    AAAI 2020, https://arxiv.org/abs/1708.04896. The paper draws area and ratio again
    until the rectangle fits. Here, the ratio is drawn from the ratios that fit, which
    needs no loop.

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

    def _check_parameters(
        self,
    ) -> tuple[float, tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        """Return p, scale, ratio and value."""
        p = read_probability(self, "p")
        expected = "(low, high) with 0 <= low <= high <= 1"
        scale = read_numbers(self, "scale", (2,), expected)
        if not 0 <= scale[0] <= scale[1] <= 1:
            raise parameter_error(self, "scale", expected)
        expected = "(low, high) with 0 < low <= high"
        ratio = read_numbers(self, "ratio", (2,), expected)
        if not 0 < ratio[0] <= ratio[1]:
            raise parameter_error(self, "ratio", expected)
        return p, scale, ratio, read_channel_values(self, "value")

    def _augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        p, scale, ratio, value = self._check_parameters()
        size, _, height, width = images.shape
        value_tensor = channel_tensor(value, "value", images)
        if height == 1:
            ratio = min(ratio[0], 1 / width), max(ratio[1], 1.0)
        scale = self._limit_scale(scale, ratio, height, width)
        erase_draw, area_draw, ratio_draw, top_draw, left_draw = torch.rand(
            size, 5, generator=generator, dtype=torch.float32, device=images.device
        ).unbind(1)
        area = height * width * (scale[0] + (scale[1] - scale[0]) * area_draw)
        low = (area / width**2).log().clamp(min=math.log(ratio[0]))
        high = (height**2 / area).log().clamp(max=math.log(ratio[1]))
        heights = (area * (low + (high - low) * ratio_draw).exp()).sqrt()
        heights = heights.round().clamp(1, height)
        widths = (area / heights).round().clamp(1, width) * (erase_draw < p)
        inside = (
            _mark_intervals(top_draw, heights, height)[:, None, :, None]
            & _mark_intervals(left_draw, widths, width)[:, None, None, :]
        )  # (batch, 1, height, width)
        return torch.where(inside, value_tensor, images)

    def _limit_scale(
        self,
        scale: tuple[float, ...],
        ratio: tuple[float, ...],
        height: int,
        width: int,
    ) -> tuple[float, float]:
        """Limit `scale` to the areas for which at least one ratio fits."""
        image_ratio = height / width
        best = min(max(image_ratio, ratio[0]), ratio[1])
        # The largest area is the whole image if `ratio` includes the image's ratio.
        largest = min(image_ratio, best) / max(image_ratio, best)
        if largest < scale[0]:
            raise ValueError(
                f"scale={self.scale!r} and ratio={self.ratio!r} allow no rectangle in "
                f"images of {height} x {width} pixels; lower scale or widen ratio."
            )
        return scale[0], min(scale[1], largest)


def _mark_intervals(uniform: Tensor, length: Tensor, size: int) -> Tensor:
    """Return a mask with one interval of the given length for each image."""
    start = (uniform * (size - length + 1)).floor()
    position = torch.arange(size, device=uniform.device)
    start, end = start[:, None], (start + length)[:, None]
    return (start <= position) & (position < end)  # (batch, size)
