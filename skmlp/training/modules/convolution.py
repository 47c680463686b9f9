"""Convolutional networks from flat images to logits, padded by Keras's rules.

All data are channels last. A batch of flat images is viewed as ``(batch, channels,
height, width)`` in torch's channels_last layout. All layers keep that layout, so the
network copies nothing before or after its convolutions.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from skmlp.training.modules.activations import (
    Activation,
    is_non_decreasing,
    make_activation,
)
from skmlp.training.modules.image_layers import (
    FlattenImage,
    GlobalAverage,
    ImageView,
    ResidualBlock,
)
from skmlp.training.modules.layers import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
    add_hidden_layers,
)
from skmlp.training.modules.signal_layers import (
    AvgPool1d,
    Conv1d,
    MaxPool1d,
    ZeroPad1d,
)
from skmlp.training.modules.stages import (
    Sizes,
    Stage,
    Window,
    as_tuple,
    check_choice,
    check_positive,
    read_stages,
)


class Volume(NamedTuple):
    """Size of one image, or of its feature maps between two layers.

    Signals and their feature maps have height 1 and `n_dims` 1.
    """

    channels: int
    height: int
    width: int
    n_dims: int

    @classmethod
    def of_sample(cls, image_shape: tuple[int, ...]) -> "Volume":
        """Return the size of an image or, for two numbers, of a signal."""
        *sides, channels = image_shape
        height, width = sides if len(sides) == 2 else (1, *sides)
        return cls(channels, height, width, len(sides))

    @property
    def n_values(self) -> int:
        """Number of values of all maps."""
        return self.channels * self.height * self.width

    def __str__(self) -> str:
        if self.n_dims == 1:
            return f"signals have {self.width} steps"
        return f"images are {self.height}x{self.width} pixels"


def infer_image_shape(n_features: int) -> tuple[int, int, int]:
    """Return the image shape ``(height, width, channels)`` for `n_features` features.

    It is a square gray image if the number allows it, otherwise a square image with
    three channels, otherwise one line of pixels.

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
    image_shape: tuple[int, ...],
    n_outputs: int,
    *,
    conv_channels: int | Sequence[int] = (32, 64),
    kernel_size: Sizes = 3,
    conv_strides: Sizes = 1,
    padding: str = "same",
    pool: str | Sequence[str | None] | None = "max",
    pool_size: Sizes = 2,
    pool_padding: str | None = None,
    hidden_layer_sizes: int | Sequence[int] = (128,),
    activation: Activation = "relu",
    dropout: float | Sequence[float] = 0.0,
    conv_dropout: float | Sequence[float] = 0.0,
    channel_dropout: bool = False,
    batch_norm: bool = False,
    block: str = "plain",
    head: str = "dense",
) -> nn.Sequential:
    """Return a convolutional network with uninitialized weights; see `initialize`.

    A scalar applies to all convolutions. A sequence has one entry for each.

    Parameters
    ----------
    image_shape : tuple of int
        Height, width and channels of the flat images, stored in this order; for signals
        length and channels.
    n_outputs : int
        Number of logits.
    conv_channels : int or sequence of int
        Feature maps of each convolution.
    kernel_size, conv_strides : int or sequence of int or of pairs of int
        Side of the square kernel and step between its positions, in pixels. A pair is
        height and width. Signals have no pairs.
    padding : {'same', 'valid'}
        'same' adds zeros around the image so that a side of n pixels gives ``ceil(n /
        stride)`` outputs. If the number of added rows or columns is odd, the extra one
        is at the bottom or right (TensorFlow's rule). 'valid' adds no zeros.
    pool : {'max', 'avg', None} or sequence of these
        Pooling after each convolution.
    pool_size : int or sequence of int or of pairs of int
        Side of the pooling windows and step between them, in pixels.
    pool_padding : {'same', 'valid', None}
        'same' pools windows that cross the border too, over the pixels that they have.
        'valid' leaves them out. None takes the value of `padding`.
    hidden_layer_sizes : int or sequence of int
        Units of the dense layers before the output.
    activation : str or callable
        Activation after every convolution and hidden layer; see `make_activation`.
    dropout, conv_dropout : float or sequence of float
        Probability to drop a unit after each hidden layer and each convolution.
    channel_dropout : bool
        Whether dropout after convolutions drops whole feature maps.
    batch_norm : bool
        Whether to normalize every convolution and hidden layer before its activation.
    block : {'plain', 'residual'}
        With 'residual', every entry of `conv_channels` after the first is a residual
        block of two convolutions. The first one has the stride. The shortcut is a 1x1
        convolution if the size changes.
    head : {'dense', 'global_average'}
        Input of the hidden layers: all pixels of the last feature maps, or the average
        of each map.

    Returns
    -------
    network : nn.Sequential
        Maps ``(batch, height * width * channels)`` to logits ``(batch, n_outputs)``.
        Layers are named ``conv1``, ``conv1_pool``, ``block2``, ``dense1``, ``output``.

    Raises
    ------
    ValueError
        If a parameter is out of its range, if a sequence and `conv_channels` differ in
        length, or if an image is smaller than a kernel or window with 'valid'.

    Examples
    --------
    >>> network = build_cnn((28, 28, 1), 10, conv_channels=(32, 64), kernel_size=2)
    >>> [sum(p.numel() for p in network.get_submodule(name).parameters())
    ...  for name in ("conv1", "conv2")]
    [160, 8256]
    """
    check_choice("padding", padding, ("same", "valid"))
    check_choice("pool_padding", pool_padding, ("same", "valid", None))
    check_choice("block", block, ("plain", "residual"))
    check_choice("head", head, ("dense", "global_average"))
    if block == "residual" and padding == "valid":
        raise ValueError("block='residual' needs padding='same', got 'valid'.")
    volume = Volume.of_sample(image_shape)
    stages = read_stages(
        volume.n_dims,
        conv_channels,
        kernel_size,
        conv_strides,
        pool,
        pool_size,
        conv_dropout,
    )
    hidden = as_tuple(hidden_layer_sizes)
    check_positive("hidden_layer_sizes", hidden)

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
        # Pooling before the activation gives the same result with fewer activations.
        pool_before_activation = stage.pool == "max" and is_non_decreasing(activation)
        if not pool_before_activation:
            layers[f"{name}_activation"] = make_activation(activation)
        if stage.pool is not None:
            volume = _add_pool(
                layers, f"{name}_pool", volume, stage, pool_padding or padding
            )
        if pool_before_activation:
            layers[f"{name}_activation"] = make_activation(activation)
        if stage.dropout:
            layers[f"{name}_dropout"] = Dropout(stage.dropout, channel_dropout)

    if head == "dense":
        layers["flatten"] = FlattenImage()
        n_inputs = volume.n_values
    else:
        layers["global_average"] = GlobalAverage(volume.n_dims)
        n_inputs = volume.channels
    n_inputs = add_hidden_layers(
        layers, n_inputs, hidden, activation, dropout, batch_norm
    )
    layers["output"] = Linear(n_inputs, n_outputs)
    network = nn.Sequential(layers)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """Return the pixels to add before and after for ``ceil(size / stride)`` windows."""
    total = max((math.ceil(size / stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _padding_sizes(
    volume: Volume, window: Window, stride: Window, padding: str
) -> list[tuple[int, int]]:
    """Return the pixels to add as ``[(top, bottom), (left, right)]``."""
    if padding == "valid":
        return [(0, 0), (0, 0)]
    sides = (volume.height, volume.width)
    return [_same_padding(*sizes) for sizes in zip(sides, window, stride, strict=True)]


def _check_fits(
    name: str, volume: Volume, parameter: str, window: Window, padding_name: str
) -> None:
    """Raise ValueError if a window is larger than the image."""
    if volume.height < window.height or volume.width < window.width:
        size = window.width if volume.n_dims == 1 else window
        raise ValueError(
            f"{name} has {parameter}={size}, but its {volume}; use "
            f"{padding_name}='same'."
        )


def _add_convolution(
    layers: OrderedDict[str, nn.Module],
    name: str,
    volume: Volume,
    stage: Stage,
    padding: str,
    batch_norm: bool,
) -> Volume:
    """Append a convolution with its padding and normalization."""
    kernel, stride = stage.kernel_size, stage.stride
    if padding == "valid":
        _check_fits(name, volume, "kernel_size", kernel, "padding")
    (top, bottom), (left, right) = _padding_sizes(volume, kernel, stride, padding)
    symmetric = top == bottom and left == right
    channels = volume.channels, stage.channels
    if volume.n_dims == 1:
        if not symmetric:
            layers[f"{name}_pad"] = ZeroPad1d((left, right))
        side = left if symmetric else 0
        layers[name] = Conv1d(*channels, kernel.width, stride.width, padding=side)
    else:
        if not symmetric:
            layers[f"{name}_pad"] = nn.ZeroPad2d((left, right, top, bottom))
        sides = (top, left) if symmetric else 0
        layers[name] = Conv2d(*channels, kernel, stride, padding=sides)
    if batch_norm:
        norm = BatchNorm1d if volume.n_dims == 1 else BatchNorm2d
        layers[f"{name}_norm"] = norm(stage.channels)
    return volume._replace(
        channels=stage.channels,
        height=(volume.height + top + bottom - kernel.height) // stride.height + 1,
        width=(volume.width + left + right - kernel.width) // stride.width + 1,
    )


def _make_residual_block(
    name: str, volume: Volume, stage: Stage, activation: Activation, batch_norm: bool
) -> tuple[ResidualBlock, Volume]:
    """Return two convolutions with a shortcut, and the size of their output."""
    body: OrderedDict[str, nn.Module] = OrderedDict()
    inner = _add_convolution(body, "conv1", volume, stage, "same", batch_norm)
    body["conv1_activation"] = make_activation(activation)
    unstrided = stage._replace(stride=Window(1, 1))
    after = _add_convolution(body, "conv2", inner, unstrided, "same", batch_norm)
    shortcut: OrderedDict[str, nn.Module] = OrderedDict()
    if after != volume:
        projection = stage._replace(kernel_size=Window(1, 1))
        _add_convolution(shortcut, "conv", volume, projection, "same", batch_norm)
    return ResidualBlock(nn.Sequential(body), nn.Sequential(shortcut)), after


def _add_pool(
    layers: OrderedDict[str, nn.Module],
    name: str,
    volume: Volume,
    stage: Stage,
    padding: str,
) -> Volume:
    """Append max or average pooling over windows that do not overlap."""
    size = stage.pool_size
    if padding == "valid":
        _check_fits(name, volume, "pool_size", size, "pool_padding")
    (top, bottom), (left, right) = _padding_sizes(volume, size, size, padding)
    # torch pads both sides equally. ceil_mode adds a missing pixel at the bottom and
    # right. Padding changes neither a maximum nor, with count_include_pad=False, an
    # average.
    same = padding == "same"
    # A square window is one number, so that the repr is that of earlier versions.
    # Pickles compare it.
    sides = size.height if size.height == size.width else (size.height, size.width)
    if volume.n_dims == 1 and stage.pool == "max":
        layers[name] = MaxPool1d((size.width,), padding=(left,), ceil_mode=same)
    elif volume.n_dims == 1:
        layers[name] = AvgPool1d(
            (size.width,), padding=(left,), ceil_mode=same, count_include_pad=False
        )
    elif stage.pool == "max":
        layers[name] = nn.MaxPool2d(sides, padding=(top, left), ceil_mode=same)
    else:
        layers[name] = nn.AvgPool2d(
            sides, padding=(top, left), ceil_mode=same, count_include_pad=False
        )
    return volume._replace(
        height=(volume.height + top + bottom) // size.height,
        width=(volume.width + left + right) // size.width,
    )
