"""Initializers: rules for the initial weights, drawn from NumPy's ``RandomState``."""

from typing import Any, NamedTuple

import numpy as np


class Fan(NamedTuple):
    """The fan-in and fan-out of a unit: its numbers of inputs and of outputs."""

    inputs: int
    outputs: int


# Variance scaling (He et al. 2015, arXiv:1502.01852; Glorot and Bengio 2010; LeCun et
# al. 1998): the variance of a weight is scale / fan.
_SCALING = {
    "glorot": (1.0, lambda fan: (fan.inputs + fan.outputs) / 2),
    "he": (2.0, lambda fan: fan.inputs),
    "lecun": (1.0, lambda fan: fan.inputs),
}

# The standard deviation of a standard normal that is truncated at 2, as computed by
# `scipy.stats.truncnorm(-2, 2).std()`. Keras divides by it in its `VarianceScaling`
# (https://keras.io/api/layers/initializers), to keep the variance.
_TRUNCATED_DEVIATION = 0.87962566103423978

NAMES = (
    "auto",
    *(
        f"{scaling}_{distribution}"
        for scaling in _SCALING
        for distribution in ("uniform", "normal", "truncated_normal")
    ),
    "orthogonal",
    "truncated_normal",
    "identity",
    "zeros",
    "data_dependent",
)


def draw_layer(
    init: str,
    activation: Any,
    shape: tuple[int, ...],
    fan: Fan,
    random_state: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the weights and biases of one layer in float64.

    Parameters
    ----------
    init : str
        One of `NAMES`. 'auto' is scikit-learn's rule: weights and biases are uniform in
        ``[-b, b]`` with ``b = sqrt(6 / (fan_in + fan_out))``, or 2 instead of 6 for
        'logistic'. All other initializers set the biases to zero, as Keras does.
        'data_dependent' draws as 'lecun_normal'; `initialize_from_data` follows.
    activation : str or callable
        The activation that follows.
    shape : tuple of int
        Shape of the weights, ``(in, out)`` or ``(height, width, in, out)``.
    fan : Fan
        Connections of a unit.
    random_state : RandomState
        Random generator.

    Returns
    -------
    weights : ndarray of `shape`
    biases : ndarray of shape (shape[-1],)
    """
    if init == "auto":
        factor = 2.0 if activation == "logistic" else 6.0
        bound = np.sqrt(factor / (fan.inputs + fan.outputs))
        weights = random_state.uniform(-bound, bound, shape)
        return weights, random_state.uniform(-bound, bound, shape[-1])
    return _draw_weights(init, shape, fan, random_state), np.zeros(shape[-1])


def _draw_weights(
    init: str,
    shape: tuple[int, ...],
    fan: Fan,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Draw the weights of one layer by an initializer other than 'auto'."""
    if init == "data_dependent":
        init = "lecun_normal"
    scaling, _, distribution = init.partition("_")
    if scaling in _SCALING:
        scale, fan_of = _SCALING[scaling]
        deviation = np.sqrt(scale / fan_of(fan))
        if distribution == "uniform":
            bound = np.sqrt(3.0) * deviation
            return random_state.uniform(-bound, bound, shape)
        if distribution == "truncated_normal":
            deviation /= _TRUNCATED_DEVIATION
            return deviation * _truncated_normal(shape, random_state)
        return random_state.normal(0.0, deviation, shape)
    if init == "truncated_normal":
        return 0.05 * _truncated_normal(shape, random_state)
    if init == "zeros":
        return np.zeros(shape)
    rows, columns = int(np.prod(shape[:-1])), shape[-1]
    if init == "identity":
        return np.eye(rows, columns).reshape(shape)
    return _orthogonal(rows, columns, random_state).reshape(shape)


def _orthogonal(
    rows: int, columns: int, random_state: np.random.RandomState
) -> np.ndarray:
    """Draw an orthonormal matrix (Saxe et al. 2013, arXiv:1312.6120)."""
    gaussian = random_state.normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(gaussian)
    # The signs of q from LAPACK follow a convention. Multiplying by the signs of the
    # diagonal of r makes q uniformly distributed.
    q *= np.sign(np.diag(r))
    return q if rows >= columns else q.T


def _truncated_normal(
    shape: tuple[int, ...], random_state: np.random.RandomState
) -> np.ndarray:
    """Draw standard normals, and redraw those beyond two standard deviations."""
    values = random_state.normal(size=shape)
    while (outside := np.abs(values) > 2.0).any():
        values[outside] = random_state.normal(size=int(outside.sum()))
    return values
