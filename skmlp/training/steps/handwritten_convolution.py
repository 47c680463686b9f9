"""Convolutions of one network on a CPU, with handwritten gradients.

The stages are those of `skmlp.training.steps.image_stages`. A batch is divided into
chunks whose feature maps fit into the cache of a core. Each chunk is computed by one
thread, so the result is exactly equal for any number of threads. The threads wait for
each other only at the end of a pass.

Feature maps have the shape ``(batch, height, width, channels)``. The input of a stage
is stored with the zeros around it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from sklearn.utils import gen_even_slices
from torch import Tensor

from skmlp.training.compute.ambient_modes import inference_mode
from skmlp.training.compute.thread_pool import for_each
from skmlp.training.compute.threads import available_threads
from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.steps.image_stages import (
    STAGE_ACTIVATIONS,
    VALUES_PER_CHUNK,
    Stage,
    count_chunks,
)
from skmlp.training.steps.max_pooling import pool_planes, unpool_planes

_aten = torch.ops.aten


class HandwrittenConvolutions:
    """Forward and backward pass of the stages of a network.

    It has the interface `skmlp.training.steps.handwritten_step.FeatureExtractor`.

    Parameters
    ----------
    stages : list of Stage
    flat : FlatParameters
        Receives the gradients.
    amp : bool
        Whether to compute in mixed precision: feature maps between the layers and the
        convolutions after the first one in bfloat16.
    values_per_chunk : int
        Maximum number of values of a chunk in its widest stage.
    """

    has_backward = True

    def __init__(
        self,
        stages: list[Stage],
        flat: FlatParameters,
        amp: bool = False,
        values_per_chunk: int = VALUES_PER_CHUNK,
    ) -> None:
        self._stages = stages
        dtype = torch.bfloat16 if amp else flat.values.dtype  # of feature maps
        self._layers: list[_Convolution] = []
        for stage in stages:
            make = _Convolution if self._layers else _PatchConvolution
            self._layers.append(make(stage, flat, dtype))
        self._values_per_chunk = values_per_chunk
        self._chunks: list[_Chunk] = []  # of the last batch
        self._features = flat.values.new_empty(0, dtype=dtype)

    def count_chunks(self, batch_size: int) -> int:
        """Return the number of chunks of a batch."""
        return count_chunks(self._stages, batch_size, self._values_per_chunk)

    def forward(self, x: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        """Return the features ``(batch, features)``, and `x` for `backward`."""
        if len(self._features) != x.shape[0]:
            self._allocate(x.shape[0])
        for layer in self._layers:
            layer.begin_step()
        images = x.unflatten(1, self._stages[0].input_size)

        def compute(chunk: _Chunk) -> None:
            inputs = self._pad(images[chunk.samples])
            for layer, maps in zip(self._layers, chunk.maps, strict=True):
                layer.forward(inputs, maps)
                inputs = maps.padded

        self._for_each_chunk(compute)
        return self._features, images

    def backward(self, grad: Tensor, saved: Tensor) -> None:
        """Write the gradients of the parameters; `grad` is that of the features."""
        images = saved
        maps_grad = grad.to(self._features.dtype)
        maps_grad = maps_grad.unflatten(1, self._stages[-1].output_size)

        def compute(chunk: _Chunk) -> None:
            grad_output = maps_grad[chunk.samples]
            padded = [self._pad(images[chunk.samples])]
            padded += [maps.padded for maps in chunk.maps]
            for i in range(len(self._layers) - 1, -1, -1):
                chunk.gradients[i], grad_inputs = self._layers[i].backward(
                    grad_output, padded[i], chunk.maps[i]
                )
                if grad_inputs is not None:
                    grad_output = _without_padding(grad_inputs, self._stages[i])

        self._for_each_chunk(compute)
        for i, layer in enumerate(self._layers):
            layer.write_gradients([chunk.gradients[i] for chunk in self._chunks])

    def _allocate(self, batch_size: int) -> None:
        """Allocate the feature maps of a batch."""
        paddings = [*(stage.padding for stage in self._stages[1:]), (0, 0, 0, 0)]
        of_stages = [
            layer.allocate_maps(batch_size, padding)
            for layer, padding in zip(self._layers, paddings, strict=True)
        ]
        self._features = of_stages[-1].output.flatten(1)
        self._chunks = [
            _Chunk(samples, [maps.of(samples) for maps in of_stages], {})
            for samples in gen_even_slices(batch_size, self.count_chunks(batch_size))
        ]

    def _for_each_chunk(self, compute: Callable[["_Chunk"], None]) -> None:
        """Call a function for all chunks of a batch, on all threads of this fit."""
        n_threads = max(torch.get_num_threads(), available_threads())
        is_inference = torch.is_inference_mode_enabled()

        def compute_in_mode(chunk: _Chunk) -> None:
            with inference_mode(is_inference):
                compute(chunk)

        for_each(compute_in_mode, self._chunks, n_threads)

    def _pad(self, images: Tensor) -> Tensor:
        """Return images with the zeros around them."""
        return F.pad(images, (0, 0, *self._stages[0].padding))


def _without_padding(maps: Tensor, stage: Stage) -> Tensor:
    """Return the view of padded feature maps without the padding of a stage."""
    left, _, top, _ = stage.padding
    height, width, _ = stage.input_size
    return maps[:, top : top + height, left : left + width]


class _Maps(NamedTuple):
    """Feature maps that a stage has computed.

    `padded` has zeros around the `output`. `code` is that of `pool_planes`.
    """

    padded: Tensor
    output: Tensor
    code: Tensor | None

    def of(self, samples: slice) -> "_Maps":
        """Return the maps of some samples."""
        code = None if self.code is None else self.code[samples]
        return _Maps(self.padded[samples], self.output[samples], code)


# Gradients of parameters: those of weights and biases, or one tensor with both.
_Gradients = tuple[Tensor, ...]


class _Chunk(NamedTuple):
    """Samples that a thread computes, with the maps and the gradients of each stage."""

    samples: slice
    maps: list[_Maps]
    gradients: dict[int, _Gradients]


class _Workspace(NamedTuple):
    """Memory of one thread for some samples of a stage.

    `values` are the maps before pooling, or their gradient, and `planes` are views of
    them. `maximum` and `scratch` have the shape of a plane. `patches` are those of
    `_PatchConvolution`.
    """

    values: Tensor
    planes: Sequence[Tensor]
    maximum: Tensor
    scratch: Tensor
    patches: Tensor


class _Convolution:
    """A stage, with the convolution by oneDNN."""

    def __init__(
        self, stage: Stage, flat: FlatParameters, maps_dtype: torch.dtype
    ) -> None:
        convolution = stage.convolution
        bias = cast(Tensor, convolution.bias)
        self._stage = stage
        self._weight = convolution.weight.detach()  # (out, in, height, width)
        self._bias = bias.detach()
        self._weight_gradient = cast(Tensor, flat.gradient_of(convolution.weight))
        self._bias_gradient = cast(Tensor, flat.gradient_of(bias))
        self._activate, self._write_activation_gradient = STAGE_ACTIVATIONS[
            stage.activation
        ]
        # Workspaces that no thread uses, by number of samples. A workspace that is used
        # again is still in the cache.
        self._free: dict[int, list[_Workspace]] = {}
        self._maps_dtype = maps_dtype

    @property
    def _dtype(self) -> torch.dtype:
        """Dtype in which convolution and pooling are computed."""
        return self._maps_dtype

    def begin_step(self) -> None:
        """Cast the parameters for the next batch."""
        self._cast_weight = self._weight.to(self._dtype)
        self._cast_bias = self._bias.to(self._dtype)

    def allocate_maps(self, batch_size: int, padding: Sequence[int]) -> _Maps:
        """Allocate the feature maps of a batch, padded for the next stage."""
        height, width, channels = self._stage.output_size
        left, right, top, bottom = padding
        padded = self._weight.new_zeros(
            (batch_size, top + height + bottom, left + width + right, channels),
            dtype=self._maps_dtype,
        )
        output = padded[:, top : top + height, left : left + width]
        code = None
        if self._stage.n_planes > 1:
            code = self._weight.new_empty(output.shape, dtype=self._dtype)
        return _Maps(padded, output, code)

    def forward(self, x: Tensor, maps: _Maps) -> None:
        """Compute the output and the codes of padded inputs."""
        images = x.permute(0, 3, 1, 2)
        z = _aten.convolution(images, self._cast_weight, *self._arguments())
        space = self._take_workspace(x.shape[0])
        self._pool_and_activate(self._planes(z.permute(0, 2, 3, 1)), maps, space)
        self._free[x.shape[0]].append(space)

    def backward(
        self, grad: Tensor, x: Tensor, maps: _Maps
    ) -> tuple[_Gradients, Tensor | None]:
        """Return the gradients of the parameters and of the padded inputs.

        `grad` is the gradient of the output. The gradient of images is None.
        """
        bias, *arguments = self._arguments()
        space = self._take_workspace(x.shape[0])
        self._write_plane_gradients(grad, maps, space)
        grad_x, *of_parameters = _aten.convolution_backward(
            space.values.permute(0, 3, 1, 2),
            x.permute(0, 3, 1, 2),
            self._cast_weight,
            bias.shape,
            *arguments,
            [True, True, True],
        )
        self._free[x.shape[0]].append(space)
        return tuple(of_parameters), grad_x.permute(0, 2, 3, 1)

    def write_gradients(self, of_chunks: Sequence[_Gradients]) -> None:
        """Write the sums of the gradients of all chunks."""
        of_weight, of_bias = zip(*of_chunks, strict=True)
        self._weight_gradient.copy_(self._sum_in_order(of_weight))
        self._bias_gradient.copy_(self._sum_in_order(of_bias))

    def _sum_in_order(self, gradients: Sequence[Tensor]) -> Tensor:
        """Return the sum over the chunks."""
        return torch.stack(list(gradients)).sum(0, dtype=self._weight.dtype)

    def _arguments(self) -> tuple[Any, ...]:
        """Return the arguments of torch's kernels after the weights."""
        stride, padding = self._stage.convolution.stride, self._stage.inner_padding
        return self._cast_bias, stride, padding, (1, 1), False, (0, 0), 1

    def _planes(self, maps: Tensor) -> list[Tensor]:
        """View maps before pooling as planes."""
        rows, columns = self._stage.pool
        return [
            maps[:, i::rows, j::columns] for i in range(rows) for j in range(columns)
        ]

    def _take_workspace(self, n_samples: int) -> _Workspace:
        """Return a workspace that no other thread uses."""
        try:
            return self._free.setdefault(n_samples, []).pop()
        except IndexError:
            return self._make_workspace(n_samples)

    def _make_workspace(self, n_samples: int) -> _Workspace:
        """Return a new workspace."""
        (rows, columns), size = self._stage.pool, self._stage.output_size
        values = self._cast_weight.new_empty(
            n_samples, size.height * rows, size.width * columns, size.channels
        )
        maximum, scratch = values.new_empty(2, n_samples, *size)
        return _Workspace(
            values, self._planes(values), maximum, scratch, values.new_empty(0)
        )

    def _pool_and_activate(
        self, planes: Sequence[Tensor], maps: _Maps, space: _Workspace
    ) -> None:
        """Write output and code of the planes."""
        maximum = planes[0]
        if maps.code is not None:
            maximum = space.maximum
            pool_planes(planes, maximum, maps.code, space.scratch)
        if maximum.dtype is maps.output.dtype:
            self._activate(maximum, out=maps.output)
        else:
            maps.output.copy_(self._activate(maximum, out=maximum))

    def _write_plane_gradients(
        self, grad: Tensor, maps: _Maps, space: _Workspace
    ) -> None:
        """Write the gradients of the planes; `grad` is that of the output."""
        pooled = space.planes[0] if maps.code is None else space.maximum
        if pooled.dtype is grad.dtype:
            self._write_activation_gradient(grad, maps.output, pooled)
        else:
            pooled.copy_(self._write_activation_gradient(grad, maps.output, grad))
        if maps.code is not None:
            unpool_planes(pooled, maps.code, space.planes)


class _PatchConvolution(_Convolution):
    """The first stage, with the convolution as a product of patches and kernels.

    The convolution of a gray image has few inputs for each output. oneDNN is slow then.
    The patches are the columns of a matrix ``(inputs + 1, positions)``, which are
    ordered by planes. The last row is one, for the biases. The product is too small to
    gain by bfloat16.
    """

    @property
    def _dtype(self) -> torch.dtype:
        """Dtype in which convolution and pooling are computed."""
        return self._weight.dtype

    def begin_step(self) -> None:
        """Join weights and biases to a matrix ``(inputs + 1, out)``."""
        kernels = self._weight.permute(2, 3, 1, 0).flatten(0, 2)
        self._matrix = torch.cat([kernels, self._bias.unsqueeze(0)])

    def forward(self, x: Tensor, maps: _Maps) -> None:
        """Compute the output and the codes of padded inputs."""
        space = self._take_workspace(x.shape[0])
        self._copy_patches(x, space.patches)
        torch.mm(space.patches.mT, self._matrix, out=space.values)
        self._pool_and_activate(space.planes, maps, space)
        self._free[x.shape[0]].append(space)

    def backward(
        self, grad: Tensor, x: Tensor, maps: _Maps
    ) -> tuple[_Gradients, Tensor | None]:
        """Return the gradient ``(inputs + 1, out)`` of weights and biases."""
        space = self._take_workspace(x.shape[0])
        self._copy_patches(x, space.patches)
        self._write_plane_gradients(grad, maps, space)
        gradient = torch.mm(space.patches, space.values)
        self._free[x.shape[0]].append(space)
        return (gradient,), None

    def write_gradients(self, of_chunks: Sequence[_Gradients]) -> None:
        """Write the sums of the gradients of all chunks."""
        (of_both,) = zip(*of_chunks, strict=True)
        gradient = self._sum_in_order(of_both)
        kernels = self._weight_gradient.permute(2, 3, 1, 0)  # (height, width, in, out)
        kernels.copy_(gradient[:-1].view(kernels.shape))
        self._bias_gradient.copy_(gradient[-1])

    def _copy_patches(self, x: Tensor, patches: Tensor) -> None:
        """Copy the patches of padded inputs to a matrix ``(inputs + 1, positions)``."""
        kernel = tuple(self._weight.shape[2:])
        rows, columns = self._stage.pool
        height, width, _ = self._stage.output_size
        of_sample, of_row, of_column, of_channel = x.stride()
        down, right = self._stage.convolution.stride
        down, right = down * of_row, right * of_column
        n_samples, channels = x.shape[0], x.shape[3]
        shape = (*kernel, channels, rows, columns, n_samples, height, width)
        steps = (of_row, of_column, of_channel, down, right)
        strides = (*steps, of_sample, down * rows, right * columns)
        patches[:-1].view(shape).copy_(x.as_strided(shape, strides, x.storage_offset()))

    def _make_workspace(self, n_samples: int) -> _Workspace:
        height, width, channels = self._stage.output_size
        n_planes = self._stage.n_planes
        n_positions = n_planes * n_samples * height * width
        patches = self._weight.new_ones(self._weight[0].numel() + 1, n_positions)
        values = patches.new_empty(n_positions, channels)
        planes = values.view(n_planes, n_samples, height, width, channels).unbind()
        maximum, scratch = values.new_empty(2, *planes[0].shape)
        return _Workspace(values, planes, maximum, scratch, patches)
