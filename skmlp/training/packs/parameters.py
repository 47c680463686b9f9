"""The parameters of all pack members, with one tensor for each parameter.

The weights of a layer have the shape ``(members, out, in)`` and are contiguous. One
batched matrix product computes the layer of all members. Narrower members are padded
with zeros. Training updates these tensors. `write_back` copies them into the networks.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER, ThreadTuner
from skmlp.training.compute.threads import using_threads
from skmlp.training.losses import Loss, join_losses
from skmlp.training.modules.introspection import (
    max_values_per_sample,
    named_weights,
    weight_layers,
)
from skmlp.training.modules.layers import Dropout, dropout_generators
from skmlp.training.net import Net
from skmlp.training.optimizers.factory import DECOUPLED_DECAY_SOLVERS
from skmlp.training.packs.convolution import PackImageLayers
from skmlp.training.packs.dense_products import PackDenseProducts, ScaledDenseProducts
from skmlp.training.packs.functional import FunctionalStep
from skmlp.training.packs.masks import JointMasks, OwnImageMasks, OwnMasks
from skmlp.training.packs.structure import max_patch_values, pack_structure
from skmlp.training.packs.vector import PackVector
from skmlp.training.steps.handwritten_embedding import HandwrittenEmbedding
from skmlp.training.steps.handwritten_step import (
    FeatureExtractor,
    HandwrittenStep,
    make_dense_layer,
)


class PackParameters:
    """Parameters and gradients of all pack members.

    Parameters
    ----------
    nets : sequence of Net
        Initialized nets, whose runs have equal `pack_key`. The widths of hidden layers
        may differ.
    counts : list of int
        Each member's number of samples in the current batch. The caller updates the
        list before each step. Later samples of a batch are padding, which dropout masks
        and batch statistics ignore.
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
    step : HandwrittenStep or FunctionalStep
        Computes the sample losses and the gradients of one batch of every member.
    penalized_weights : list of tuple of Tensor
        Weights and gradients of each layer, both of shape ``(members, out * in)``. The
        other parameters are not penalized.
    """

    def __init__(
        self,
        nets: Sequence[Net],
        counts: list[int],
        tuner: ThreadTuner = SINGLE_THREAD_TUNER,
    ) -> None:
        flats = [net.flat_ for net in nets]
        self._layouts = [flat.layout for flat in flats]
        self._counts = counts
        self.tuner = tuner
        shapes_by_parameter = zip(
            *(layout.shapes for layout in self._layouts), strict=True
        )
        shapes = list(map(_padded_shape, shapes_by_parameter))
        self.values = PackVector(flats[0].values, shapes)
        self._is_uniform = self._have_equal_shapes()
        self._load_members([flat.values for flat in flats])
        self.gradients = self.values.zeros()
        buffers = [net.buffers() for net in nets]
        self.buffers = [
            same_buffer[0].new_zeros(_padded_shape([b.shape for b in same_buffer]))
            for same_buffer in zip(*buffers, strict=True)
        ]
        for i, member_buffers in enumerate(buffers):
            for buffer, tensor in zip(member_buffers, self.buffers, strict=True):
                _member_view(tensor, i, buffer.shape).copy_(buffer)
        # On a GPU, one generator draws the dropout masks of all members, also after its
        # own member has ended.
        self._generator: torch.Generator | None = None
        if self.values.vector.is_cuda:
            generators = dropout_generators([nets[0].module_])
            self._generator = next(iter(generators), None)
        self._make_step(nets)

    def _make_step(self, nets: Sequence[Net]) -> None:
        """Build the step of these networks on the tensors of the pack."""
        self.nets = list(nets)
        self.alpha = self.values.vector.new_tensor([net.alpha for net in self.nets])
        first = self.nets[0]
        self.step: HandwrittenStep | FunctionalStep
        if pack_structure(first.module_) is None:
            tensors = self.values.tensors, self.gradients.tensors
            loss = self._join_losses()
            self.step = FunctionalStep(first, loss, *tensors, self.buffers)
        else:
            self.step = self._make_handwritten_step()
        n_weights = len(named_weights(first.module_))
        self.penalized_weights = [
            (self.values.tensors[i].flatten(1), self.gradients.tensors[i].flatten(1))
            for i in range(n_weights)
        ]

    def _make_handwritten_step(self) -> HandwrittenStep:
        """Return the step of networks whose layers have handwritten formulas."""
        first, counts, tuner = self.nets[0], self._counts, self.tuner

        def make_masks(
            dropouts: Sequence[Dropout], own_masks: type[OwnMasks]
        ) -> Callable[[Tensor], Tensor]:
            if self._generator is None:
                return own_masks(dropouts, counts)
            return JointMasks(dropouts, self._generator, self.values.vector)

        # Dicts from the id of a tensor of the first member to the tensor of the pack.
        first_tensors = [*first.flat_.parameters, *first.buffers()]
        pack_tensors = [*self.values.tensors, *self.buffers]
        value_by_id = {
            id(t): p for t, p in zip(first_tensors, pack_tensors, strict=True)
        }
        # `value_by_id` ends with the buffers. They have no gradients, so `zip` stops
        # before them.
        gradient_by_id = dict(zip(value_by_id, self.gradients.tensors, strict=False))
        structures = []
        for net in self.nets:
            # The modules of a deferred network would hold nothing but parameters, which
            # the pack has itself.
            if net is first or not net.defers_network:
                structure = pack_structure(net.module_)
                assert structure is not None
                structures.append(structure)

        def value_of(tensor: Tensor) -> Tensor:
            return value_by_id[id(tensor)]

        def gradient_of(parameter: Tensor) -> Tensor:
            return gradient_by_id[id(parameter)]

        make_products = partial(PackDenseProducts, tuner=tuner)
        embedding = structures[0].embedding
        make_first_products: Callable[..., PackDenseProducts] = make_products
        if embedding is not None and embedding.scale is not None:
            make_first_products = partial(
                ScaledDenseProducts,
                scale=value_of(embedding.scale),
                scale_gradient=gradient_of(embedding.scale),
                n_constant=len(embedding.plain),
                tuner=tuner,
            )
        layers = [
            make_dense_layer(
                same_layer[0],
                value_of=value_of,
                gradient_of=gradient_of,
                draw_mask=None
                if same_layer[0].dropout is None
                else make_masks([layer.dropout for layer in same_layer], OwnMasks),
                count_samples=lambda z: tuple(counts),
                make_products=make_products if i else make_first_products,
            )
            for i, same_layer in enumerate(
                zip(*(s.dense_layers for s in structures), strict=True)
            )
        ]
        feature_extractor: FeatureExtractor | None = None
        if embedding is not None:
            feature_extractor = HandwrittenEmbedding(
                embedding, value_of, gradient_of, len(self.nets), with_scale=False
            )
        if structures[0].image_layers:
            feature_extractor = PackImageLayers(
                [s.image_layers for s in structures],
                value_of=value_of,
                gradient_of=gradient_of,
                make_mask=partial(make_masks, own_masks=OwnImageMasks),
            )
        loss = self._join_losses()
        if self.alpha.is_cuda:
            loss = loss.for_known_targets()
        return HandwrittenStep(layers, loss, tuner, feature_extractor)

    def _join_losses(self) -> Loss:
        """Return one loss with the hyperparameters of all members."""
        losses = [net.criterion_ for net in self.nets]
        return join_losses(losses, self.values.vector)

    @property
    def generators(self) -> list[torch.Generator]:
        """The generator of the dropout masks of all members on a GPU."""
        return [] if self._generator is None else [self._generator]

    @property
    def n_outputs(self) -> int:
        """The number of logits of a sample."""
        return list(weight_layers(self.nets[0].module_))[-1].weight.shape[0]

    @property
    def uses_autograd(self) -> bool:
        """Whether the step needs autograd, which torch's inference mode excludes."""
        return isinstance(self.step, FunctionalStep)

    def max_values_per_sample(self, n_features: int) -> int:
        """Return a bound of the values of one sample in a layer of one member."""
        network = self.nets[0].module_
        if isinstance(self.step, FunctionalStep):
            return max_values_per_sample(network, n_features)
        # Widths of the pack, where narrower layers are padded.
        sizes = [max(layer.products.weight.shape[-2:]) for layer in self.step.layers]
        if isinstance(self.step.feature_extractor, HandwrittenEmbedding):
            module = self.step.feature_extractor.module
            sizes.append(module.max_values_per_sample())
        return max(max_patch_values(network, n_features), *sizes)

    def differentiate(
        self, x: Tensor, y: Tensor, weights: Tensor, strength: Tensor
    ) -> tuple[Tensor, ...]:
        """Write the gradients of a batch of every member.

        Parameters
        ----------
        x : Tensor of shape (groups, batch, features)
            The members of a group are neighbors with the same batches.
        y : Tensor of shape (members, batch, ...)
        weights : Tensor of shape (members, batch)
            Normalized sample weights: their sum is 1 for each member. If the loss has
            them, the `Loss.term_weights`.
        strength : Tensor of shape (members,)
            `alpha` divided by the sums of the sample weights before they were
            normalized.

        Returns
        -------
        loss_terms : Tensor of shape (members, batch)
            The argument of `Loss.mean_loss`.
        *norms : Tensor of shape (members,)
            Norms of the weights of each penalized layer.
        """
        _, loss_terms = self.step(x, y, weights)
        return loss_terms, *self._penalize_and_clip(strength)

    def _penalize_and_clip(self, strength: Tensor) -> list[Tensor]:
        """Add the penalties to the gradients, and clip the gradients.

        Return the norms of the weights of each penalized layer.
        """
        net, weight_norms = self.nets[0], []
        if net.solver not in DECOUPLED_DECAY_SOLVERS:
            with using_threads(self.tuner.n_threads):
                weights, gradients = map(
                    list, zip(*self.penalized_weights, strict=True)
                )
                weight_norms = [torch.linalg.vector_norm(w, dim=1) for w in weights]
                strengths = [strength.unsqueeze(1)] * len(weights)
                torch._foreach_addcmul_(gradients, weights, strengths)
        if net.max_grad_norm is not None:
            tensors = self.gradients.tensors
            norms = [torch.linalg.vector_norm(g.flatten(1), dim=1) for g in tensors]
            norm = torch.linalg.vector_norm(torch.stack(norms), dim=0)
            # 1e-6 as in torch.nn.utils.clip_grad_norm_
            factor = (net.max_grad_norm / (norm + 1e-6)).clamp_max(1.0)
            for g in tensors:
                g.mul_(factor.view(-1, *[1] * (g.dim() - 1)))
        return weight_norms

    def write_back(self, i: int) -> None:
        """Copy the current parameters and buffers into the `i`-th network."""
        self.store_member(i, self.values, into=self.nets[i].flat_.values)
        self._write_buffers_back(i)

    def write_members_back(self, members: Sequence[int]) -> None:
        """Copy the current parameters and buffers into the networks of members."""
        vectors = self.store_members(members, self.values)
        for i, vector in zip(members, vectors, strict=True):
            self.nets[i].flat_.values.copy_(vector)
            self._write_buffers_back(i)

    def _write_buffers_back(self, i: int) -> None:
        """Copy the current buffers into the `i`-th network."""
        net = self.nets[i]
        for buffer, tensor in zip(net.buffers(), self.buffers, strict=True):
            buffer.copy_(_member_view(tensor, i, buffer.shape))

    def store_member(self, i: int, pack_vector: PackVector, into: Tensor) -> Tensor:
        """Copy the `i`-th member of a vector of the pack into a flat vector."""
        layout, tensors = self._layouts[i], pack_vector.tensors
        for at, shape, tensor in zip(
            layout.slices, layout.shapes, tensors, strict=True
        ):
            into[at] = _member_view(tensor, i, shape).reshape(-1)
        return into

    def store_members(
        self, members: Sequence[int], pack_vector: PackVector
    ) -> list[Tensor]:
        """Return the flat vectors of some members of a vector of the pack.

        They may be views of one tensor.
        """
        first, tensors = self._layouts[members[0]], pack_vector.tensors
        if not self._is_uniform:
            new_zeros = pack_vector.vector.new_zeros
            return [
                self.store_member(i, pack_vector, new_zeros(self._layouts[i].size))
                for i in members
            ]
        joint = pack_vector.vector.new_zeros(len(members), first.size)
        index = torch.tensor(members, device=joint.device)
        for at, tensor in zip(first.slices, tensors, strict=True):
            joint[:, at] = tensor.index_select(0, index).flatten(1)
        return list(joint.unbind())

    def _load_members(self, vectors: Sequence[Tensor]) -> None:
        """Copy the flat vectors of all members into `values`."""
        if not self._is_uniform:
            for i, vector in enumerate(vectors):
                self.load_member(i, vector, into=self.values)
            return
        joint = torch.stack(list(vectors))
        for at, tensor in zip(
            self._layouts[0].slices, self.values.tensors, strict=True
        ):
            tensor.copy_(joint[:, at].view_as(tensor))

    def _have_equal_shapes(self) -> bool:
        """Return whether the parameters of all members have the shapes of the pack."""
        shapes = [tuple(tensor.shape[1:]) for tensor in self.values.tensors]
        distinct = set(self._layouts)
        return all(layout.shapes == shapes for layout in distinct)

    def load_member(self, i: int, vector: Tensor, into: PackVector) -> None:
        """Copy a flat vector into the `i`-th member of a vector of the pack."""
        layout = self._layouts[i]
        for at, shape, tensor in zip(
            layout.slices, layout.shapes, into.tensors, strict=True
        ):
            _member_view(tensor, i, shape).copy_(vector[at].view(shape))

    def select(self, index: Tensor) -> None:
        """Remove all members except those with these indices."""
        self.values, self.gradients = (
            vector.select(index) for vector in (self.values, self.gradients)
        )
        self.buffers = [buffers[index] for buffers in self.buffers]
        self._layouts = [self._layouts[i] for i in index.tolist()]
        self._is_uniform = self._have_equal_shapes()
        if len(index):
            self._make_step([self.nets[i] for i in index.tolist()])


def _padded_shape(shapes: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the smallest shape ``(members, ...)`` that has room for all members."""
    return len(shapes), *map(max, zip(*shapes, strict=True))


def _member_view(pack_tensor: Tensor, i: int, shape: Sequence[int]) -> Tensor:
    """Return the `i`-th member of a tensor of the pack, without padding."""
    padded = pack_tensor[i]
    return padded if padded.shape == shape else padded[tuple(map(slice, shape))]
