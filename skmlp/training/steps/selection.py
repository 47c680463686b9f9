"""Choose how a training step computes loss and gradients, and on how many threads."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from torch import Tensor, nn

from skmlp._warnings import warn
from skmlp.training.compute.dense_products import can_thread_large_products
from skmlp.training.compute.processor import bfloat16_is_fast
from skmlp.training.compute.thread_tuning import (
    MIN_TUNED_PARAMETERS,
    SINGLE_THREAD_TUNER,
    ThreadTuner,
)
from skmlp.training.compute.threads import single_threaded, threads_for_work
from skmlp.training.losses import Loss
from skmlp.training.modules.embeddings import FeatureEmbedding
from skmlp.training.modules.introspection import (
    count_parameters,
    has_convolutions,
    known_modules,
    multiply_adds,
    reference_parameter,
)
from skmlp.training.optimizers.flat_optimizers import FlatOptimizer
from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.optimizers.penalty import Penalty
from skmlp.training.steps.autograd_step import AutogradStep, split_before_dense
from skmlp.training.steps.handwritten_embedding import HandwrittenEmbedding
from skmlp.training.steps.handwritten_step import (
    DenseModules,
    HandwrittenStep,
    group_dense_modules,
    make_single_network_layer,
)
from skmlp.training.steps.image_stages import group_stages, is_faster_by_stages

# A step takes a batch: features, targets, normalized sample weights (or None), and the
# sum of the sample weights before normalization. It writes the gradients of the flat
# parameters. It returns the logits and the loss terms (see `Loss.mean_loss`).
Step = Callable[[Tensor, Tensor, Tensor | None, float], tuple[Tensor, Tensor]]


def make_step(
    network: nn.Module,
    loss: Loss,
    flat: FlatParameters,
    penalty: Penalty,
    amp: bool = False,
    tuner: ThreadTuner = SINGLE_THREAD_TUNER,
    generator: torch.Generator | None = None,
) -> Step:
    """Return a `HandwrittenStep` if the network allows it, else an `AutogradStep`.

    Both compute the same gradients, up to rounding.

    Parameters
    ----------
    network : nn.Module
        Maps features to logits.
    loss : Loss
    flat : FlatParameters
        Receives the gradients.
    penalty : Penalty
        Its derivative is part of the gradients.
    amp : bool
        Whether to compute in mixed precision. It needs float32 parameters and, on a
        CPU, instructions for bfloat16.
    tuner : ThreadTuner
        Chooses the number of threads.
    generator : Generator or None
        Draws the random numbers of modules that draw from torch's global generator.
    """
    amp = amp and _gains_by_bfloat16(flat.values)
    is_handwritten = flat.values.is_cpu or not amp
    if is_handwritten and (dense_layers := _handwritten_layers(network)):
        embedding, modules = None, known_modules(network)
        if modules and isinstance(first := modules[0], FeatureEmbedding):
            embedding = HandwrittenEmbedding(
                first, Tensor.detach, lambda p: cast(Tensor, flat.gradient_of(p))
            )
        layers = [
            make_single_network_layer(layer, flat, tuner, alpha, amp)
            for layer, alpha in zip(dense_layers, penalty.alphas, strict=True)
        ]
        return HandwrittenStep(layers, loss, tuner, embedding)
    return AutogradStep(network, loss, flat, penalty, amp, tuner, generator)


def threads_for_step(
    network: nn.Module,
    optimizer: Any,
    batch_shape: tuple[int, int],
    is_augmented: bool = False,
) -> AbstractContextManager[None]:
    """Return the context in which steps run: one thread, or torch's number of threads.

    On one thread, a `ThreadTuner` chooses the threads of the large operations of a
    `HandwrittenStep` and of a `FlatOptimizer`. Handwritten convolutions use all threads
    without waiting for them. An augmentation of images uses torch's number of threads.
    """
    batch_size, n_features = batch_shape
    is_flat = isinstance(optimizer, FlatOptimizer)
    if is_flat and not is_augmented and _has_tuned_convolutions(network, batch_size):
        return single_threaded()
    is_tuned = not has_convolutions(network) and can_thread_large_products(
        reference_parameter(network)
    )
    if is_tuned and is_flat and _handwritten_layers(network):
        return single_threaded()
    work = multiply_adds(network, n_features) * batch_size
    return threads_for_work(work, tuned=is_tuned)


def _handwritten_layers(network: nn.Module) -> list[DenseModules] | None:
    """Return the dense layers of a `HandwrittenStep`; None if it cannot compute all."""
    modules = known_modules(network)
    if modules and isinstance(first := modules[0], FeatureEmbedding):
        # Only autograd leaves out single parameters.
        if not all(parameter.requires_grad for parameter in first.parameters()):
            return None
        modules = modules[1:]
    return group_dense_modules(modules) if modules else None


def _has_tuned_convolutions(network: nn.Module, batch_size: int) -> bool:
    """Return whether the step has handwritten convolutions, and a tuner."""
    first, modules = reference_parameter(network), known_modules(network)
    if modules is None or not can_thread_large_products(first):
        return False
    if count_parameters(network, trainable=True) < MIN_TUNED_PARAMETERS:
        return False
    image_layers, dense_layers = split_before_dense(modules)
    stages = group_stages(image_layers) if dense_layers else None
    return stages is not None and is_faster_by_stages(stages, batch_size)


def _gains_by_bfloat16(values: Tensor) -> bool:
    """Return whether mixed precision makes a step faster; warn if it does not."""
    if values.dtype is not torch.float32:
        warn("amp=True has no effect in float64; set dtype='float32'.")
        return False
    if values.is_cpu and not bfloat16_is_fast():
        warn(
            "amp=True has no effect: this processor has no instructions for bfloat16 "
            "that skmlp knows (AMX or AVX512-BF16)."
        )
        return False
    return True
