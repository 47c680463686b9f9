"""Random crops of padded images."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skmlp.augmentation._base import Augmentation
from skmlp.augmentation._parameters import (
    bad_value,
    channel_values,
    read_channel_values,
    read_numbers,
    read_option,
)


class RandomCrop(Augmentation):
    """Pad each image, then cut a random window of its old size out of it.

    All (2 * horizontal + 1) * (2 * vertical + 1) windows are equally likely: this is
    a shift by whole pixels, exact to the bit. Each image takes two numbers from the
    generator; all vertical positions are drawn before the horizontal ones.

    Parameters
    ----------
    padding : int or (horizontal, vertical), default=4
        Number of pixels that are added left and right, and above and below; the
        largest shift in either direction. 0 leaves the images as they are.
    padding_mode : {'constant', 'edge', 'reflect', 'symmetric'}, default='constant'
        What the padding holds: `fill`, the outermost pixel, or the mirror image
        without ('reflect') or with ('symmetric') the outermost pixel, as
        `numpy.pad` has it.
    fill : float or tuple of one for each channel, default=0.0
        Value of the padding for ``padding_mode='constant'``.

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

    def _read(self) -> tuple[int, int, str, tuple[float, ...]]:
        wanted = "a whole number of at least 0, or two of them (horizontal, vertical)"
        values = read_numbers(self, "padding", (1, 2), wanted)
        if not all(value >= 0 and value.is_integer() for value in values):
            raise bad_value(self, "padding", wanted)
        modes = ("constant", "edge", "reflect", "symmetric")
        mode = read_option(self, "padding_mode", modes)
        fill = read_channel_values(self, "fill")
        return int(values[0]), int(values[-1]), mode, fill

    def _augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        across, down, mode, fill = self._read()
        size, _, height, width = images.shape
        device = images.device
        top = torch.randint(2 * down + 1, (size,), generator=generator, device=device)
        left = torch.randint(
            2 * across + 1, (size,), generator=generator, device=device
        )
        if mode == "constant":
            padded = _pad_constant(
                images, across, down, channel_values(fill, "fill", images)
            )
        else:
            rows = _padded_positions(height, down, mode, device)
            columns = _padded_positions(width, across, mode, device)
            padded = images.index_select(2, rows).index_select(3, columns)
        # A view of all windows, from which one gather takes each image's own.
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        return windows[torch.arange(size, device=device), :, top, left]


def _pad_constant(images: Tensor, across: int, down: int, fill: Tensor) -> Tensor:
    """Return the images with a frame of the fill value."""
    size, channels, height, width = images.shape
    padded = images.new_empty(size, channels, height + 2 * down, width + 2 * across)
    padded[:] = fill
    padded[:, :, down : down + height, across : across + width] = images
    return padded


def _padded_positions(
    size: int, padding: int, mode: str, device: torch.device
) -> Tensor:
    """Return, for each position along a padded axis, the pixel that stands there."""
    position = torch.arange(-padding, size + padding, device=device)
    if mode == "edge":
        return position.clamp(0, size - 1)
    # Mirror images repeat: over twice the size, or two less if the ends are not
    # doubled. One pixel has no other to mirror.
    last = 2 * size - (1 if mode == "symmetric" else 2)
    position = position % max(2 * size if mode == "symmetric" else last, 1)
    return torch.minimum(position, last - position)
