"""Random rotation, shift, shear and zoom. The batch is resampled once."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from skmlp.augmentation._base import Augmentation, cast_to_image_dtype, compute_dtype
from skmlp.augmentation._parameters import (
    channel_tensor,
    parameter_error,
    read_channel_values,
    read_numbers,
    read_option,
)

# The names of padding modes in grid_sample, if align_corners is False.
_GRID_SAMPLE_PADDING = {
    "constant": "zeros",
    "edge": "border",
    "symmetric": "reflection",
}


class RandomAffine(Augmentation):
    r"""Rotate, shift, shear and zoom each image by random amounts.

    The amounts are angle, shifts, zoom factors and shear angles. They are drawn
    uniformly and independently for each image. A point at offset :math:`q` from the
    center of the image moves to

    .. math:: q' = R(\alpha) \, H_y \, H_x \, Z \, q + t.

    The image is zoomed first, then sheared along x, sheared along y, rotated, and
    shifted. All images are resampled in one pass.

    The names, units and order of the parameters equal those of
    ``torchvision.transforms.v2.RandomAffine``, with two differences:

    - shifts are not rounded to whole pixels,
    - `scale` may have four numbers.

    Parameters
    ----------
    degrees : float or (low, high), default=0.0
        Range of the clockwise rotation in degrees. A number d means (-d, d).
    translate : float, (horizontal, vertical) or None, default=None
        Largest shift in both directions, as a fraction from 0 to 1 of the width and of
        the height. One number is used for both.
    scale : (low, high), (x_low, x_high, y_low, y_high) or None, default=None
        Range of the zoom factor. A factor above 1 enlarges. With two numbers, both axes
        have the same factor. With four numbers, one factor is drawn for each axis.
    shear : float, (low, high), (x_low, x_high, y_low, y_high) or None, default=None
        Range of the shear angle in degrees, between -90 and 90. A number s means
        (-s, s). With one or two numbers, images are sheared along x only.
    interpolation : {'bilinear', 'nearest'}, default='bilinear'
        How values between pixels are computed.
    padding_mode : {'constant', 'edge', 'symmetric'}, default='constant'
        The values outside the image: `fill`, the nearest pixel of the border, or the
        mirror image.
    fill : float or tuple of float, default=0.0
        Value outside the image for ``padding_mode='constant'``. A tuple has one value
        for each channel.

    Notes
    -----
    - Seven random numbers are always drawn for each image: angle, horizontal shift,
      vertical shift, x zoom, y zoom, x shear, y shear. The same seed therefore gives
      the same angles with and without a shift.
    - If no parameter changes the images, the result equals the input to the bit.

    The first example corresponds to Keras's ``ImageDataGenerator(rotation_range=10,
    width_shift_range=0.2, height_shift_range=0.2, shear_range=0.1, zoom_range=0.1)``
    before 2018, when `shear_range` was in radians (keras-team/keras#8868). Keras draws
    a zoom factor for each axis, and pads as ``padding_mode='edge'`` does.

    Examples
    --------
    >>> import torch
    >>> from skmlp.augmentation import RandomAffine
    >>> augmentation = RandomAffine(
    ...     degrees=10, translate=0.2, scale=(0.9, 1.1, 0.9, 1.1), shear=5.73
    ... )
    >>> augmentation(torch.rand(50, 1, 28, 28), 0).shape
    torch.Size([50, 1, 28, 28])

    A clockwise quarter turn:

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

    def _check_parameters(self) -> "_Ranges":
        """Return the range of each amount."""
        read_option(self, "interpolation", ("bilinear", "nearest"))
        read_option(self, "padding_mode", tuple(_GRID_SAMPLE_PADDING))
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
        """Return the range of the angle."""
        expected = "a number of at least 0, or (low, high) with low <= high"
        values = read_numbers(self, "degrees", (1, 2), expected)
        low, high = (-values[0], values[0]) if len(values) == 1 else values
        if low > high:
            raise parameter_error(self, "degrees", expected)
        return low, high

    def _read_translate(self) -> tuple[float, float]:
        """Return the largest horizontal and vertical shift."""
        if self.translate is None:
            return 0.0, 0.0
        expected = "a fraction from 0 to 1, two of them (horizontal, vertical), or None"
        values = read_numbers(self, "translate", (1, 2), expected)
        if not all(0 <= value <= 1 for value in values):
            raise parameter_error(self, "translate", expected)
        return values[0], values[-1]

    def _read_scale(self) -> tuple[tuple[float, float], tuple[float, float] | None]:
        """Return the ranges of both axes; None for y means the same factor as x."""
        if self.scale is None:
            return (1.0, 1.0), None
        expected = (
            "(low, high) or (x_low, x_high, y_low, y_high) with 0 < low <= high, "
            "or None"
        )
        values = read_numbers(self, "scale", (2, 4), expected)
        x, y = values[:2], values[2:]
        if not 0 < x[0] <= x[1] or (y and not 0 < y[0] <= y[1]):
            raise parameter_error(self, "scale", expected)
        return (x[0], x[1]), (y[0], y[1]) if y else None

    def _read_shear(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the ranges of both axes."""
        if self.shear is None:
            return (0.0, 0.0), (0.0, 0.0)
        expected = (
            "a number of at least 0, (low, high) or (x_low, x_high, y_low, y_high) "
            "with -90 < low <= high < 90, or None"
        )
        values = read_numbers(self, "shear", (1, 2, 4), expected)
        if len(values) == 1:
            values = (-values[0], values[0])
        x, y = values[:2], values[2:] or (0.0, 0.0)
        if not -90 < x[0] <= x[1] < 90 or not -90 < y[0] <= y[1] < 90:
            raise parameter_error(self, "shear", expected)
        return (x[0], x[1]), (y[0], y[1])

    def _check_for_signals(self) -> None:
        ranges = self._check_parameters()
        if ranges.angle != (0, 0):
            raise parameter_error(self, "degrees", "0, because signals have no height")
        if ranges.shift_y != (0, 0):
            expected = f"({ranges.shift_x[1]:g}, 0), because signals have no height"
            raise parameter_error(self, "translate", expected)
        if (ranges.shear_x, ranges.shear_y) != ((0, 0), (0, 0)):
            raise parameter_error(self, "shear", "None, because signals have no height")

    def _augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        ranges = self._check_parameters()
        amounts = _draw_amounts(ranges, len(images), generator)
        if ranges.is_identity() or images.numel() == 0:
            return images.clone()
        dtype = compute_dtype(images.dtype)
        grid = _sampling_grid(amounts, images.shape[2], images.shape[3], dtype)
        values = images.to(dtype)
        fill = read_channel_values(self, "fill")
        # grid_sample pads with zeros only: `fill` is subtracted before and added after.
        offset = channel_tensor(fill, "fill", values) if any(fill) else None
        values = grid_sample(
            values if offset is None else values - offset,
            grid,
            mode=self.interpolation,
            padding_mode=_GRID_SAMPLE_PADDING[self.padding_mode],
            align_corners=False,
        )
        return cast_to_image_dtype(
            values if offset is None else values + offset, images.dtype
        )


class _Ranges(NamedTuple):
    """The range of each amount, in the order in which the amounts are drawn."""

    angle: tuple[float, float]
    shift_x: tuple[float, float]
    shift_y: tuple[float, float]
    zoom_x: tuple[float, float]
    zoom_y: tuple[float, float] | None  # None: the same factor as x
    shear_x: tuple[float, float]
    shear_y: tuple[float, float]

    def is_identity(self) -> bool:
        """Return whether no amount in these ranges changes an image."""
        identity = _IDENTITY_RANGES
        return self in (identity, identity._replace(zoom_y=None))


_IDENTITY_RANGES = _Ranges(
    angle=(0.0, 0.0),
    shift_x=(0.0, 0.0),
    shift_y=(0.0, 0.0),
    zoom_x=(1.0, 1.0),
    zoom_y=(1.0, 1.0),
    shear_x=(0.0, 0.0),
    shear_y=(0.0, 0.0),
)


class _Amounts(NamedTuple):
    """The amounts of each image; every field has shape (batch,)."""

    angle: Tensor  # degrees, clockwise
    shift_x: Tensor  # fraction of the width
    shift_y: Tensor  # fraction of the height
    zoom_x: Tensor  # factor
    zoom_y: Tensor  # factor
    shear_x: Tensor  # degrees
    shear_y: Tensor  # degrees


def _draw_amounts(ranges: _Ranges, size: int, generator: torch.Generator) -> _Amounts:
    """Draw the amounts for `size` images in float32."""
    device = generator.device
    uniform = torch.rand(
        size, 7, generator=generator, dtype=torch.float32, device=device
    ).unbind(1)
    # The ranges are Python numbers. Copying a tensor of them to the device would wait
    # for all work in the queue of the device.
    drawn = {
        name: pair[0] + (pair[1] - pair[0]) * column
        for name, pair, column in zip(ranges._fields, ranges, uniform, strict=True)
        if pair is not None
    }
    drawn.setdefault("zoom_y", drawn["zoom_x"])
    return _Amounts(**drawn)


def _sampling_grid(
    amounts: _Amounts, height: int, width: int, dtype: torch.dtype
) -> Tensor:
    """Return the grid for grid_sample: the source position of each output pixel."""
    amounts = _Amounts(*(amount.to(dtype) for amount in amounts))
    cos, sin = amounts.angle.deg2rad().cos(), amounts.angle.deg2rad().sin()
    tan_x, tan_y = amounts.shear_x.deg2rad().tan(), amounts.shear_y.deg2rad().tan()
    # The product of both inverse shears is [[1 + tan_x * tan_y, tan_x], [tan_y, 1]].
    shear_xx = 1 + tan_x * tan_y
    # The inverse of R(angle) @ [[1, 0], [-tan_y, 1]] @ [[1, -tan_x], [0, 1]] @ zoom,
    # times 2 / size, because positions in grid_sample range from -1 to 1.
    unit_x, unit_y = 2 / width / amounts.zoom_x, 2 / height / amounts.zoom_y
    from_x = torch.stack(
        [(shear_xx * cos - tan_x * sin) * unit_x, (tan_y * cos - sin) * unit_y]
    )  # (2, batch)
    from_y = torch.stack(
        [(shear_xx * sin + tan_x * cos) * unit_x, (tan_y * sin + cos) * unit_y]
    )
    x = _centered_positions(width, amounts.shift_x)  # (batch, width)
    y = _centered_positions(height, amounts.shift_y)  # (batch, height)
    # The map is affine: a position is a function of x plus a function of y. On a CPU
    # the sum of a row and a column is several times as fast as the matrix product in
    # affine_grid. On a GPU it is exact, while matrix products may be rounded to TF32.
    row = (from_x[:, :, None] * x)[:, :, None, :]  # (2, batch, 1, width)
    column = (from_y[:, :, None] * y)[:, :, :, None]  # (2, batch, height, 1)
    return (row + column).permute(1, 2, 3, 0)  # (batch, height, width, 2)


def _centered_positions(size: int, shift: Tensor) -> Tensor:
    """Return pixel positions relative to the image center, minus the shift."""
    pixels = torch.arange(size, dtype=shift.dtype, device=shift.device)
    return pixels - (size - 1) / 2 - size * shift[:, None]  # (batch, size)
