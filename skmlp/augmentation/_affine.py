"""Random rotation, shift, shear and zoom, as one resampling of the batch."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from skmlp.augmentation._base import Augmentation, as_dtype, working_dtype
from skmlp.augmentation._parameters import (
    bad_value,
    channel_values,
    read_channel_values,
    read_numbers,
    read_option,
)

# grid_sample's names, for coordinates that count a pixel as an area.
_BORDERS = {"constant": "zeros", "edge": "border", "symmetric": "reflection"}


class RandomAffine(Augmentation):
    r"""Rotate, shift, shear and zoom each image by its own random amounts.

    All amounts are drawn uniformly and independently, one set for each image. A
    point at offset :math:`q` from the image's centre moves to

    .. math:: q' = R(\alpha) \, H_y \, H_x \, Z \, q + t,

    so the image is zoomed first, then sheared along x, then along y, then rotated,
    then shifted. Each pixel of the result looks up where it came from, and all
    images are resampled in one pass. Names, units and order are those of
    ``torchvision.transforms.v2.RandomAffine``, except that shifts are not rounded to
    whole pixels and that `scale` takes four numbers too.

    Parameters
    ----------
    degrees : float or (low, high), default=0.0
        Range of the rotation in degrees, clockwise as the image is seen; a number d
        means (-d, d).
    translate : float, (horizontal, vertical) or None, default=None
        Largest shift to either side, as a fraction from 0 to 1 of the image's width
        and of its height; a number serves both.
    scale : (low, high), (x_low, x_high, y_low, y_high) or None, default=None
        Range of the zoom factor; over 1 enlarges. Two numbers zoom both axes by one
        factor, four draw a factor for each axis.
    shear : float, (low, high), (x_low, x_high, y_low, y_high) or None, default=None
        Range of the shear angle in degrees, within -90 to 90; a number s means
        (-s, s). One or two numbers shear along x only.
    interpolation : {'bilinear', 'nearest'}, default='bilinear'
        How a value between pixels is computed.
    padding_mode : {'constant', 'edge', 'symmetric'}, default='constant'
        What lies outside the image: `fill`, its outermost pixels drawn out, or its
        mirror image.
    fill : float or tuple of one for each channel, default=0.0
        Value outside the image for ``padding_mode='constant'``.

    Notes
    -----
    Keras's ``ImageDataGenerator(rotation_range=10, width_shift_range=0.2,
    height_shift_range=0.2, shear_range=0.1, zoom_range=0.1)`` is the example below.
    Keras zooms each axis by its own factor; its `shear_range` was in radians until
    the end of 2017 (keras-team/keras#8868), and 0.1 radians are 5.73 degrees. Since
    then it is in degrees, where 0.1 changes nothing that one could see. Keras's
    border is ``padding_mode='edge'``.

    Each image takes seven numbers from the generator, whichever parameters are set:
    angle, horizontal and vertical shift, x and y zoom, x and y shear. The same seed
    therefore gives the same angles whether or not there is a shift. If no parameter
    changes anything, the result is the input to the bit.

    Examples
    --------
    >>> import torch
    >>> from skmlp.augmentation import RandomAffine
    >>> lecture = RandomAffine(
    ...     degrees=10, translate=0.2, scale=(0.9, 1.1, 0.9, 1.1), shear=5.73
    ... )
    >>> lecture(torch.rand(50, 1, 28, 28), 0).shape
    torch.Size([50, 1, 28, 28])

    A quarter turn, clockwise:

    >>> image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> RandomAffine(degrees=(90, 90), interpolation="nearest")(image)
    tensor([[[[3., 1.],
              [4., 2.]]]])
    """

    def __init__(
        self,
        degrees: float | Sequence[float] = 0.0,
        translate: float | Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: str = "bilinear",
        padding_mode: str = "constant",
        fill: float | Sequence[float] = 0.0,
    ) -> None:
        self.degrees = degrees
        self.translate = translate
        self.scale = scale
        self.shear = shear
        self.interpolation = interpolation
        self.padding_mode = padding_mode
        self.fill = fill

    def _read(self) -> "_Ranges":
        read_option(self, "interpolation", ("bilinear", "nearest"))
        read_option(self, "padding_mode", tuple(_BORDERS))
        read_channel_values(self, "fill")
        shift_x, shift_y = self._read_translate()
        zoom_x, zoom_y = self._read_scale()
        shear_x, shear_y = self._read_shear()
        return _Ranges(
            angle=self._read_degrees(),
            shift_x=(-shift_x, shift_x),
            shift_y=(-shift_y, shift_y),
            zoom_x=zoom_x,
            zoom_y=zoom_y,
            shear_x=shear_x,
            shear_y=shear_y,
        )

    def _read_degrees(self) -> tuple[float, float]:
        wanted = "a number of at least 0, or (low, high) with low <= high"
        values = read_numbers(self, "degrees", (1, 2), wanted)
        low, high = (-values[0], values[0]) if len(values) == 1 else values
        if low > high:
            raise bad_value(self, "degrees", wanted)
        return low, high

    def _read_translate(self) -> tuple[float, float]:
        if self.translate is None:
            return 0.0, 0.0
        wanted = "a fraction from 0 to 1, two of them (horizontal, vertical), or None"
        values = read_numbers(self, "translate", (1, 2), wanted)
        if not all(0 <= value <= 1 for value in values):
            raise bad_value(self, "translate", wanted)
        return values[0], values[-1]

    def _read_scale(self) -> tuple[tuple[float, float], tuple[float, float] | None]:
        """Return the ranges of both axes; None for y stands for the factor of x."""
        if self.scale is None:
            return (1.0, 1.0), None
        wanted = (
            "(low, high) or (x_low, x_high, y_low, y_high) with 0 < low <= high, "
            "or None"
        )
        values = read_numbers(self, "scale", (2, 4), wanted)
        x, y = values[:2], values[2:]
        if not 0 < x[0] <= x[1] or (y and not 0 < y[0] <= y[1]):
            raise bad_value(self, "scale", wanted)
        return (x[0], x[1]), (y[0], y[1]) if y else None

    def _read_shear(self) -> tuple[tuple[float, float], tuple[float, float]]:
        if self.shear is None:
            return (0.0, 0.0), (0.0, 0.0)
        wanted = (
            "a number of at least 0, (low, high) or (x_low, x_high, y_low, y_high) "
            "with -90 < low <= high < 90, or None"
        )
        values = read_numbers(self, "shear", (1, 2, 4), wanted)
        if len(values) == 1:
            values = (-values[0], values[0])
        x, y = values[:2], values[2:] or (0.0, 0.0)
        if not -90 < x[0] <= x[1] < 90 or not -90 < y[0] <= y[1] < 90:
            raise bad_value(self, "shear", wanted)
        return (x[0], x[1]), (y[0], y[1])

    def _augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        ranges = self._read()
        amounts = _draw(ranges, len(images), generator)
        if ranges.are_neutral() or images.numel() == 0:
            return images.clone()
        dtype = working_dtype(images.dtype)
        grid = _source_grid(amounts, images.shape[2], images.shape[3], dtype)
        values = images.to(dtype)
        fill = read_channel_values(self, "fill")
        # grid_sample knows zeros only, so another fill becomes the zero.
        zero = channel_values(fill, "fill", values) if any(fill) else None
        values = grid_sample(
            values if zero is None else values - zero,
            grid,
            mode=self.interpolation,
            padding_mode=_BORDERS[self.padding_mode],
            align_corners=False,
        )
        return as_dtype(values if zero is None else values + zero, images.dtype)


class _Ranges(NamedTuple):
    """Range of each amount, in the order in which amounts are drawn."""

    angle: tuple[float, float]
    shift_x: tuple[float, float]
    shift_y: tuple[float, float]
    zoom_x: tuple[float, float]
    zoom_y: tuple[float, float] | None  # None: the factor of x
    shear_x: tuple[float, float]
    shear_y: tuple[float, float]

    def are_neutral(self) -> bool:
        """Whether no amount in these ranges changes an image."""
        neutral = {"zoom_x": ((1.0, 1.0),), "zoom_y": ((1.0, 1.0), None)}
        return all(
            values in neutral.get(name, ((0.0, 0.0),))
            for name, values in self._asdict().items()
        )


class _Amounts(NamedTuple):
    """What happens to each image; every field has shape (batch,)."""

    angle: Tensor  # degrees, clockwise
    shift_x: Tensor  # fraction of the width
    shift_y: Tensor  # fraction of the height
    zoom_x: Tensor  # factor
    zoom_y: Tensor  # factor
    shear_x: Tensor  # degrees
    shear_y: Tensor  # degrees


def _draw(ranges: _Ranges, size: int, generator: torch.Generator) -> _Amounts:
    """Draw the amounts for `size` images, in float32 whatever the images are."""
    device = generator.device
    uniform = torch.rand(size, 7, generator=generator, device=device).unbind(1)
    # Ranges enter as Python numbers: a tensor of them would have to be copied to the
    # device, and the copy would wait for all work queued there.
    drawn = [
        None if pair is None else pair[0] + (pair[1] - pair[0]) * column
        for pair, column in zip(ranges, uniform, strict=True)
    ]
    if drawn[4] is None:
        drawn[4] = drawn[3]
    return _Amounts(*drawn)  # type: ignore[arg-type]


def _source_grid(
    amounts: _Amounts, height: int, width: int, dtype: torch.dtype
) -> Tensor:
    """Return where each result pixel comes from, as `grid_sample` wants it."""
    amounts = _Amounts(*(amount.to(dtype) for amount in amounts))
    cos, sin = amounts.angle.deg2rad().cos(), amounts.angle.deg2rad().sin()
    tan_x, tan_y = amounts.shear_x.deg2rad().tan(), amounts.shear_y.deg2rad().tan()
    both = 1 + tan_x * tan_y
    # Inverse of R(angle) @ [[1, 0], [-tan_y, 1]] @ [[1, -tan_x], [0, 1]] @ zoom,
    # times 2 / size: grid_sample measures the image from -1 to 1.
    unit_x, unit_y = 2 / width / amounts.zoom_x, 2 / height / amounts.zoom_y
    from_x = torch.stack(
        [(both * cos - tan_x * sin) * unit_x, (tan_y * cos - sin) * unit_y]
    )  # (2, batch)
    from_y = torch.stack(
        [(both * sin + tan_x * cos) * unit_x, (tan_y * sin + cos) * unit_y]
    )
    x = _centred(width, amounts.shift_x)  # (batch, width)
    y = _centred(height, amounts.shift_y)  # (batch, height)
    # The grid is affine, so it is a sum of a row and a column. Against affine_grid's
    # matrix product this is several times as fast on a CPU, and on a GPU it stays
    # exact where matrix products may round to TF32.
    row = (from_x[:, :, None] * x)[:, :, None, :]
    column = (from_y[:, :, None] * y)[:, :, :, None]
    return (row + column).permute(1, 2, 3, 0)  # (batch, height, width, 2)


def _centred(size: int, shift: Tensor) -> Tensor:
    """Return pixel positions from the centre, before the shift: (batch, size)."""
    pixels = torch.arange(size, dtype=shift.dtype, device=shift.device)
    return pixels - (size - 1) / 2 - size * shift[:, None]
