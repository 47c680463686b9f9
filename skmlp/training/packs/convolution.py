"""Convolutions of many networks of one shape, differentiated by hand.

Feature maps have shape ``(models, channels, height, width, batch)``. With the batch
innermost, the patches that a kernel sees are copied in long runs, and the convolutions
of all models are one product of stacked matrices. For small networks that is several
times faster than torch's convolution in groups, which oneDNN has no fast path for.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmlp.training.modules.activations import HANDWRITTEN_GRADIENTS, ZERO_AT_ZERO
from skmlp.training.modules.convolution import FlattenImage, GlobalAverage, ImageView
from skmlp.training.modules.introspection import output_shapes
from skmlp.training.modules.layers import Conv2d, Dropout
from skmlp.training.steps import DenseStructure, dense_structure

_aten = torch.ops.aten

# What is written out, and what two layers must have in common to be stacked.
_IN_COMMON: dict[type[nn.Module], tuple[str, ...]] = {
    ImageView: ("image_shape",),
    nn.ZeroPad2d: ("padding",),
    Conv2d: ("in_channels", "out_channels", "kernel_size", "stride", "padding"),
    nn.MaxPool2d: ("kernel_size", "padding", "ceil_mode"),
    nn.AvgPool2d: ("kernel_size", "padding", "ceil_mode"),
    Dropout: ("channels",),
    FlattenImage: (),
    GlobalAverage: (),
    **dict.fromkeys(HANDWRITTEN_GRADIENTS, ()),
}


class Structure(NamedTuple):
    """The layers that see images, if there are any, and the dense ones behind them."""

    images: list[nn.Module]
    dense: list[DenseStructure]

    @property
    def shape(self) -> Hashable:
        """What networks that can be stacked have in common.

        Hidden layers may differ in width where a unit without weights stays without.
        """
        images = tuple(
            (type(layer), *(getattr(layer, name) for name in _IN_COMMON[type(layer)]))
            for layer in self.images
        )
        fixed = any(
            layer.dropout or layer.activation not in ZERO_AT_ZERO
            for layer in self.dense
        )
        dense = tuple(
            (
                layer.linear.out_features if fixed or layer is self.dense[-1] else None,
                layer.norm is None,
                layer.activation,
                layer.dropout is None,
            )
            for layer in self.dense
        )
        return images, self.dense[0].linear.in_features, dense


def pack_structure(network: nn.Sequential) -> Structure | None:
    """Return the layers of a network that can be stacked, or None."""
    layers = list(network)
    ends = [isinstance(layer, (FlattenImage, GlobalAverage)) for layer in layers]
    n_images = ends.index(True) + 1 if any(ends) else 0
    images = layers[:n_images]
    dense = dense_structure(layers[n_images:])
    if dense is None or any(type(layer) not in _IN_COMMON for layer in images):
        return None
    return Structure(images, dense)


def widest_patches(network: nn.Sequential, n_features: int) -> int:
    """Return the most numbers that one row's patches take in any convolution."""
    convolutions = [layer for layer in network.modules() if isinstance(layer, Conv2d)]
    if not convolutions:
        return 0
    shapes = output_shapes(network, n_features)
    return max(
        layer.weight[0].numel() * math.prod(shapes[layer][2:]) for layer in convolutions
    )


class _Layer(Protocol):
    """A layer of all models."""

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        """Return the output, and what `backward` needs of it."""

    def backward(self, delta: Tensor, saved: Any) -> Tensor | None:
        """From the output's gradient leave the parameters', and return the input's."""


class PackConvolutions:
    """What networks of one shape do to images, up to the first dense layer.

    Parameters
    ----------
    structures : sequence of list of nn.Module
        The layers of each network, of which the first one's tell the shapes.
    value_of, gradient_of : callable
        From a parameter of the first network to that of all.
    masks : callable
        From the dropout layers of all networks to what draws their masks, for rows that
        are the last dimension.
    """

    def __init__(
        self,
        structures: Sequence[Sequence[nn.Module]],
        value_of: Callable[[Tensor], Tensor],
        gradient_of: Callable[[Tensor], Tensor],
        masks: Callable[[list[Dropout]], Callable[[Tensor], Tensor]],
    ) -> None:
        self.layers: list[_Layer] = []
        border = None
        for layers in zip(*structures, strict=True):
            layer = layers[0]
            if isinstance(layer, ImageView):
                self.image_shape = layer.image_shape
            elif isinstance(layer, nn.ZeroPad2d):
                border = layer.padding
            elif isinstance(layer, Conv2d):
                weight, bias = layer.weight, cast(Tensor, layer.bias)
                top, left = cast(tuple[int, int], layer.padding)
                self.layers.append(
                    _Convolution(
                        value_of(weight),
                        value_of(bias),
                        gradient_of(weight),
                        gradient_of(bias),
                        layer.stride[0],
                        border or (left, left, top, top),
                        is_first=not self.layers,
                    )
                )
                border = None
            elif isinstance(layer, nn.MaxPool2d):
                self.layers.append(_MaxPool(layer))
            elif isinstance(layer, nn.AvgPool2d):
                self.layers.append(_AvgPool(layer))
            elif isinstance(layer, Dropout):
                self.layers.append(_Dropped(masks(list(layers))))
            elif isinstance(layer, FlattenImage):
                self.layers.append(_Flatten())
            elif isinstance(layer, GlobalAverage):
                self.layers.append(_GlobalAverage())
            else:
                self.layers.append(_Activation(*HANDWRITTEN_GRADIENTS[type(layer)]))

    def forward(self, x: Tensor, training: bool = False) -> tuple[Tensor, list[Any]]:
        """Return features ``(models, batch, features)``, and what `backward` needs.

        Rows `x` of shape ``(sets, batch, features)`` may be of fewer sets than models,
        each of which then serves as many models next to each other.
        """
        # (sets, channels, height, width, batch)
        x = x.unflatten(2, self.image_shape).permute(0, 4, 2, 3, 1).contiguous()
        tape = []
        for layer in self.layers:
            x, saved = layer.forward(x, training)
            tape.append(saved if training else None)
        return x.mT, tape

    def backward(self, delta: Tensor, tape: list[Any]) -> None:
        """Leave the parameters' gradients; `delta` is that of the features."""
        passed: Tensor | None = delta.mT
        for layer, saved in zip(reversed(self.layers), reversed(tape), strict=True):
            assert passed is not None  # only the first layer returns none
            passed = layer.backward(passed, saved)


@dataclass
class _Convolution:
    """Kernels ``(models, out, height, width, in)`` as matrices on patches."""

    weight: Tensor
    bias: Tensor
    weight_gradient: Tensor
    bias_gradient: Tensor
    stride: int
    border: tuple[int, int, int, int]  # left, right, top, bottom
    is_first: bool

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        models, out, *size, _ = tuple(self.weight.shape)
        x = F.pad(x, (0, 0, *self.border)) if any(self.border) else x.contiguous()
        patches = _patches(x, size, self.stride)
        sets, (height, width, batch) = len(patches), patches.shape[-3:]
        patches = patches.reshape(sets, -1, height * width * batch)
        z = torch.baddbmm(
            self.bias.reshape(sets, -1, 1),
            self.weight.reshape(sets, -1, patches.shape[1]),
            patches,
        )
        return z.view(models, out, height, width, batch), (patches, x.shape)

    def backward(self, delta: Tensor, saved: Any) -> Tensor | None:
        patches, shape = saved
        models, out, *size, _ = tuple(self.weight.shape)
        height, width, batch = delta.shape[2:]
        delta = delta.reshape(models, out, -1)
        torch.sum(delta, -1, out=self.bias_gradient)
        sets, n_inputs, _ = patches.shape
        torch.bmm(
            delta.view(sets, -1, delta.shape[-1]),
            patches.mT,
            out=self.weight_gradient.view(sets, -1, n_inputs),
        )
        if self.is_first:
            return None
        by_patch = torch.bmm(self.weight.view(models, out, -1).mT, delta)
        by_patch = by_patch.view(models, *size, -1, height, width, batch)
        by_x = delta.new_zeros(shape)
        windows = _patches(by_x, size, self.stride)
        for i in range(size[0]):
            for j in range(size[1]):
                windows[:, i, j].add_(by_patch[:, i, j])
        left, right, top, bottom = self.border
        return by_x[:, :, top : shape[2] - bottom, left : shape[3] - right]


def _patches(x: Tensor, size: Iterable[int], stride: int) -> Tensor:
    """View maps as ``(models, *size, channels, height, width, batch)`` of windows."""
    for dim, side in zip((2, 3), size, strict=True):
        x = x.unfold(dim, side, stride)
    return x.permute(0, 5, 6, 1, 2, 3, 4)


class _Activation(NamedTuple):
    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor, Tensor], Tensor]

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        x = self.function(x)
        return x, x

    def backward(self, delta: Tensor, saved: Any) -> Tensor:
        return self.derivative(delta, saved)


@dataclass
class _MaxPool:
    layer: nn.MaxPool2d

    def _windows(self) -> tuple[Any, ...]:
        size, padding = self.layer.kernel_size, self.layer.padding
        return [size] * 2, [size] * 2, padding, [1, 1], self.layer.ceil_mode

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        images = _as_images(x)
        pooled, places = _aten.max_pool2d_with_indices(images, *self._windows())
        return _as_maps(pooled, len(x)), (images, places)

    def backward(self, delta: Tensor, saved: Any) -> Tensor:
        images, places = saved
        by_images = _aten.max_pool2d_with_indices_backward(
            _as_images(delta), images, *self._windows(), places
        )
        return _as_maps(by_images, len(delta))


@dataclass
class _AvgPool:
    layer: nn.AvgPool2d

    def _windows(self) -> tuple[Any, ...]:
        size, padding = self.layer.kernel_size, self.layer.padding
        return [size] * 2, [size] * 2, padding, self.layer.ceil_mode, False, None

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        images = _as_images(x)
        return _as_maps(_aten.avg_pool2d(images, *self._windows()), len(x)), images

    def backward(self, delta: Tensor, saved: Any) -> Tensor:
        by_images = _aten.avg_pool2d_backward(
            _as_images(delta), saved, *self._windows()
        )
        return _as_maps(by_images, len(delta))


def _as_images(x: Tensor) -> Tensor:
    """View maps as torch's images, where maps are the batch and rows the channels."""
    return x.flatten(0, 1).permute(0, 3, 1, 2)


def _as_maps(images: Tensor, models: int) -> Tensor:
    """Undo `_as_images`."""
    return images.permute(0, 2, 3, 1).unflatten(0, (models, -1))


@dataclass
class _Dropped:
    mask: Callable[[Tensor], Tensor]

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        if not training:
            return x, None
        mask = self.mask(x)
        return x * mask, mask

    def backward(self, delta: Tensor, saved: Any) -> Tensor:
        return delta * saved


class _Flatten:
    """Channels last, as `FlattenImage`."""

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        return x.permute(0, 2, 3, 1, 4).flatten(1, 3), x.shape

    def backward(self, delta: Tensor, saved: Any) -> Tensor:
        channels, height, width = saved[1:4]
        maps = delta.unflatten(1, (height, width, channels))
        return maps.permute(0, 3, 1, 2, 4).contiguous()


class _GlobalAverage:
    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        return x.mean((2, 3)), x.shape

    def backward(self, delta: Tensor, saved: Any) -> Tensor:
        height, width = saved[2:4]
        return delta.div(height * width)[:, :, None, None].expand(saved).contiguous()
