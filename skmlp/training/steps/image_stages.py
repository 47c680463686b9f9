"""The stages of a convolutional network that handwritten formulas compute.

A stage is a convolution with its padding, max pooling and activation.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from skmlp.training.modules.image_layers import FlattenImage, ImageView
from skmlp.training.modules.layers import Conv2d

# Maximum number of values of a chunk in its widest stage. The maps of a stage and their
# gradients then fit into the second-level cache of a core.
VALUES_PER_CHUNK = 2**19
# Maximum number of chunks. The feature maps of all chunks are stored.
_MAX_CHUNKS = 128

_aten = torch.ops.aten

# Activations whose gradient needs their output only. The pairs of functions write an
# activation and its gradient to a given tensor. The second function takes the gradient
# of the output, the output, and the tensor.
STAGE_ACTIVATIONS: dict[
    type[nn.Module],
    tuple[Callable[..., Tensor], Callable[[Tensor, Tensor, Tensor], Tensor]],
] = {
    nn.Identity: (
        lambda z, out: out.copy_(z),
        lambda grad, _, grad_z: grad_z.copy_(grad),
    ),
    nn.ReLU: (
        lambda z, out: torch.clamp_min(z, 0.0, out=out),
        lambda grad, output, grad_z: _aten.threshold_backward.grad_input(
            grad, output, 0, grad_input=grad_z
        ),
    ),
    nn.Sigmoid: (
        torch.sigmoid,
        lambda grad, output, grad_z: _aten.sigmoid_backward.grad_input(
            grad, output, grad_input=grad_z
        ),
    ),
    nn.Tanh: (
        torch.tanh,
        lambda grad, output, grad_z: _aten.tanh_backward.grad_input(
            grad, output, grad_input=grad_z
        ),
    ),
}

# Maximum number of inputs of an output for which patches are faster than oneDNN. A
# network with a larger first kernel is faster by autograd.
_MAX_PATCH_SIZE = 16
# Maximum number of values in a pooling window. torch's kernel is faster for more.
_MAX_PLANES = 4


class Size(NamedTuple):
    """Size of an image or of its feature maps."""

    height: int
    width: int
    channels: int


class Stage(NamedTuple):
    """A convolution with its padding, max pooling and activation.

    `input_size` is the size of the feature maps without zeros. `padding` are the zeros
    that are stored around them. torch's convolution adds `inner_padding` itself. `pool`
    is (1, 1) without pooling. `output_size` is the size after pooling.
    """

    convolution: Conv2d
    input_size: Size
    padding: tuple[int, int, int, int]  # left, right, top, bottom
    inner_padding: tuple[int, int]  # (top and bottom, left and right)
    pool: tuple[int, int]
    activation: type[nn.Module]
    output_size: Size

    @property
    def n_planes(self) -> int:
        """Number of values in a pooling window."""
        return math.prod(self.pool)

    @property
    def n_values(self) -> int:
        """Number of values of a sample before pooling."""
        return math.prod(self.output_size) * self.n_planes


def group_stages(network: Iterable[nn.Module]) -> list[Stage] | None:
    """Group the layers before the dense ones into stages.

    The result is None if there are other layers, frozen ones, windows that cross the
    border, or shapes for which torch's kernels are faster.
    """
    layers = list(network)
    if not layers or not isinstance(layers[0], ImageView):
        return None
    if len(layers[0].image_shape) != 3 or not isinstance(layers[-1], FlattenImage):
        return None
    height, width, channels = layers[0].image_shape
    size = Size(height, width, channels)
    stages: list[Stage] = []
    waiting = list(layers[-2:0:-1])
    while waiting:
        padding = (0, 0, 0, 0)
        if isinstance(waiting[-1], nn.ZeroPad2d):
            padding = cast(tuple[int, int, int, int], waiting.pop().padding)
        stage = _read_stage(waiting, size, padding, is_first=not stages)
        if stage is None:
            return None
        stages.append(stage)
        size = stage.output_size
    return stages or None


def _read_stage(
    waiting: list[nn.Module],
    size: Size,
    padding: tuple[int, int, int, int],
    is_first: bool,
) -> Stage | None:
    """Take the modules of a stage from the end of a list; None for other modules."""
    convolution = waiting.pop() if waiting else None
    if not isinstance(convolution, Conv2d) or convolution.bias is None:
        return None
    if not (convolution.weight.requires_grad and convolution.bias.requires_grad):
        return None
    inner = cast(tuple[int, int], convolution.padding)
    if is_first:
        if convolution.weight[0].numel() > _MAX_PATCH_SIZE:
            return None
        if inner != (0, 0):
            padding, inner = (inner[1], inner[1], inner[0], inner[0]), (0, 0)
    pool = (1, 1)
    if waiting and isinstance(waiting[-1], nn.MaxPool2d):
        module: Any = waiting.pop()
        pool = _pair(module.kernel_size)
        if _pair(module.padding) != (0, 0):
            return None
    activation = type(waiting.pop()) if waiting else None
    if activation not in STAGE_ACTIVATIONS or math.prod(pool) > _MAX_PLANES:
        return None
    left, right, top, bottom = padding
    zeros = top + bottom + 2 * inner[0], left + right + 2 * inner[1]
    sides = []
    for i in range(2):
        rest = size[i] + zeros[i] - convolution.kernel_size[i]
        n_positions = rest // convolution.stride[i] + 1
        if n_positions % pool[i]:
            return None
        sides.append(n_positions // pool[i])
    height, width = sides
    output_size = Size(height, width, convolution.out_channels)
    return Stage(convolution, size, padding, inner, pool, activation, output_size)


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return height and width of a window."""
    return (size, size) if isinstance(size, int) else size


def is_faster_by_stages(stages: Sequence[Stage], batch_size: int) -> bool:
    """Return whether `HandwrittenConvolutions` is faster than autograd.

    It is not for a single chunk. Very many chunks would take too much memory.
    """
    n_chunks = count_chunks(stages, batch_size, VALUES_PER_CHUNK)
    return 1 < n_chunks <= _MAX_CHUNKS


def count_chunks(stages: Sequence[Stage], batch_size: int, max_values: int) -> int:
    """Return the number of chunks of at most so many values in the widest stage."""
    chunk_size = max(1, max_values // max(stage.n_values for stage in stages))
    return -(-batch_size // chunk_size)  # rounded up
