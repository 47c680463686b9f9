"""Image layers of a pack, with handwritten gradients.

Feature maps have the shape ``(members, channels, height, width, batch)``. The batch is
the last dimension, so that a pixel of all samples is contiguous and patches are copied
in long blocks. The convolutions of all members are then one batched matrix product. For
small networks this is several times faster than torch's grouped convolution, for which
oneDNN has no fast path. Signals are images of height 1.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmlp.training.modules.activations import HANDWRITTEN_ACTIVATIONS
from skmlp.training.modules.image_layers import FlattenImage, GlobalAverage, ImageView
from skmlp.training.modules.layers import Conv2d, Dropout
from skmlp.training.modules.signal_layers import (
    AvgPool1d,
    Conv1d,
    MaxPool1d,
    ZeroPad1d,
)

_aten = torch.ops.aten


class _PackLayer(Protocol):
    """Interface of an image layer of all members."""

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        """Return the output, and the values that `backward` needs."""

    def backward(self, grad: Tensor, saved: Any) -> Tensor | None:
        """Write the gradients of the parameters, and return the input's gradient.

        `grad` is the gradient of the output.
        """


class PackImageLayers:
    """The layers of all members before the first dense layer.

    Parameters
    ----------
    member_layers : sequence of list of nn.Module
        The image layers of each member.
    value_of, gradient_of : callable
        `value_of` maps a parameter of the first member to the tensor of the pack.
        `gradient_of` maps it to the gradient of that tensor.
    make_mask : callable
        Maps the dropout layers of all members to a function that draws their masks.
    """

    has_backward = True

    def __init__(
        self,
        member_layers: Sequence[Sequence[nn.Module]],
        value_of: Callable[[Tensor], Tensor],
        gradient_of: Callable[[Tensor], Tensor],
        make_mask: Callable[[list[Dropout]], Callable[[Tensor], Tensor]],
    ) -> None:
        self.layers: list[_PackLayer] = []
        padding = None  # of a layer of zeros; the next convolution applies it
        for layers in zip(*member_layers, strict=True):
            layer = layers[0]
            if isinstance(layer, ImageView):
                *sides, channels = layer.image_shape
                self.image_shape = (*_pair(sides), channels)
            elif isinstance(layer, nn.ZeroPad2d | ZeroPad1d):
                padding = (*layer.padding, 0, 0)[:4]
            elif isinstance(layer, Conv2d | Conv1d):
                weight, bias = layer.weight, cast(Tensor, layer.bias)
                top, left = _pair(cast(tuple[int, ...], layer.padding), 0)
                self.layers.append(
                    _Convolution(
                        _with_height(value_of(weight)),
                        value_of(bias),
                        _with_height(gradient_of(weight)),
                        gradient_of(bias),
                        _pair(layer.stride),
                        padding or (left, left, top, top),
                        needs_input_gradient=bool(self.layers),
                    )
                )
                padding = None
            elif isinstance(layer, nn.MaxPool2d | MaxPool1d):
                self.layers.append(_MaxPool(*_read_pool(layer)))
            elif isinstance(layer, nn.AvgPool2d | AvgPool1d):
                self.layers.append(_AvgPool(*_read_pool(layer)))
            elif isinstance(layer, Dropout):
                self.layers.append(_Dropout(make_mask(list(layers))))
            elif isinstance(layer, FlattenImage):
                self.layers.append(_Flatten())
            elif isinstance(layer, GlobalAverage):
                self.layers.append(_GlobalAverage())
            else:
                self.layers.append(_Activation(*HANDWRITTEN_ACTIVATIONS[type(layer)]))

    def forward(self, x: Tensor, training: bool = False) -> tuple[Tensor, list[Any]]:
        """Return features and the values that `backward` needs.

        The features have the shape ``(members, batch, features)``. The images `x` have
        the shape ``(groups, batch, height * width * channels)``. The members of a group
        are neighbors and have the same input.
        """
        x = x.unflatten(2, self.image_shape)  # (groups, batch, height, width, channels)
        x = x.permute(0, 4, 2, 3, 1).contiguous()
        saved_by_layers = []
        for layer in self.layers:
            x, saved = layer.forward(x, training)
            saved_by_layers.append(saved if training else None)
        return x.mT, saved_by_layers

    def backward(self, grad: Tensor, saved_by_layers: list[Any]) -> None:
        """Write the parameters' gradients, from the gradient of the features."""
        layers = reversed(self.layers)
        layer_grad: Tensor | None = grad.mT
        for layer, saved in zip(layers, reversed(saved_by_layers), strict=True):
            # Only a convolution that is the first layer returns None. It is the last
            # layer of this loop.
            assert layer_grad is not None
            layer_grad = layer.backward(layer_grad, saved)


def _pair(sizes: int | Sequence[int], height: int = 1) -> tuple[int, int]:
    """Return a size in two dimensions.

    A number is the side of a square. A single entry is the length of signals, whose
    height is given.
    """
    if isinstance(sizes, int):
        return sizes, sizes
    *heights, width = sizes
    return (*heights, height)[0], width


def _with_height(kernels: Tensor) -> Tensor:
    """Return kernels ``(members, out, height, width, in)``; signals have height 1."""
    return kernels.unsqueeze(2) if kernels.dim() == 4 else kernels


def _read_pool(layer: Any) -> tuple[tuple[int, int], tuple[int, int], bool]:
    """Return window, padding and ``ceil_mode`` of a pooling layer."""
    return _pair(layer.kernel_size), _pair(layer.padding, 0), layer.ceil_mode


@dataclass
class _Convolution:
    """A convolution as a product of the kernels and the patches under them."""

    weight: Tensor  # (members, out, height, width, in)
    bias: Tensor  # (members, out)
    weight_gradient: Tensor
    bias_gradient: Tensor
    stride: tuple[int, int]
    padding: tuple[int, ...]  # left, right, top, bottom
    needs_input_gradient: bool

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        members, out, *size, _ = tuple(self.weight.shape)
        x = F.pad(x, (0, 0, *self.padding)) if any(self.padding) else x.contiguous()
        patches = _patches(x, size, self.stride)
        groups, (height, width, batch) = len(patches), patches.shape[-3:]
        patches = patches.reshape(groups, -1, height * width * batch)
        z = torch.baddbmm(
            self.bias.reshape(groups, -1, 1),
            self.weight.reshape(groups, -1, patches.shape[1]),
            patches,
        )
        return z.view(members, out, height, width, batch), (patches, x.shape)

    def backward(self, grad: Tensor, saved: Any) -> Tensor | None:
        patches, shape = saved
        members, out, *size, _ = tuple(self.weight.shape)
        height, width, batch = grad.shape[2:]
        grad = grad.reshape(members, out, -1)
        torch.sum(grad, -1, out=self.bias_gradient)
        groups, n_inputs, _ = patches.shape
        torch.bmm(
            grad.view(groups, -1, grad.shape[-1]),
            patches.mT,
            out=self.weight_gradient.view(groups, -1, n_inputs),
        )
        if not self.needs_input_gradient:
            return None
        grad_patches = torch.bmm(self.weight.view(members, out, -1).mT, grad)
        grad_patches = grad_patches.view(members, *size, -1, height, width, batch)
        # Patches overlap. Their gradients are added kernel pixel by kernel pixel.
        grad_x = grad.new_zeros(shape)
        windows = _patches(grad_x, size, self.stride)
        for i in range(size[0]):
            for j in range(size[1]):
                windows[:, i, j].add_(grad_patches[:, i, j])
        left, right, top, bottom = self.padding
        return grad_x[:, :, top : shape[2] - bottom, left : shape[3] - right]


def _patches(x: Tensor, size: Iterable[int], stride: tuple[int, int]) -> Tensor:
    """View maps as patches, one for each output pixel.

    The shape is ``(members or groups, kernel height, kernel width, channels, output
    height, output width, batch)``.
    """
    for dim, side, step in zip((2, 3), size, stride, strict=True):
        x = x.unfold(dim, side, step)
    return x.permute(0, 5, 6, 1, 2, 3, 4)


class _Activation(NamedTuple):
    """An activation and its gradient, a pair of `HANDWRITTEN_ACTIVATIONS`."""

    function: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor], Tensor]

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        return self.function(x), x  # x may have been overwritten

    def backward(self, grad: Tensor, saved: Any) -> Tensor:
        return self.gradient(grad, saved)


class _MaxPool(NamedTuple):
    """Max pooling by torch's kernel; the stride is the kernel size."""

    size: tuple[int, int]
    padding: tuple[int, int]
    ceil_mode: bool

    def _arguments(self) -> tuple[Any, ...]:
        """Return the arguments of torch's kernels."""
        return self.size, self.size, self.padding, (1, 1), self.ceil_mode

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        images = _as_images(x)
        pooled, indices = _aten.max_pool2d_with_indices(images, *self._arguments())
        return _as_maps(pooled, len(x)), (images, indices)

    def backward(self, grad: Tensor, saved: Any) -> Tensor:
        images, indices = saved
        grad_images = _aten.max_pool2d_with_indices_backward(
            _as_images(grad), images, *self._arguments(), indices
        )
        return _as_maps(grad_images, len(grad))


class _AvgPool(NamedTuple):
    """Average pooling by torch's kernel; the stride is the kernel size."""

    size: tuple[int, int]
    padding: tuple[int, int]
    ceil_mode: bool

    def _arguments(self) -> tuple[Any, ...]:
        """Return the arguments of torch's kernels; padding does not count."""
        return self.size, self.size, self.padding, self.ceil_mode, False, None

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        images = _as_images(x)
        return _as_maps(_aten.avg_pool2d(images, *self._arguments()), len(x)), images

    def backward(self, grad: Tensor, saved: Any) -> Tensor:
        grad_images = _aten.avg_pool2d_backward(
            _as_images(grad), saved, *self._arguments()
        )
        return _as_maps(grad_images, len(grad))


def _as_images(x: Tensor) -> Tensor:
    """View maps as images ``(members * channels, batch, height, width)`` for torch.

    Pooling computes every image and every channel independently. So the batch can take
    the dimension of the channels. The memory layout is torch's channels_last.
    """
    return x.flatten(0, 1).permute(0, 3, 1, 2)


def _as_maps(images: Tensor, members: int) -> Tensor:
    """Undo `_as_images`."""
    return images.permute(0, 2, 3, 1).unflatten(0, (members, -1))


@dataclass
class _Dropout:
    """Dropout with the members' masks."""

    draw_mask: Callable[[Tensor], Tensor]

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        if not training:
            return x, None
        mask = self.draw_mask(x)
        return x * mask, mask

    def backward(self, grad: Tensor, saved: Any) -> Tensor:
        return grad * saved


class _Flatten:
    """Flattens maps to ``(members, height * width * channels, batch)``."""

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        return x.permute(0, 2, 3, 1, 4).flatten(1, 3), x.shape

    def backward(self, grad: Tensor, saved: Any) -> Tensor:
        channels, height, width = saved[1:4]
        maps = grad.unflatten(1, (height, width, channels))
        return maps.permute(0, 3, 1, 2, 4).contiguous()


class _GlobalAverage:
    """Averages maps to ``(members, channels, batch)``."""

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        return x.mean((2, 3)), x.shape

    def backward(self, grad: Tensor, saved: Any) -> Tensor:
        height, width = saved[2:4]
        return grad.div(height * width)[:, :, None, None].expand(saved).contiguous()
