"""Convolutional networks of logits, with Keras's border rules for every size.

Data are channels last throughout: a batch of rows is viewed as ``(batch, channels,
height, width)`` in torch's channels_last layout, which every layer here keeps, so that
neither end of the convolutions copies anything.
"""

import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor, nn

from skmlp.training.modules.activations import NON_DECREASING, make_activation
from skmlp.training.modules.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
    add_hidden_layers,
    per_layer,
)


class Volume(NamedTuple):
    """Sizes of one image, or of its feature maps between two layers."""

    channels: int
    height: int
    width: int


class Stage(NamedTuple):
    """What each entry of ``conv_channels`` stands for."""

    channels: int
    kernel_size: int
    stride: int
    pool: str | None
    pool_size: int
    dropout: float


class ImageView(nn.Module):
    """View rows, channels last, as ``(batch, channels, height, width)``."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.image_shape = image_shape

    def forward(self, x: Tensor) -> Tensor:
        """Return a view of `x` in channels_last layout."""
        return x.unflatten(1, self.image_shape).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        """Parameters, for torch's repr."""
        return f"image_shape={self.image_shape}"


class FlattenImage(nn.Module):
    """Lay feature maps out as rows, channels last as Keras does."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(batch, height * width * channels)``, a view of channels_last."""
        return x.permute(0, 2, 3, 1).flatten(1)


class GlobalAverage(nn.Module):
    """Average every feature map (Lin, Chen and Yan 2013, arXiv:1312.4400)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(batch, channels)``."""
        return x.mean((2, 3))


class ResidualBlock(nn.Module):
    """Sum of a body and a shortcut (He et al. 2015, arXiv:1512.03385).

    The activation after the sum is a layer of its own, so that pooling may precede it.
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum, before its activation."""
        return self.body(x) + self.shortcut(x)


def infer_image_shape(n_features: int) -> tuple[int, int, int]:
    """Return the ``(height, width, channels)`` that rows of `n_features` stand for.

    A square grey image, else a square of three channels, else one line of pixels.

    Examples
    --------
    >>> infer_image_shape(784), infer_image_shape(3072), infer_image_shape(13)
    ((28, 28, 1), (32, 32, 3), (1, 13, 1))
    """
    for channels in (1, 3):
        side = math.isqrt(n_features // channels)
        if side * side * channels == n_features:
            return side, side, channels
    return 1, n_features, 1


def build_cnn(
    image_shape: tuple[int, int, int],
    n_outputs: int,
    *,
    conv_channels: int | Sequence[int] = (32, 64),
    kernel_size: int | Sequence[int] = 3,
    conv_strides: int | Sequence[int] = 1,
    padding: str = "same",
    pool: str | Sequence[str | None] | None = "max",
    pool_size: int | Sequence[int] = 2,
    pool_padding: str | None = None,
    hidden_layer_sizes: int | Sequence[int] = (128,),
    activation: str = "relu",
    dropout: float | Sequence[float] = 0.0,
    conv_dropout: float | Sequence[float] = 0.0,
    channel_dropout: bool = False,
    batch_norm: bool = False,
    block: str = "plain",
    head: str = "dense",
) -> nn.Sequential:
    """Return a network from rows of pixels to logits, its weights not yet drawn.

    Where a parameter of the convolutions is a scalar it serves all of them; a sequence
    gives one each.

    Parameters
    ----------
    image_shape : tuple of int
        Height, width and channels; the rows are images in this order.
    n_outputs : int
        Number of logits.
    conv_channels : int or sequence of int
        Feature maps of each convolution.
    kernel_size, conv_strides : int or sequence of int
        Side of the square kernel and the step between its positions, in pixels.
    padding : {'same', 'valid'}
        Whether zeros surround the image so that a side of n pixels gives
        ``ceil(n / stride)``, or kernels stay within it. An odd number of zeros has the
        larger half after the image, which is TensorFlow's rule.
    pool : {'max', 'avg', None} or sequence of these
        Pooling after each convolution, or none.
    pool_size : int or sequence of int
        Side of the pooling windows and the step between them.
    pool_padding : {'same', 'valid', None}
        Whether windows that reach over the border count, with the pixels that they
        have, or are left out; None does as `padding`.
    hidden_layer_sizes : int or sequence of int
        Dense layers before the output.
    activation : str
        Name of the activation after every convolution and hidden layer.
    dropout, conv_dropout : float or sequence of float
        Probability to drop a unit after each hidden layer and each convolution.
    channel_dropout : bool
        Whether dropout after convolutions drops whole feature maps.
    batch_norm : bool
        Whether to normalise every convolution and hidden layer before its activation.
    block : {'plain', 'residual'}
        With 'residual' every entry of `conv_channels` but the first is a residual block
        of two convolutions, the first of which has the stride, and whose shortcut is a
        1x1 convolution where the sizes change.
    head : {'dense', 'global_average'}
        What the hidden layers see: every pixel of the last feature maps, or their
        averages.

    Returns
    -------
    network : nn.Sequential
        From ``(batch, height * width * channels)`` to ``(batch, n_outputs)``. Layers
        are named ``conv1``, ``conv1_pool``, ``block2``, ``dense1``, ``output``.

    Raises
    ------
    ValueError
        For a parameter out of its range, a sequence of another length than
        `conv_channels`, or an image smaller than a kernel or window under 'valid'.

    Examples
    --------
    >>> network = build_cnn((28, 28, 1), 10, conv_channels=(32, 64), kernel_size=2)
    >>> [sum(p.numel() for p in network.get_submodule(name).parameters())
    ...  for name in ("conv1", "conv2")]
    [160, 8256]
    """
    _check_choice("padding", padding, ("same", "valid"))
    _check_choice("pool_padding", pool_padding, ("same", "valid", None))
    _check_choice("block", block, ("plain", "residual"))
    _check_choice("head", head, ("dense", "global_average"))
    if block == "residual" and padding == "valid":
        raise ValueError("block='residual' needs padding='same', got 'valid'.")
    stages = _read_stages(
        conv_channels, kernel_size, conv_strides, pool, pool_size, conv_dropout
    )
    hidden = _as_tuple(hidden_layer_sizes)
    _check_positive("hidden_layer_sizes", hidden)

    height, width, channels = image_shape
    volume = Volume(channels, height, width)
    layers: OrderedDict[str, nn.Module] = OrderedDict(image=ImageView(image_shape))
    for i, stage in enumerate(stages, start=1):
        if block == "residual" and i > 1:
            name = f"block{i}"
            layers[name], volume = _make_residual_block(
                name, volume, stage, activation, batch_norm
            )
        else:
            name = f"conv{i}"
            volume = _add_convolution(layers, name, volume, stage, padding, batch_norm)
        # Maxima of a non-decreasing function: the same values, fewer to activate.
        pool_first = stage.pool == "max" and activation in NON_DECREASING
        if not pool_first:
            layers[f"{name}_activation"] = make_activation(activation)
        if stage.pool is not None:
            volume = _add_pool(
                layers, f"{name}_pool", volume, stage, pool_padding or padding
            )
        if pool_first:
            layers[f"{name}_activation"] = make_activation(activation)
        if stage.dropout:
            layers[f"{name}_dropout"] = Dropout(stage.dropout, channel_dropout)

    if head == "dense":
        layers["flatten"] = FlattenImage()
        n_inputs = math.prod(volume)
    else:
        layers["global_average"] = GlobalAverage()
        n_inputs = volume.channels
    n_inputs = add_hidden_layers(
        layers, n_inputs, hidden, activation, dropout, batch_norm
    )
    layers["output"] = Linear(n_inputs, n_outputs)
    network = nn.Sequential(layers)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _as_tuple(value: object) -> tuple:
    """Tuple of the entries of a sequence, or of the one scalar."""
    return tuple(value) if isinstance(value, Iterable) else (value,)


def _check_choice(name: str, value: object, choices: tuple) -> None:
    """Refuse a value that is none of the choices."""
    if value not in choices:
        listed = ", ".join(map(repr, choices[:-1]))
        raise ValueError(f"{name} must be {listed} or {choices[-1]!r}, got {value!r}.")


def _check_positive(name: str, sizes: tuple) -> None:
    """Refuse a size that is not a positive integer."""
    for size in sizes:
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{name} must be positive integers, got {size!r}.")


def _read_stages(
    conv_channels: int | Sequence[int],
    kernel_size: int | Sequence[int],
    conv_strides: int | Sequence[int],
    pool: str | Sequence[str | None] | None,
    pool_size: int | Sequence[int],
    conv_dropout: float | Sequence[float],
) -> list[Stage]:
    """One checked stage for each entry of `conv_channels`."""
    channels = _as_tuple(conv_channels)
    if not channels:
        raise ValueError(
            "conv_channels has no entries; give at least one, as in (32,)."
        )
    sizes = {
        "kernel_size": kernel_size,
        "conv_strides": conv_strides,
        "pool": pool,
        "pool_size": pool_size,
        "conv_dropout": conv_dropout,
    }
    owner = f"conv_channels={channels} has {len(channels)}"
    columns = {
        name: per_layer(name, value, len(channels), owner)
        for name, value in sizes.items()
    }
    _check_positive("conv_channels", channels)
    for name in ("kernel_size", "conv_strides", "pool_size"):
        _check_positive(name, columns[name])
    for kind in columns["pool"]:
        _check_choice("pool", kind, ("max", "avg", None))
    for rate in columns["conv_dropout"]:
        if not 0 <= rate < 1:
            raise ValueError(f"conv_dropout must be in [0, 1), got {rate!r}.")
    return [Stage(*row) for row in zip(channels, *columns.values(), strict=True)]


def _same_border(size: int, window: int, stride: int) -> tuple[int, int]:
    """Pixels to add before and after, so that there are ceil(size / stride) windows."""
    total = max((math.ceil(size / stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _borders(
    volume: Volume, window: int, stride: int, padding: str
) -> list[tuple[int, int]]:
    """Pixels to add before and after the rows, and before and after the columns."""
    if padding == "valid":
        return [(0, 0), (0, 0)]
    return [_same_border(side, window, stride) for side in volume[1:]]


def _check_fits(
    name: str, volume: Volume, size: str, window: int, padding: str
) -> None:
    """Refuse a window larger than what it moves over."""
    if min(volume.height, volume.width) < window:
        raise ValueError(
            f"{name} has {size}={window}, but its images are {volume.height}x"
            f"{volume.width} pixels; use {padding}='same'."
        )


def _add_convolution(
    layers: OrderedDict[str, nn.Module],
    name: str,
    volume: Volume,
    stage: Stage,
    padding: str,
    batch_norm: bool,
) -> Volume:
    """Append a convolution with its border and normalisation."""
    kernel, stride = stage.kernel_size, stage.stride
    if padding == "valid":
        _check_fits(name, volume, "kernel_size", kernel, "padding")
    (top, bottom), (left, right) = _borders(volume, kernel, stride, padding)
    symmetric = top == bottom and left == right
    if not symmetric:
        layers[f"{name}_pad"] = nn.ZeroPad2d((left, right, top, bottom))
    layers[name] = Conv2d(
        volume.channels,
        stage.channels,
        kernel,
        stride,
        padding=(top, left) if symmetric else 0,
    )
    if batch_norm:
        layers[f"{name}_norm"] = BatchNorm2d(stage.channels)
    height = (volume.height + top + bottom - kernel) // stride + 1
    width = (volume.width + left + right - kernel) // stride + 1
    return Volume(stage.channels, height, width)


def _make_residual_block(
    name: str, volume: Volume, stage: Stage, activation: str, batch_norm: bool
) -> tuple[ResidualBlock, Volume]:
    """Two convolutions, and a shortcut that is a 1x1 convolution where sizes change."""
    body: OrderedDict[str, nn.Module] = OrderedDict()
    inner = _add_convolution(body, "conv1", volume, stage, "same", batch_norm)
    body["conv1_activation"] = make_activation(activation)
    unstrided = stage._replace(stride=1)
    after = _add_convolution(body, "conv2", inner, unstrided, "same", batch_norm)
    shortcut: OrderedDict[str, nn.Module] = OrderedDict()
    if after != volume:
        projection = stage._replace(kernel_size=1)
        _add_convolution(shortcut, "conv", volume, projection, "same", batch_norm)
    return ResidualBlock(nn.Sequential(body), nn.Sequential(shortcut)), after


def _add_pool(
    layers: OrderedDict[str, nn.Module],
    name: str,
    volume: Volume,
    stage: Stage,
    padding: str,
) -> Volume:
    """Append pooling by maximum or average over windows that do not overlap."""
    size = stage.pool_size
    if padding == "valid":
        _check_fits(name, volume, "pool_size", size, "pool_padding")
    (top, bottom), (left, right) = _borders(volume, size, size, padding)
    # Torch adds as much after as before, and ceil_mode what is still missing; neither
    # enters a maximum or, not being counted, an average.
    same = padding == "same"
    if stage.pool == "max":
        layers[name] = nn.MaxPool2d(size, padding=(top, left), ceil_mode=same)
    else:
        layers[name] = nn.AvgPool2d(
            size, padding=(top, left), ceil_mode=same, count_include_pad=False
        )
    height = (volume.height + top + bottom) // size
    width = (volume.width + left + right) // size
    return Volume(volume.channels, height, width)
