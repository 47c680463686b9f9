"""Parameters of many networks of one depth, each parameter one tensor of all models.

The weights of a layer have shape ``(models, out, in)`` and no gaps, so that one call of
BLAS computes a layer of all models. Narrower models are filled up with zeros. Training
moves them here; a network's own vector gets a copy when somebody looks at it.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from skmlp.training.compute.cuda_graphs import GraphRecorder
from skmlp.training.compute.thread_tuning import tuned_thread_count
from skmlp.training.compute.threads import using_threads
from skmlp.training.modules.introspection import weight_layers
from skmlp.training.modules.layers import Dropout, dropout_generators
from skmlp.training.net import Net
from skmlp.training.optimizers.flat_optimizers import DECOUPLED
from skmlp.training.optimizers.flat_parameters import stored_shape
from skmlp.training.packs.convolution import PackConvolutions, pack_structure
from skmlp.training.packs.dense_products import PackDenseProducts
from skmlp.training.packs.vector import PackVector
from skmlp.training.steps import HandwrittenStep, dense_layer


class PackParameters:
    """Values and gradients of networks that train side by side.

    Parameters
    ----------
    nets : sequence of Net
        Of one structure, but for the widths of hidden layers; initialised.
    counts : list of int
        The number of rows that each network has in the batch at hand, kept up to date
        by the caller; dropout draws for no more, and no more are in the statistics of a
        normalisation.

    Attributes
    ----------
    values, gradients : PackVector
        With parts ``(models, ...)`` for every parameter, in the order of
        `FlatParameters`: the layers' weights come first.
    buffers : list of Tensor of shape (models, ...)
        Running statistics, in the order of a network's buffers.
    alpha : Tensor of shape (models,)
        Strengths of the L2 penalties.
    step : HandwrittenStep
        From a batch of every model to its loss's rows; leaves the gradients in place.
    """

    def __init__(self, nets: Sequence[Net], counts: list[int]) -> None:
        flats = [net.flat_ for net in nets]
        self._parts = [
            [(flat.slice_of(p), stored_shape(p)) for p in flat.parameters]
            for flat in flats
        ]
        self._counts = counts
        shapes = zip(*([shape for _, shape in own] for own in self._parts), strict=True)
        self.values = PackVector(flats[0].values, list(map(_room, shapes)))
        for i, flat in enumerate(flats):
            self.unflatten(i, flat.values, self.values)
        self.gradients = self.values.zeros()
        buffers = [list(net.module_.buffers()) for net in nets]
        self.buffers = [
            of_nets[0].new_zeros(_room([buffer.shape for buffer in of_nets]))
            for of_nets in zip(*buffers, strict=True)
        ]
        for i, own in enumerate(buffers):
            for buffer, stacked in zip(own, self.buffers, strict=True):
                _own_part(stacked, i, buffer.shape).copy_(buffer)
        self._arrange(nets)

    def _arrange(self, nets: Sequence[Net]) -> None:
        """Take the networks' layers from the stacked tensors."""
        self.nets = list(nets)
        first = self.nets[0]
        own = [*first.flat_.parameters, *first.module_.buffers()]
        stacked = [*self.values.parts, *self.buffers]
        values = {id(t): all_nets for t, all_nets in zip(own, stacked, strict=True)}
        # Buffers, which come last, have none.
        gradients = dict(zip(values, self.gradients.parts, strict=False))
        counts = self._counts
        structures = [s for net in self.nets if (s := pack_structure(net.module_))]
        layers = [
            dense_layer(
                parts[0],
                lambda tensor: values[id(tensor)],
                lambda parameter: gradients[id(parameter)],
                None
                if parts[0].dropout is None
                else _Masks([part.dropout for part in parts], counts),
                lambda z: tuple(counts),
                PackDenseProducts,
            )
            for parts in zip(*(s.dense for s in structures), strict=True)
        ]
        images = None
        if structures[0].images:
            images = PackConvolutions(
                [s.images for s in structures],
                lambda parameter: values[id(parameter)],
                lambda parameter: gradients[id(parameter)],
                lambda layers: _ImageMasks(layers, counts),
            )
        self.step = HandwrittenStep(
            layers, first.criterion_.sample_losses_and_gradient, images
        )
        layers_of_weights = range(len(list(weight_layers(first.module_))))
        self.penalized = [
            (self.values.parts[i].flatten(1), self.gradients.parts[i].flatten(1))
            for i in layers_of_weights
        ]
        self.alpha = self.values.vector.new_tensor([net.alpha for net in self.nets])
        self._recorder = None
        if self.alpha.is_cuda:
            self._recorder = GraphRecorder(
                partial(dropout_generators, [net.module_ for net in self.nets])
            )

    def differentiate(
        self, x: Tensor, y: Tensor, weights: Tensor, totals: Tensor
    ) -> tuple[Tensor, ...]:
        """Leave the gradients of a batch of every model, and return its loss's parts.

        `totals` are the weights of the batches' rows, by which the penalty is divided.
        The parts are of the rows, as `Loss.mean_loss` takes them, and the norms of
        each layer's weights that are penalised.
        """
        inputs = x, y, weights, totals
        if self._recorder is None:
            return self._differentiate(*inputs)
        counts = tuple(self._counts)
        parts = self._recorder.call(self._differentiate, *inputs, key=counts)
        return tuple(part.clone() for part in parts)  # the next call overwrites them

    def _differentiate(
        self, x: Tensor, y: Tensor, weights: Tensor, totals: Tensor
    ) -> tuple[Tensor, ...]:
        _, rows = self.step(x, y, weights)
        return rows, *self._penalize(totals)

    def _penalize(self, totals: Tensor) -> list[Tensor]:
        """Add L2 penalties to the gradients, clip these; return the weights' norms."""
        net, norms_of_weights = self.nets[0], []
        if net.solver not in DECOUPLED:
            strength = (self.alpha / totals).unsqueeze(1)
            with using_threads(tuned_thread_count()):
                for weights, by_weights in self.penalized:
                    norms_of_weights.append(torch.linalg.vector_norm(weights, dim=1))
                    by_weights.addcmul_(weights, strength)
        if net.max_grad_norm is not None:
            gradients = self.gradients.parts
            norms = [torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients]
            norm = torch.linalg.vector_norm(torch.stack(norms), dim=0)
            factor = (net.max_grad_norm / (norm + 1e-6)).clamp_max(1.0)
            for g in gradients:
                g.mul_(factor.view(-1, *[1] * (g.dim() - 1)))
        return norms_of_weights

    def write_back(self, i: int) -> None:
        """Let the `i`-th network have its parameters and buffers as they stand."""
        net = self.nets[i]
        self.flatten(i, self.values, net.flat_.values)
        for buffer, stacked in zip(net.module_.buffers(), self.buffers, strict=True):
            buffer.copy_(_own_part(stacked, i, buffer.shape))

    def flatten(self, i: int, stacked: PackVector, out: Tensor) -> Tensor:
        """Write the `i`-th network's part of stacked tensors into its flat vector."""
        for (place, shape), tensor in zip(self._parts[i], stacked.parts, strict=True):
            out[place] = _own_part(tensor, i, shape).reshape(-1)
        return out

    def unflatten(self, i: int, vector: Tensor, stacked: PackVector) -> None:
        """Write a flat vector into the `i`-th network's part of stacked tensors."""
        for (place, shape), tensor in zip(self._parts[i], stacked.parts, strict=True):
            _own_part(tensor, i, shape).copy_(vector[place].view(shape))

    def select(self, index: Tensor) -> None:
        """Go on with some of the networks."""
        self.values, self.gradients = (
            stacked.select(index) for stacked in (self.values, self.gradients)
        )
        self.buffers = [buffers[index] for buffers in self.buffers]
        self._parts = [self._parts[i] for i in index.tolist()]
        if len(index):
            self._arrange([self.nets[i] for i in index.tolist()])


def _room(shapes: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the shape that holds tensors of these shapes, one of each model."""
    return len(shapes), *map(max, zip(*shapes, strict=True))


def _own_part(stacked: Tensor, i: int, shape: Sequence[int]) -> Tensor:
    """Return the `i`-th model's part of a stacked tensor, without what fills it up."""
    own = stacked[i]
    return own if own.shape == shape else own[tuple(map(slice, shape))]


class _Masks:
    """Dropout masks of all models, each from its own generator."""

    def __init__(self, layers: Sequence[Dropout | None], counts: list[int]) -> None:
        self.layers = layers
        self.counts = counts

    def __call__(self, a: Tensor) -> Tensor:
        """Draw as many rows as each model has, as it would alone."""
        mask = a.new_ones(a.shape)
        for i, (layer, count) in enumerate(zip(self.layers, self.counts, strict=True)):
            if layer is not None and count:
                mask[i, :count] = layer.mask(mask[i, :count])
        return mask


class _ImageMasks(_Masks):
    """Masks of feature maps ``(models, channels, height, width, batch)``."""

    def __call__(self, a: Tensor) -> Tensor:
        """Draw as many rows as each model has, as it would alone."""
        mask = a.new_ones(a.shape)
        for i, (layer, count) in enumerate(zip(self.layers, self.counts, strict=True)):
            if layer is not None and count:
                # Alone they are channels last, and drawn in the order of memory.
                maps = a.new_empty(count, *a.shape[2:4], a.shape[1])
                drawn = layer.mask(maps.permute(0, 3, 1, 2))
                mask[i, ..., :count] = drawn.permute(1, 2, 3, 0)
        return mask
