"""A training loop in JAX that is compiled as a whole: one call is one epoch.

Features and labels of an epoch are gathered in the order of training, and `lax.scan`
takes one step of Adam for each batch. The remaining samples of an epoch are left out,
so that all batches have one shape.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.speed.workloads import Network

N_CLASSES = 10
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8

Parameters = list[tuple[jax.Array, jax.Array]]


def make_parameters(network: Network, n_inputs: int) -> Parameters:
    """Draw weights ``(in, out)`` and biases of a multi-layer perceptron."""
    rng = np.random.default_rng(0)
    sizes = [n_inputs, *network.hidden, N_CLASSES]
    parameters = []
    for n_in, n_out in pairwise(sizes):
        bound = np.sqrt(6.0 / (n_in + n_out))
        weights = rng.uniform(-bound, bound, (n_in, n_out)).astype(np.float32)
        parameters.append((jnp.asarray(weights), jnp.zeros(n_out)))
    return parameters


def _loss(parameters: Parameters, x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the mean cross-entropy of a batch."""
    for weights, biases in parameters[:-1]:
        x = jax.nn.relu(x @ weights + biases)
    weights, biases = parameters[-1]
    log_p = jax.nn.log_softmax(x @ weights + biases)
    return -jnp.take_along_axis(log_p, y[:, None], 1).mean()


@cache
def _compile_epoch(learning_rate: float, decay: float) -> Any:
    """Return a compiled function that trains for one epoch."""

    def step(state: Any, batch: Any) -> Any:
        parameters, first, second, t = state
        loss, grads = jax.value_and_grad(_loss)(parameters, *batch)
        # The L2 penalty applies to the weights, as in scikit-learn.
        grads = [
            (g + decay * w, g_bias)
            for (g, g_bias), (w, _) in zip(grads, parameters, strict=True)
        ]
        t = t + 1
        rate = learning_rate * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
        tree_map = jax.tree_util.tree_map
        first = tree_map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, first, grads)
        second = tree_map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, second, grads)
        parameters = tree_map(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON),
            parameters,
            first,
            second,
        )
        return (parameters, first, second, t), loss

    def epoch(state: Any, X: jax.Array, y: jax.Array, order: jax.Array) -> Any:
        state, losses = jax.lax.scan(step, state, (X[order], y[order]))
        return state, losses.mean()

    return jax.jit(epoch)


def train(X: np.ndarray, y: np.ndarray, network: Network, epochs: int) -> list[float]:
    """Train by Adam, and return the loss of every epoch."""
    size = network.batch_size
    epoch = _compile_epoch(network.learning_rate, network.alpha / size)
    parameters = make_parameters(network, X.shape[1])
    zeros = jax.tree_util.tree_map(jnp.zeros_like, parameters)
    state = (parameters, zeros, zeros, jnp.zeros((), jnp.int32))
    samples, labels = jnp.asarray(X), jnp.asarray(y.astype(np.int32))
    rng = np.random.default_rng(0)
    n_steps = len(X) // size
    curve = []
    for _ in range(epochs):
        order = rng.permutation(len(X))[: n_steps * size].reshape(n_steps, size)
        state, loss = epoch(state, samples, labels, jnp.asarray(order))
        curve.append(float(loss))
    return curve
