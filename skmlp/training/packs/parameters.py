"""Parameters of all pack members, as one tensor for each parameter.

The weights of a layer have shape ``(members, out, in)`` and are contiguous, so that one
call of BLAS computes the layer of all members. Narrower members are padded with zeros.
Training changes these tensors, and copies them to a member's flat vector on demand.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from skmlp.training.compute.cuda_graphs import GraphRecorder
from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER, ThreadTuner
from skmlp.training.compute.threads import using_threads
from skmlp.training.handwritten_step import HandwrittenStep, make_dense_layer
from skmlp.training.modules.introspection import weight_layers
from skmlp.training.modules.layers import Dropout, dropout_generators
from skmlp.training.net import Net
from skmlp.training.optimizers.flat_optimizers import DECOUPLED_DECAY_SOLVERS
from skmlp.training.optimizers.flat_parameters import stored_shape
from skmlp.training.packs.convolution import PackConvolutions, pack_structure
from skmlp.training.packs.dense_products import PackDenseProducts
from skmlp.training.packs.vector import PackVector


class PackParameters:
    """Parameters and gradients of all pack members, and the step that computes them.

    Parameters
    ----------
    nets : sequence of Net
        Initialized, of one structure; only the widths of hidden layers may differ.
    counts : list of int
        Each member's number of samples in the current batch. The caller updates the
        list before each step. Dropout masks and batch statistics use these samples
        only.
    tuner : ThreadTuner
        Chooses the number of threads.

    Attributes
    ----------
    values, gradients : PackVector
        Tensors ``(members, ...)`` for every parameter, in the order of
        `FlatParameters`: the layers' weights come first.
    buffers : list of Tensor of shape (members, ...)
        Running statistics, in the order of a network's buffers.
    alpha : Tensor of shape (members,)
        Strengths of the L2 penalties.
    step : HandwrittenStep
        Maps a batch of every member to its sample losses, and writes the gradients.
    penalized : list of tuple of Tensor
        The weights and their gradients for each layer, ``(members, out * in)``.
    """

    def __init__(
        self,
        nets: Sequence[Net],
        counts: list[int],
        tuner: ThreadTuner = SINGLE_THREAD_TUNER,
    ) -> None:
        flats = [net.flat_ for net in nets]
        # Slice in the flat vector and shape, by members and parameters.
        self._layouts = [
            [(flat.slice_of(p), stored_shape(p)) for p in flat.parameters]
            for flat in flats
        ]
        self._counts = counts
        self._tuner = tuner
        shapes_by_parameter = zip(
            *([shape for _, shape in layout] for layout in self._layouts), strict=True
        )
        shapes = list(map(_padded_shape, shapes_by_parameter))
        self.values = PackVector(flats[0].values, shapes)
        for i, flat in enumerate(flats):
            self.unflatten(i, flat.values, self.values)
        self.gradients = self.values.zeros()
        buffers = [list(net.module_.buffers()) for net in nets]
        self.buffers = [
            of_members[0].new_zeros(_padded_shape([b.shape for b in of_members]))
            for of_members in zip(*buffers, strict=True)
        ]
        for i, member_buffers in enumerate(buffers):
            for buffer, packed in zip(member_buffers, self.buffers, strict=True):
                _member_view(packed, i, buffer.shape).copy_(buffer)
        self._make_step(nets)

    def _make_step(self, nets: Sequence[Net]) -> None:
        """Build the step of these networks on the tensors of the pack."""
        self.nets = list(nets)
        first, counts, tuner = self.nets[0], self._counts, self._tuner
        of_first = [*first.flat_.parameters, *first.module_.buffers()]
        packed = [*self.values.tensors, *self.buffers]
        values = {id(t): p for t, p in zip(of_first, packed, strict=True)}
        # The buffers come last and have no gradients.
        gradients = dict(zip(values, self.gradients.tensors, strict=False))
        structures = [s for net in self.nets if (s := pack_structure(net.module_))]
        layers = [
            make_dense_layer(
                of_members[0],
                lambda tensor: values[id(tensor)],
                lambda parameter: gradients[id(parameter)],
                None
                if of_members[0].dropout is None
                else _Masks([layer.dropout for layer in of_members], counts),
                lambda z: tuple(counts),
                partial(PackDenseProducts, tuner=tuner),
            )
            for of_members in zip(*(s.dense for s in structures), strict=True)
        ]
        images = None
        if structures[0].images:
            images = PackConvolutions(
                [s.images for s in structures],
                lambda parameter: values[id(parameter)],
                lambda parameter: gradients[id(parameter)],
                lambda layers: _ImageMasks(layers, counts),
            )
        self.step = HandwrittenStep(layers, first.criterion_, tuner, images)
        n_weights = len(list(weight_layers(first.module_)))
        self.penalized = [
            (self.values.tensors[i].flatten(1), self.gradients.tensors[i].flatten(1))
            for i in range(n_weights)
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
        """Write the gradients of a batch of every member.

        Parameters
        ----------
        x : Tensor of shape (sets, batch, features)
        y : Tensor of shape (members, batch, ...)
        weights : Tensor of shape (members, batch)
            Sample weights that sum to one.
        totals : Tensor of shape (members,)
            Sums of the sample weights before, which divide the penalties.

        Returns
        -------
        loss_terms : Tensor of shape (members, batch)
            As `Loss.mean_loss` takes them.
        *norms : Tensor of shape (members,)
            Norms of the weights of each penalized layer.
        """
        inputs = x, y, weights, totals
        if self._recorder is None:
            return self._differentiate(*inputs)
        counts = tuple(self._counts)
        results = self._recorder.call(self._differentiate, *inputs, key=counts)
        return tuple(r.clone() for r in results)  # the next call overwrites them

    def _differentiate(
        self, x: Tensor, y: Tensor, weights: Tensor, totals: Tensor
    ) -> tuple[Tensor, ...]:
        """Compute `differentiate` without a CUDA graph."""
        _, loss_terms = self.step(x, y, weights)
        return loss_terms, *self._penalize_and_clip(totals)

    def _penalize_and_clip(self, totals: Tensor) -> list[Tensor]:
        """Add the penalties to the gradients, clip them; return the weights' norms."""
        net, weight_norms = self.nets[0], []
        if net.solver not in DECOUPLED_DECAY_SOLVERS:
            strength = (self.alpha / totals).unsqueeze(1)
            with using_threads(self._tuner.n_threads):
                for weights, gradients in self.penalized:
                    weight_norms.append(torch.linalg.vector_norm(weights, dim=1))
                    gradients.addcmul_(weights, strength)
        if net.max_grad_norm is not None:
            tensors = self.gradients.tensors
            norms = [torch.linalg.vector_norm(g.flatten(1), dim=1) for g in tensors]
            norm = torch.linalg.vector_norm(torch.stack(norms), dim=0)
            factor = (net.max_grad_norm / (norm + 1e-6)).clamp_max(1.0)
            for g in tensors:
                g.mul_(factor.view(-1, *[1] * (g.dim() - 1)))
        return weight_norms

    def write_back(self, i: int) -> None:
        """Copy the current parameters and buffers into the `i`-th network."""
        net = self.nets[i]
        self.flatten(i, self.values, net.flat_.values)
        for buffer, packed in zip(net.module_.buffers(), self.buffers, strict=True):
            buffer.copy_(_member_view(packed, i, buffer.shape))

    def flatten(self, i: int, packed: PackVector, out: Tensor) -> Tensor:
        """Copy the `i`-th member's part of a pack's vector into a flat vector."""
        for (at, shape), tensor in zip(self._layouts[i], packed.tensors, strict=True):
            out[at] = _member_view(tensor, i, shape).reshape(-1)
        return out

    def unflatten(self, i: int, vector: Tensor, packed: PackVector) -> None:
        """Copy a flat vector into the `i`-th member's part of a pack's vector."""
        for (at, shape), tensor in zip(self._layouts[i], packed.tensors, strict=True):
            _member_view(tensor, i, shape).copy_(vector[at].view(shape))

    def select(self, index: Tensor) -> None:
        """Continue with some of the members."""
        self.values, self.gradients = (
            packed.select(index) for packed in (self.values, self.gradients)
        )
        self.buffers = [buffers[index] for buffers in self.buffers]
        self._layouts = [self._layouts[i] for i in index.tolist()]
        if len(index):
            self._make_step([self.nets[i] for i in index.tolist()])


def _padded_shape(shapes: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the shape ``(members, ...)`` that holds one tensor of each member."""
    return len(shapes), *map(max, zip(*shapes, strict=True))


def _member_view(packed: Tensor, i: int, shape: Sequence[int]) -> Tensor:
    """Return the `i`-th member's part of a tensor of the pack, without padding."""
    padded = packed[i]
    return padded if padded.shape == shape else padded[tuple(map(slice, shape))]


class _Masks:
    """Draws the dropout masks of all members, each from its own generator."""

    def __init__(self, layers: Sequence[Dropout | None], counts: list[int]) -> None:
        self.layers = layers
        self.counts = counts

    def __call__(self, a: Tensor) -> Tensor:
        """Draw masks for each member's samples, as the member would alone."""
        mask = a.new_ones(a.shape)  # (members, batch, units)
        for i, (layer, count) in enumerate(zip(self.layers, self.counts, strict=True)):
            if layer is not None and count:
                mask[i, :count] = layer.mask(mask[i, :count])
        return mask


class _ImageMasks(_Masks):
    """Draws the dropout masks of feature maps."""

    def __call__(self, a: Tensor) -> Tensor:
        """Draw masks for each member's samples, as the member would alone."""
        mask = a.new_ones(a.shape)  # (members, channels, height, width, batch)
        for i, (layer, count) in enumerate(zip(self.layers, self.counts, strict=True)):
            if layer is not None and count:
                # A network alone draws its masks channels last, in memory order.
                maps = a.new_empty(count, *a.shape[2:4], a.shape[1])
                drawn = layer.mask(maps.permute(0, 3, 1, 2))
                mask[i, ..., :count] = drawn.permute(1, 2, 3, 0)
        return mask
