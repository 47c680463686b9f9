"""The score of an autoencoder, computed in blocks of samples."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.sparse
from torch import Tensor

from skmlp.training.data.slices import samples_per_chunk

# Each thread reconstructs a chunk, and all chunks are compared with X at once.
_CHUNKS_AT_ONCE = 8


def samples_per_block(widest_layer: int) -> int:
    """Return how many samples are compared with their reconstructions at once.

    `widest_layer` is the number of values of a sample in its widest layer.
    """
    return _CHUNKS_AT_ONCE * samples_per_chunk(widest_layer)


def to_dense_rows(X: Any) -> np.ndarray:
    """Return samples, dense and in memory, in the shape ``(n, n_features)``."""
    X = X.toarray() if scipy.sparse.issparse(X) else np.asarray(X)
    return X.reshape(len(X), -1)


def negative_error(
    blocks: Iterable[tuple[np.ndarray, Tensor]], weight: np.ndarray | None
) -> float:
    """Return minus the mean squared error of samples and reconstructions, in blocks."""
    # Diverging reconstructions have the score -inf or nan.
    with np.errstate(over="ignore", invalid="ignore"):
        errors = [
            np.square(samples - outputs.numpy()).mean(axis=1, dtype=np.float64)
            for samples, outputs in blocks
        ]
    return -float(np.average(np.concatenate(errors), weights=weight))
