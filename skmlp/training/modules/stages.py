"""The settings of the convolutions of a network, one stage for each of them."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import NamedTuple

from skmlp.training.modules.layers import per_layer

# Sizes of a square or of (height, width): one for all convolutions, or one for each.
Sizes = int | Sequence[int | Sequence[int]]


class Window(NamedTuple):
    """Height and width of a kernel or a pool, or the two steps of a stride.

    The height is 1 for signals.
    """

    height: int
    width: int

    def __str__(self) -> str:
        sides = (self.height, self.width)
        return str(self.height if self.height == self.width else sides)


class Stage(NamedTuple):
    """Settings of one entry of `conv_channels`: a convolution or a residual block."""

    channels: int
    kernel_size: Window
    stride: Window
    pool: str | None
    pool_size: Window
    dropout: float


def read_stages(
    n_dims: int,
    conv_channels: int | Sequence[int],
    kernel_size: Sizes,
    conv_strides: Sizes,
    pool: str | Sequence[str | None] | None,
    pool_size: Sizes,
    conv_dropout: float | Sequence[float],
) -> list[Stage]:
    """Check the settings and return one stage for each entry of `conv_channels`.

    `n_dims` is 2 for images and 1 for signals. An entry of a size is a side, or in two
    dimensions a pair of height and width.
    """
    channels = as_tuple(conv_channels)
    if not channels:
        raise ValueError(
            "conv_channels has no entries; give at least one, as in (32,)."
        )
    check_positive("conv_channels", channels)
    length_hint = f"conv_channels={channels} has {len(channels)}"
    sizes = {"kernel_size": kernel_size, "conv_strides": conv_strides}
    sizes["pool_size"] = pool_size
    windows = {
        name: _read_windows(name, value, n_dims, len(channels), length_hint)
        for name, value in sizes.items()
    }
    pools = per_layer("pool", pool, len(channels), length_hint)
    for kind in pools:
        check_choice("pool", kind, ("max", "avg", None))
    rates = per_layer("conv_dropout", conv_dropout, len(channels), length_hint)
    for rate in rates:
        if not 0 <= rate < 1:
            raise ValueError(f"conv_dropout must be in [0, 1), got {rate!r}.")
    columns = (
        channels,
        windows["kernel_size"],
        windows["conv_strides"],
        pools,
        windows["pool_size"],
        rates,
    )
    return [Stage(*stage) for stage in zip(*columns, strict=True)]


def _read_windows(
    name: str, value: Sizes, n_dims: int, n_stages: int, length_hint: str
) -> list[Window]:
    """Return the window of each stage."""
    if n_dims == 2:
        pairs = ", ".join(["(3, 5)"] * n_stages) + ("," if n_stages == 1 else "")
        length_hint += (
            " (one entry for each convolution: a side, or a pair of height and width "
            f"as in {name}=({pairs}))"
        )
    entries = per_layer(name, value, n_stages, length_hint)
    return [_read_window(name, entry, n_dims) for entry in entries]


def _read_window(name: str, entry: object, n_dims: int) -> Window:
    """Return the window that one side, or a pair of height and width, means."""
    sides = as_tuple(entry)
    if isinstance(entry, Iterable) and (n_dims == 1 or len(sides) != 2):
        wanted = (
            "one integer for all convolutions or for each, because signals have no "
            "height"
            if n_dims == 1
            else "a side or a pair (height, width) for each convolution"
        )
        raise ValueError(
            f"{name} has the entry {entry!r}; with conv_dims={n_dims} give {wanted}."
        )
    check_positive(name, sides)
    height = 1 if n_dims == 1 else int(sides[0])
    return Window(height, int(sides[-1]))


def as_tuple(value: object) -> tuple:
    """Return the entries of a sequence, or one scalar, as a tuple."""
    return tuple(value) if isinstance(value, Iterable) else (value,)


def check_choice(name: str, value: object, choices: tuple) -> None:
    """Raise ValueError if a value is not among the choices."""
    if value not in choices:
        listed = ", ".join(map(repr, choices[:-1]))
        raise ValueError(f"{name} must be {listed} or {choices[-1]!r}, got {value!r}.")


def check_positive(name: str, sizes: tuple) -> None:
    """Raise ValueError if a size is not a positive integer."""
    for size in sizes:
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{name} must be positive integers, got {size!r}.")
