"""Signals that a generator makes: a pattern at a random place, in noise."""

from __future__ import annotations

import numpy as np

LENGTH = 128
PATTERN_LENGTH = 24
NOISE = 0.6

_STEPS = np.linspace(0, 1, PATTERN_LENGTH)

# One pattern for each class. The first two, and the next two, are mirror images.
PATTERNS = np.stack(
    [
        _STEPS,
        1 - _STEPS,
        np.sin(2 * np.pi * 4 * _STEPS**2),
        np.sin(2 * np.pi * 4 * (1 - _STEPS) ** 2),
        np.abs(np.sin(2 * np.pi * _STEPS)),
    ]
)


def make_signals(n_signals: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make signals of five classes.

    Parameters
    ----------
    n_signals : int
        Number of signals.
    seed : int
        Seed of the generator.

    Returns
    -------
    signals : ndarray of shape (n_signals, 128)
        White noise of standard deviation 0.6, and the pattern of the class. The first
        step of the pattern and its height, between 1 and 2, are drawn uniformly.
    classes : ndarray of shape (n_signals,)
        Integers from 0 to 4, drawn uniformly.
    """
    rng = np.random.default_rng(seed)
    classes = rng.integers(len(PATTERNS), size=n_signals)
    starts = rng.integers(LENGTH - PATTERN_LENGTH + 1, size=n_signals)
    heights = rng.uniform(1, 2, size=(n_signals, 1))
    signals = rng.normal(0, NOISE, size=(n_signals, LENGTH))
    steps = starts[:, np.newaxis] + np.arange(PATTERN_LENGTH)
    signals[np.arange(n_signals)[:, np.newaxis], steps] += heights * PATTERNS[classes]
    return signals.astype(np.float32), classes
