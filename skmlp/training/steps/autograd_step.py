"""A training step of any network, with gradients by autograd.

There are four cases:

- On a GPU, with batch normalization, in a user's network, or if the batch is small, the
  whole batch is computed at once.
- If there are formulas for the convolutions and they are faster, the convolutions are
  computed by `HandwrittenConvolutions`, and a handwritten step computes the dense
  layers for the whole batch.
- If the batch has few chunks, the convolutions are computed in chunks by autograd. A
  handwritten step then computes the dense layers for the whole batch.
- Otherwise all layers are computed in chunks, and the gradients of the chunks add up.

The feature maps of a chunk fit into the caches of a CPU, and the allocator reuses their
memory for the next chunk.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from sklearn.utils import gen_even_slices
from torch import Tensor, nn

from skmlp.training.compute.global_generators import global_draws_from
from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER, ThreadTuner
from skmlp.training.data.slices import samples_per_chunk
from skmlp.training.losses import Loss
from skmlp.training.modules.introspection import known_modules, max_values_per_sample
from skmlp.training.modules.layers import BatchNorm
from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.optimizers.penalty import Penalty
from skmlp.training.steps.handwritten_convolution import HandwrittenConvolutions
from skmlp.training.steps.handwritten_step import (
    DenseModules,
    FeatureExtractor,
    HandwrittenStep,
    group_dense_modules,
    make_single_network_layer,
)
from skmlp.training.steps.image_stages import group_stages, is_faster_by_stages

# Maximum number of chunks whose autograd graphs are stored until the backward pass of
# the dense layers. A chunk has two million values in its widest layer.
_MAX_KEPT_CHUNKS = 8


class AutogradStep:
    """Computes loss and gradients of a batch by autograd.

    Parameters
    ----------
    network : nn.Module
    loss : Loss
    flat : FlatParameters
        Receives the gradients.
    penalty : Penalty
        Its derivative is part of the gradients.
    amp : bool
        Whether to compute in mixed precision.
    tuner : ThreadTuner
        Chooses the number of threads.
    generator : Generator or None
        In a user's network, the global generator of torch draws its numbers.
    max_kept_chunks : int
        Maximum number of chunks for which the dense layers compute the whole batch.

    Attributes
    ----------
    chunk_size : int or None
        Samples that are computed together. None until the first batch.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        flat: FlatParameters,
        penalty: Penalty,
        amp: bool,
        tuner: ThreadTuner = SINGLE_THREAD_TUNER,
        generator: torch.Generator | None = None,
        max_kept_chunks: int = _MAX_KEPT_CHUNKS,
    ) -> None:
        self.network = network
        self.loss = loss
        self.flat = flat
        self.penalty = penalty
        self.amp = amp
        self.max_kept_chunks = max_kept_chunks
        modules = known_modules(network)
        self.generator = generator if modules is None else None
        # Batch normalization needs all samples of a batch at once. So may the module of
        # a user.
        self.uses_chunks = (
            flat.values.device.type == "cpu"
            and modules is not None
            and not any(isinstance(layer, BatchNorm) for layer in network.modules())
        )
        self.chunk_size: int | None = None
        self.tuner = tuner
        self.image_layers, dense_layers = split_before_dense(modules or [])
        self.dense_layers = [
            make_single_network_layer(layer, flat, tuner, amp=amp)
            for layer in dense_layers
        ]
        self.stages = group_stages(self.image_layers) or []
        self.handwritten_step: HandwrittenStep | None = None
        self.evaluation_step: HandwrittenStep | None = None  # in full precision
        if self.stages and self.dense_layers and self.uses_chunks:
            convolutions = HandwrittenConvolutions(self.stages, flat, amp)
            self.handwritten_step = self._whole_step(convolutions)
            self.evaluation_step = self.handwritten_step
            if amp:
                layers = [
                    make_single_network_layer(layer, flat, tuner)
                    for layer in dense_layers
                ]
                convolutions = HandwrittenConvolutions(self.stages, flat)
                self.evaluation_step = HandwrittenStep(
                    layers, loss, tuner, convolutions
                )

    def __call__(
        self, x: Tensor, y: Tensor, weight: Tensor | None, total_weight: float
    ) -> tuple[Tensor, Tensor]:
        """Compute a batch as `steps.Step` describes it."""
        logits, loss_terms = self._write_loss_gradients(x, y, weight)
        self.penalty.add_to_gradients(total_weight)
        return logits, loss_terms

    def evaluate(self, x: Tensor) -> Tensor:
        """Return the logits in evaluation mode, in full precision."""
        if self.evaluation_step and is_faster_by_stages(self.stages, x.shape[0]):
            return self.evaluation_step.logits(x)
        return self.network(x)

    def _write_loss_gradients(
        self, x: Tensor, y: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Write the gradients of the loss; return logits and loss terms."""
        self.flat.gradients.zero_()
        batch_size = x.shape[0]
        if not self.uses_chunks:
            return self._add_gradients(x, y, weight)
        if self.handwritten_step and is_faster_by_stages(self.stages, batch_size):
            return self.handwritten_step(x, y, weight)
        if self.chunk_size is None:
            widest = max_values_per_sample(self.network, x.shape[1])
            self.chunk_size = samples_per_chunk(widest)
        n_chunks = -(-batch_size // self.chunk_size)  # rounded up
        # Mixed precision computes dense layers faster in a handwritten step.
        if batch_size <= self.chunk_size and not self.amp:
            return self._add_gradients(x, y, weight)
        chunks = list(gen_even_slices(batch_size, n_chunks))
        if self.dense_layers and n_chunks <= self.max_kept_chunks:
            feature_extractor = _ChunkedFeatureExtractor(
                self.image_layers, chunks, self._autocast(x)
            )
            return self._whole_step(feature_extractor)(x, y, weight)
        results = []
        for chunk in chunks:
            fraction = (chunk.stop - chunk.start) / batch_size
            chunk_weight = None if weight is None else weight[chunk]
            results.append(
                self._add_gradients(x[chunk], y[chunk], chunk_weight, fraction)
            )
        logits, loss_terms = map(torch.cat, zip(*results, strict=True))
        return logits, loss_terms

    def _whole_step(self, extractor: FeatureExtractor) -> HandwrittenStep:
        """Return a step that computes the dense layers for the whole batch."""
        return HandwrittenStep(self.dense_layers, self.loss, self.tuner, extractor)

    def _add_gradients(
        self, x: Tensor, y: Tensor, weight: Tensor | None, fraction: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Add the gradients of a chunk; `fraction` is its share of the batch."""
        with (
            torch.enable_grad(),
            self._global_draws(),
            self._autocast(x),
        ):
            logits = self.network(x)
        with torch.enable_grad():
            logits = logits.to(x.dtype)
        loss_terms, grad = self.loss.loss_terms_and_gradient(logits.detach(), y, weight)
        if weight is None and fraction != 1.0:
            grad.mul_(fraction)
        logits.backward(grad)
        return logits.detach(), loss_terms

    def _autocast(self, x: Tensor) -> AbstractContextManager[object]:
        """Return the context in which modules compute in mixed precision."""
        if not self.amp:
            return nullcontext()
        return torch.autocast(x.device.type, torch.bfloat16)

    def _global_draws(self) -> AbstractContextManager[None]:
        """Let the network of a user draw from the generator of the fit."""
        if self.generator is None:
            return nullcontext()
        return global_draws_from(self.generator)


def split_before_dense(
    layers: list[nn.Module],
) -> tuple[nn.Sequential, list[DenseModules]]:
    """Return the layers before the first linear one, and the dense layers after.

    The list is empty if a handwritten step cannot compute the dense layers.
    """
    linear = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Linear)]
    first = linear[0] if linear else len(layers)
    return nn.Sequential(*layers[:first]), group_dense_modules(layers[first:]) or []


class _ChunkedFeatureExtractor:
    """Computes the layers before the dense ones by autograd, in chunks of a batch."""

    has_backward = True

    def __init__(
        self,
        layers: nn.Sequential,
        chunks: Sequence[slice],
        autocast: AbstractContextManager[object],
    ) -> None:
        self.layers = layers
        self.chunks = chunks
        self.autocast = autocast

    def forward(self, x: Tensor, training: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Return the features of the batch, and those of each chunk with its graph."""
        with torch.enable_grad(), self.autocast:
            features = [self.layers(x[chunk]) for chunk in self.chunks]
        whole = torch.cat([of_chunk.detach() for of_chunk in features])
        return whole.to(x.dtype), features

    def backward(self, grad: Tensor, saved: list[Tensor]) -> None:
        """Add to the parameters' gradients, and free the graph of each chunk."""
        for chunk in reversed(self.chunks):
            features = saved.pop()
            if features.requires_grad:
                features.backward(grad[chunk].to(features.dtype))
