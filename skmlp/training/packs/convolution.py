"""Image layers of a pack, with handwritten gradients.

Feature maps have shape ``(members, channels, height, width, batch)``. The batch is the
last dimension, so that the patches under a kernel are copied in long runs. The
convolutions of all members are then one batched matrix product. For small networks that
is several times faster than torch's grouped convolution, for which oneDNN has no fast
path.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmlp.training.handwritten_step import DenseModules, group_dense_modules
from skmlp.training.modules.activations import IN_PLACE_ACTIVATIONS, ZERO_AT_ZERO
from skmlp.training.modules.image_layers import FlattenImage, GlobalAverage, ImageView
from skmlp.training.modules.introspection import output_shapes
from skmlp.training.modules.layers import Conv2d, Dropout

_aten = torch.ops.aten

# The layers that a pack computes, with the attributes that have to be equal for all
# members.
_EQUAL_ATTRIBUTES: dict[type[nn.Module], tuple[str, ...]] = {
    ImageView: ("image_shape",),
    nn.ZeroPad2d: ("padding",),
    Conv2d: ("in_channels", "out_channels", "kernel_size", "stride", "padding"),
    nn.MaxPool2d: ("kernel_size", "padding", "ceil_mode"),
    nn.AvgPool2d: ("kernel_size", "padding", "ceil_mode"),
    Dropout: ("channels",),
    FlattenImage: (),
    GlobalAverage: (),
    **dict.fromkeys(IN_PLACE_ACTIVATIONS, ()),
}


class NetworkStructure(NamedTuple):
    """The image layers of a network, if there are any, and its dense layers."""

    images: list[nn.Module]
    dense: list[DenseModules]

    @property
    def shape(self) -> Hashable:
        """A key that is equal for networks that fit into one pack.

        Hidden layers may differ in width if units with zero weights keep them.
        """
        images = tuple(
            (
                type(layer),
                *(getattr(layer, name) for name in _EQUAL_ATTRIBUTES[type(layer)]),
            )
            for layer in self.images
        )
        has_fixed_widths = any(
            layer.dropout or layer.activation not in ZERO_AT_ZERO
            for layer in self.dense
        )
        dense = tuple(
            (
                layer.linear.out_features
                if has_fixed_widths or layer is self.dense[-1]
                else None,
                layer.norm is None,
                layer.activation,
                layer.dropout is None,
            )
            for layer in self.dense
        )
        return images, self.dense[0].linear.in_features, dense


def pack_structure(network: nn.Sequential) -> NetworkStructure | None:
    """Return the layers of a network, or None if a pack cannot compute them."""
    layers = list(network)
    ends = [isinstance(layer, (FlattenImage, GlobalAverage)) for layer in layers]
    n_images = ends.index(True) + 1 if any(ends) else 0
    images = layers[:n_images]
    dense = group_dense_modules(layers[n_images:])
    if dense is None or any(type(layer) not in _EQUAL_ATTRIBUTES for layer in images):
        return None
    return NetworkStructure(images, dense)


def widest_patches(network: nn.Sequential, n_features: int) -> int:
    """Return the most values that the patches of one sample have in a convolution."""
    convolutions = [layer for layer in network.modules() if isinstance(layer, Conv2d)]
    if not convolutions:
        return 0
    shapes = output_shapes(network, n_features)
    return max(
        layer.weight[0].numel() * math.prod(shapes[layer][2:]) for layer in convolutions
    )


class _PackLayer(Protocol):
    """A layer of all members."""

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        """Return the output, and what `backward` needs."""

    def backward(self, grad: Tensor, saved: Any) -> Tensor | None:
        """Write the gradients of the parameters, and return that of the input.

        `grad` is the gradient of the output.
        """


class PackConvolutions:
    """The layers of all members before the first dense one.

    Parameters
    ----------
    structures : sequence of list of nn.Module
        The image layers of each member.
    value_of, gradient_of : callable
        Map a parameter of the first member to the tensor of all members, and to its
        gradient.
    make_mask : callable
        Maps the dropout layers of all members to a function that draws their masks.
    """

    def __init__(
        self,
        structures: Sequence[Sequence[nn.Module]],
        value_of: Callable[[Tensor], Tensor],
        gradient_of: Callable[[Tensor], Tensor],
        make_mask: Callable[[list[Dropout]], Callable[[Tensor], Tensor]],
    ) -> None:
        self.layers: list[_PackLayer] = []
        padding = None  # of a ZeroPad2d, which the next convolution takes over
        for layers in zip(*structures, strict=True):
            layer = layers[0]
            if isinstance(layer, ImageView):
                self.image_shape = layer.image_shape
            elif isinstance(layer, nn.ZeroPad2d):
                padding = layer.padding
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
                        padding or (left, left, top, top),
                        is_first=not self.layers,
                    )
                )
                padding = None
            elif isinstance(layer, nn.MaxPool2d):
                self.layers.append(_MaxPool(layer))
            elif isinstance(layer, nn.AvgPool2d):
                self.layers.append(_AvgPool(layer))
            elif isinstance(layer, Dropout):
                self.layers.append(_Dropout(make_mask(list(layers))))
            elif isinstance(layer, FlattenImage):
                self.layers.append(_Flatten())
            elif isinstance(layer, GlobalAverage):
                self.layers.append(_GlobalAverage())
            else:
                self.layers.append(_Activation(*IN_PLACE_ACTIVATIONS[type(layer)]))

    def forward(self, x: Tensor, training: bool = False) -> tuple[Tensor, list[Any]]:
        """Return features ``(members, batch, features)``, and what `backward` needs.

        The images `x` have shape ``(sets, batch, height * width * channels)``. If there
        are fewer sets than members, each set is the input of as many neighbors.
        """
        x = x.unflatten(2, self.image_shape)  # (sets, batch, height, width, channels)
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
            assert layer_grad is not None  # only the first layer returns None
            layer_grad = layer.backward(layer_grad, saved)


@dataclass
class _Convolution:
    """A convolution as a product of the kernels and the patches under them."""

    weight: Tensor  # (members, out, height, width, in)
    bias: Tensor  # (members, out)
    weight_gradient: Tensor
    bias_gradient: Tensor
    stride: int
    padding: tuple[int, int, int, int]  # left, right, top, bottom
    is_first: bool  # the gradient of its input is not needed

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        members, out, *size, _ = tuple(self.weight.shape)
        x = F.pad(x, (0, 0, *self.padding)) if any(self.padding) else x.contiguous()
        patches = _patches(x, size, self.stride)
        sets, (height, width, batch) = len(patches), patches.shape[-3:]
        patches = patches.reshape(sets, -1, height * width * batch)
        z = torch.baddbmm(
            self.bias.reshape(sets, -1, 1),
            self.weight.reshape(sets, -1, patches.shape[1]),
            patches,
        )
        return z.view(members, out, height, width, batch), (patches, x.shape)

    def backward(self, grad: Tensor, saved: Any) -> Tensor | None:
        patches, shape = saved
        members, out, *size, _ = tuple(self.weight.shape)
        height, width, batch = grad.shape[2:]
        grad = grad.reshape(members, out, -1)
        torch.sum(grad, -1, out=self.bias_gradient)
        sets, n_inputs, _ = patches.shape
        torch.bmm(
            grad.view(sets, -1, grad.shape[-1]),
            patches.mT,
            out=self.weight_gradient.view(sets, -1, n_inputs),
        )
        if self.is_first:
            return None
        grad_patches = torch.bmm(self.weight.view(members, out, -1).mT, grad)
        grad_patches = grad_patches.view(members, *size, -1, height, width, batch)
        # Patches overlap, so their gradients are added for one kernel pixel at a time.
        grad_x = grad.new_zeros(shape)
        windows = _patches(grad_x, size, self.stride)
        for i in range(size[0]):
            for j in range(size[1]):
                windows[:, i, j].add_(grad_patches[:, i, j])
        left, right, top, bottom = self.padding
        return grad_x[:, :, top : shape[2] - bottom, left : shape[3] - right]


def _patches(x: Tensor, size: Iterable[int], stride: int) -> Tensor:
    """View maps as patches ``(members, *size, channels, height, width, batch)``."""
    for dim, side in zip((2, 3), size, strict=True):
        x = x.unfold(dim, side, stride)
    return x.permute(0, 5, 6, 1, 2, 3, 4)


class _Activation(NamedTuple):
    """A pair of `IN_PLACE_ACTIVATIONS`."""

    function: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor], Tensor]

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        x = self.function(x)
        return x, x

    def backward(self, grad: Tensor, saved: Any) -> Tensor:
        return self.gradient(grad, saved)


@dataclass
class _MaxPool:
    """Max pooling by torch's kernel."""

    layer: nn.MaxPool2d

    def _arguments(self) -> tuple[Any, ...]:
        """Return the arguments of torch's kernels."""
        size, padding = self.layer.kernel_size, self.layer.padding
        return [size] * 2, [size] * 2, padding, [1, 1], self.layer.ceil_mode

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


@dataclass
class _AvgPool:
    """Average pooling by torch's kernel."""

    layer: nn.AvgPool2d

    def _arguments(self) -> tuple[Any, ...]:
        """Return the arguments of torch's kernels."""
        size, padding = self.layer.kernel_size, self.layer.padding
        return [size] * 2, [size] * 2, padding, self.layer.ceil_mode, False, None

    def forward(self, x: Tensor, training: bool) -> tuple[Tensor, Any]:
        images = _as_images(x)
        return _as_maps(_aten.avg_pool2d(images, *self._arguments()), len(x)), images

    def backward(self, grad: Tensor, saved: Any) -> Tensor:
        grad_images = _aten.avg_pool2d_backward(
            _as_images(grad), saved, *self._arguments()
        )
        return _as_maps(grad_images, len(grad))


def _as_images(x: Tensor) -> Tensor:
    """View maps as ``(members * channels, batch, height, width)`` for torch's kernels.

    Pooling treats every image alone, so the batch can stand for the channels. The
    memory layout is torch's channels_last.
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
