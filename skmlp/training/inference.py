"""Compute logits or predictions in chunks, which run in parallel threads."""

import math
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skmlp.training.compute.ambient_modes import in_default_modes, inference_mode
from skmlp.training.compute.dense_products import linear_for_inference
from skmlp.training.compute.processor import mkl_is_fast
from skmlp.training.compute.split_products import (
    linear_in_sample_parts,
    number_of_sample_parts,
)
from skmlp.training.compute.thread_pool import for_each
from skmlp.training.compute.thread_tuning import cores_are_free
from skmlp.training.compute.threads import available_threads, single_threaded
from skmlp.training.data.device_tensors import to_dense_aligned
from skmlp.training.data.slices import samples_per_chunk, slices_of_size
from skmlp.training.data.sources import Source
from skmlp.training.modules.activations import HANDWRITTEN_ACTIVATIONS
from skmlp.training.modules.introspection import (
    copy_sharing_weights,
    is_known,
    known_modules,
    max_values_per_sample,
    modules_in_sequence,
    reference_parameter,
)
from skmlp.training.steps.handwritten_step import DenseModules, group_dense_modules

# Maximum number of values of a chunk in the widest layer of a dense network. The layer
# then fits into the cache of a core.
_VALUES_PER_DENSE_CHUNK = 2**19

# Maximum number of values of all samples in the widest layer, if threads share the
# products.
_VALUES_OF_DIVIDED_PRODUCTS = 2**22

# Minimum number of multiply-adds of a chunk, if there are several. Less work is done
# before another thread has begun.
_MIN_MULTIPLY_ADDS_PER_CHUNK = 2**25

# Maximum number of chunks, a power of two, into which few samples are divided.
_CHUNKS_OF_FEW_SAMPLES = 8

# Features for each unit of the first layer from which on its outputs are tested for
# values that are not finite, and not the features.
_MIN_FEATURES_PER_TESTED_OUTPUT = 2

# Number of logits that an output activation gets at once.
_LOGITS_PER_CHUNK = 2**18


@in_default_modes
def forward_in_chunks(
    network: nn.Module,
    X: Any,
    transform: Callable[[Tensor], Tensor] | None = None,
    output_activation: Callable[[Tensor], Tensor] | None = None,
    on_nonfinite: Callable[[], object] | None = None,
) -> Tensor:
    """Return the output of a network, or of its first layers, for every sample of X.

    The rounding of BLAS depends on the number of threads. Each chunk is therefore
    computed by one thread, and several chunks run at the same time. The result is
    exactly equal for any number of threads.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    X : ndarray, CSR matrix or Source of shape (n, features)
    transform : callable or None
        Function that is applied to the samples of every chunk before the network.
    output_activation : callable or None
        Function that is applied to the logits of every chunk.
    on_nonfinite : callable or None
        Function that is called once if the samples, in the dtype of the network, may
        hold values that are not finite. It raises an error if they do. A large sum of
        finite values may be infinite. Not for a `Source`.

    Returns
    -------
    outputs : Tensor of shape (n, outputs)
        On the CPU, in the dtype of the network.
    """
    forward = _Forward(network, transform, output_activation, on_nonfinite is not None)
    if isinstance(X, Source):
        return _forward_windows(forward, X)
    outputs = forward(X)
    if on_nonfinite is not None and not forward.is_finite:
        on_nonfinite()
    return outputs


def _forward_windows(forward: "_Forward", X: Source) -> Tensor:
    """Return the outputs for all samples of a source, which is read in windows."""
    # All outputs are in one array. Many small arrays would fragment the memory.
    outputs: Tensor | None = None
    n_samples, n_features = X.shape
    widest = max_values_per_sample(forward.network, n_features)
    chunk_size = samples_per_chunk(widest, forward.device.type)
    for window in X.windows(np.arange(n_samples), chunk_size):
        in_order = bool((window.positions[1:] > window.positions[:-1]).all())
        samples = window.X if in_order else window.X[window.positions]
        output = forward(samples)
        if outputs is None:
            outputs = output.new_empty((n_samples, *output.shape[1:]))
        outputs[window.order_slice] = output
    assert outputs is not None
    return outputs


class _Forward:
    """Computes the output of a network for samples in memory.

    Attributes
    ----------
    is_finite : bool
        Whether the sums of all chunks have been finite, if they are tested.
    """

    def __init__(
        self,
        network: nn.Module,
        transform: Callable[[Tensor], Tensor] | None,
        output_activation: Callable[[Tensor], Tensor] | None,
        tests_finite: bool,
    ) -> None:
        self.network = network
        self.transform = transform
        self.output_activation = output_activation
        self.tests_finite = tests_finite
        self.is_finite = True
        # Calls of torch's modules take longer than the arithmetic of a few samples.
        self.dense_layers = _find_dense_layers(network)
        first = reference_parameter(network)
        self.dtype, self.device = first.dtype, first.device

    def __call__(self, X: Any) -> Tensor:
        """Return the outputs for all samples."""
        if self._divides_products(*X.shape):
            with single_threaded():
                return self._compute(X, self.network, self._threads_for_products(X))
        chunks = slices_of_size(X.shape[0], self._chunk_size(*X.shape))
        if len(chunks) == 1:
            with single_threaded():
                return self._compute(X, self.network)
        n_threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        if self.dense_layers is not None:
            n_units = self.dense_layers[-1].linear.out_features
            outputs = torch.empty((X.shape[0], n_units), dtype=self.dtype)
        else:
            # The shape of the outputs is known after the first chunk.
            first, *chunks = chunks
            with single_threaded():
                output = self._compute(X[first], self.network)
            outputs = output.new_empty((X.shape[0], *output.shape[1:]))
            outputs[first] = output

        # A user's module may store values between the calls of its parts.
        is_shared = n_threads == 1 or known_modules(self.network) is not None
        free_networks: SimpleQueue[nn.Module] = SimpleQueue()
        for _ in range(min(n_threads, len(chunks))):
            free_networks.put(
                self.network if is_shared else copy_sharing_weights(self.network)
            )

        def fill(chunk: slice) -> None:
            network = free_networks.get()
            outputs[chunk] = self._compute(X[chunk], network)
            free_networks.put(network)

        for_each(fill, chunks, n_threads)
        return outputs

    def _divides_products(self, n_samples: int, n_features: int) -> bool:
        """Return whether threads share the products, and not the samples.

        For few samples, threads of torch begin sooner than threads of Python.
        """
        if n_samples == 1 or self.dense_layers is None or not mkl_is_fast():
            return False
        n_weights, widest = 0, n_features
        for layer in self.dense_layers:
            n_inputs, n_units = layer.linear.in_features, layer.linear.out_features
            n_weights = max(n_weights, n_inputs * n_units)
            widest = max(widest, n_units)
        return (
            number_of_sample_parts(n_samples, n_samples * n_weights) > 1
            and n_samples * widest <= _VALUES_OF_DIVIDED_PRODUCTS
            and self.dtype is torch.float32
            and self.device.type == "cpu"
        )

    def _threads_for_products(self, X: Any) -> int:
        """Return how many threads share the products."""
        n_threads = available_threads()
        return n_threads if n_threads == 1 or cores_are_free(n_threads) else 1

    def _compute(
        self, X: Any, network: nn.Module, n_threads: int | None = None
    ) -> Tensor:
        """Return the outputs for the samples of a chunk.

        With `n_threads`, all samples are one chunk, and threads share the products.
        """
        with inference_mode(True):
            x = to_dense_aligned(X, self.dtype, self.device)
            # Integers are finite. The test of values on a GPU waits for them.
            tests_finite = self.tests_finite and X.dtype.kind not in "biu"
            tests_outputs = tests_finite and self._has_few_units(x)
            if tests_finite and not tests_outputs:
                self._test_finite(x)
            if self.transform is not None:
                x = self.transform(x)
            if self.dense_layers is None:
                x = network(x)
            else:
                x = self._evaluate_dense(x, tests_outputs, n_threads)
            if self.output_activation is not None:
                x = self.output_activation(x)
            return x.cpu()

    def _has_few_units(self, x: Tensor) -> bool:
        """Return whether the first layer has much fewer outputs than samples have.

        A feature that is not finite makes all outputs of its sample infinite or NaN, so
        that it is faster to test the outputs. A library may compute the product of one
        sample in another way.
        """
        if len(x) == 1 or self.dense_layers is None or not x.is_cpu:
            return False
        first = self.dense_layers[0].linear
        return first.in_features >= _MIN_FEATURES_PER_TESTED_OUTPUT * first.out_features

    def _test_finite(self, values: Tensor) -> None:
        """Set `is_finite` to False if the sum of the values is not finite."""
        if not math.isfinite(values.sum()):
            self.is_finite = False

    def _evaluate_dense(
        self, x: Tensor, tests_outputs: bool, n_threads: int | None
    ) -> Tensor:
        """Return the output of the dense layers in evaluation mode.

        With `tests_outputs`, the outputs of the first layer are tested.
        """
        assert self.dense_layers is not None
        for linear, norm, activation, _ in self.dense_layers:
            weight, bias, n_parts = linear.weight, linear.bias, 1
            if n_threads is not None:
                n_parts = number_of_sample_parts(len(x), len(x) * weight.numel())
            if n_threads is not None and n_parts > 1:
                x = linear_in_sample_parts(
                    x.contiguous(), weight, bias, n_parts, n_threads
                )
            else:
                x = linear_for_inference(x, weight, bias)
            if tests_outputs:
                self._test_finite(x)
                tests_outputs = False
            activate_in_place, _ = HANDWRITTEN_ACTIVATIONS[activation]
            x = activate_in_place(x if norm is None else norm(x))
        return x

    def _chunk_size(self, n_samples: int, n_features: int) -> int:
        """Return how many samples are computed at once.

        It does not depend on the number of threads.
        """
        if n_samples == 1:
            return 1
        if self.dense_layers is None or self.device.type != "cpu":
            widest = max_values_per_sample(self.network, n_features)
            return samples_per_chunk(widest, self.device.type)
        widest, multiply_adds = n_features, 0
        for layer in self.dense_layers:
            n_units, n_inputs = layer.linear.weight.shape
            widest = max(widest, n_units)
            multiply_adds += n_samples * n_units * n_inputs
        n_chunks = _CHUNKS_OF_FEW_SAMPLES
        while n_chunks > 1 and multiply_adds < n_chunks * _MIN_MULTIPLY_ADDS_PER_CHUNK:
            n_chunks //= 2
        size = -(-n_samples // n_chunks)  # rounded up
        return max(1, min(size, _VALUES_PER_DENSE_CHUNK // widest))


def _find_dense_layers(network: nn.Module) -> list[DenseModules] | None:
    """Return the layers of a network that has dense layers only."""
    modules = modules_in_sequence(network)
    if modules is None or not all(map(is_known, modules)):
        return None
    return group_dense_modules(modules)


@in_default_modes
def activate(logits: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply the output activation. To save memory, many logits are overwritten."""
    size = max(1, _LOGITS_PER_CHUNK // max(1, math.prod(logits.shape[1:])))
    if len(logits) <= size:
        return activation(logits)
    with inference_mode(True):
        for chunk in slices_of_size(len(logits), size):
            logits[chunk] = activation(logits[chunk])
    return logits
