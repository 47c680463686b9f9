"""Random crops of padded images."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skmlp.augmentation._base import Augmentation
from skmlp.augmentation._parameters import (
    channel_tensor,
    parameter_error,
    read_channel_values,
    read_numbers,
    read_option,
)


class RandomCrop(Augmentation):
    """Pad each image, then cut a random window of the original size out of it.

    - All (2 * horizontal + 1) * (2 * vertical + 1) windows are equally likely. The
      image is shifted by whole pixels, so its values are exact.
    - Two random numbers are drawn for each image. All vertical positions are drawn
      before the horizontal ones.

    Parameters
    ----------
    padding : int or (horizontal, vertical), default=4
        Number of pixels that are added on each side: `horizontal` at left and right,
        `vertical` at top and bottom. This is also the largest shift. 0 does not change
        the images.
    padding_mode : {'constant', 'edge', 'reflect', 'symmetric'}, default='constant'
        The values of the padding, as in `numpy.pad`.

        - 'constant': `fill`.
        - 'edge': the border pixel.
        - 'reflect': the mirror image without the border pixel.
        - 'symmetric': the mirror image with the border pixel.
    fill : float or tuple of float, default=0.0
        Value of the padding for ``padding_mode='constant'``. A tuple has one value for
        each channel.

    Examples
    --------
    >>> import torch
    >>> from skmlp.augmentation import RandomCrop
    >>> image = torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8)
    >>> crops = RandomCrop(padding=(1, 0))(image.expand(100, 1, 1, 3), 0)
    >>> crops.unique(dim=0).squeeze()
    tensor([[0, 1, 2],
            [1, 2, 3],
            [2, 3, 0]], dtype=torch.uint8)
    """

    def __init__(
        self,
        padding: int | Sequence[int] = 4,
        padding_mode: str = "constant",
        fill: float | Sequence[float] = 0.0,
    ) -> None:
        self.padding = padding
        self.padding_mode = padding_mode
        self.fill = fill

    def _check_parameters(self) -> tuple[int, int, str, tuple[float, ...]]:
        """Return horizontal padding, vertical padding, mode and fill."""
        expected = "a whole number of at least 0, or two of them (horizontal, vertical)"
        values = read_numbers(self, "padding", (1, 2), expected)
        if not all(value >= 0 and value.is_integer() for value in values):
            raise parameter_error(self, "padding", expected)
        modes = ("constant", "edge", "reflect", "symmetric")
        mode = read_option(self, "padding_mode", modes)
        fill = read_channel_values(self, "fill")
        return int(values[0]), int(values[-1]), mode, fill

    def _check_for_signals(self) -> None:
        horizontal, vertical, *_ = self._check_parameters()
        if vertical:
            expected = f"({horizontal}, 0), because signals have no height"
            raise parameter_error(self, "padding", expected)

    def _augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        horizontal, vertical, mode, fill = self._check_parameters()
        size, _, height, width = images.shape
        device = images.device
        top = torch.randint(
            2 * vertical + 1, (size,), generator=generator, device=device
        )
        left = torch.randint(
            2 * horizontal + 1, (size,), generator=generator, device=device
        )
        if mode == "constant":
            padded = _pad_constant(
                images, horizontal, vertical, channel_tensor(fill, "fill", images)
            )
        else:
            rows = _padded_positions(height, vertical, mode, device)
            columns = _padded_positions(width, horizontal, mode, device)
            padded = images.index_select(2, rows).index_select(3, columns)
        # A view of all windows; one indexing operation selects a window of each image.
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        return windows[torch.arange(size, device=device), :, top, left]


def _pad_constant(
    images: Tensor, horizontal: int, vertical: int, fill: Tensor
) -> Tensor:
    """Return the images padded with the fill value."""
    size, channels, height, width = images.shape
    padded = images.new_empty(
        size, channels, height + 2 * vertical, width + 2 * horizontal
    )
    padded[:] = fill
    padded[:, :, vertical : vertical + height, horizontal : horizontal + width] = images
    return padded


def _padded_positions(
    size: int, padding: int, mode: str, device: torch.device
) -> Tensor:
    """Return the index of the source pixel for each position along a padded axis."""
    position = torch.arange(-padding, size + padding, device=device)
    if mode == "edge":
        return position.clamp(0, size - 1)
    # An image and its mirror image repeat with a period. `mirror` - i is the index of
    # the pixel that mirrors pixel i.
    if mode == "symmetric":
        period, mirror = 2 * size, 2 * size - 1
    else:  # without the border pixels; an axis of one pixel has the period 1
        period, mirror = max(2 * size - 2, 1), 2 * size - 2
    position = position % period
    return torch.minimum(position, mirror - position)
