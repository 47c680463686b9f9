import numpy as np

from benchmarks.data.datasets import load
from benchmarks.data.shifted_signals import LENGTH, NOISE, PATTERNS, make_signals


def test_signals_are_noise_and_one_pattern():
    signals, classes = make_signals(3000, 0)
    assert signals.shape == (3000, LENGTH)
    assert signals.dtype == np.float32
    assert np.bincount(classes).min() > 500
    windows = np.lib.stride_tricks.sliding_window_view(signals, PATTERNS.shape[1], 1)
    best = (windows @ PATTERNS.T).max(axis=1)  # (signals, patterns)
    # Without noise the largest product with the own pattern is at least its norm.
    norms = (PATTERNS**2).sum(axis=1)
    assert (
        best[np.arange(3000), classes]
        > norms[classes] - 4 * NOISE * norms[classes] ** 0.5
    ).mean() > 0.99


def test_patterns_are_at_every_place():
    signals, classes = make_signals(3000, 0)
    mean = signals[classes == 4].mean(axis=0)
    middle = mean[PATTERNS.shape[1] : -PATTERNS.shape[1]]
    assert middle.min() > 0.1
    assert middle.max() < 0.5


def test_training_and_test_signals_differ_but_never_change():
    first, again = load("shifted-signals"), load("shifted-signals")
    np.testing.assert_array_equal(first.X_train, again.X_train)
    assert not np.array_equal(first.X_train, first.X_test)
    assert first.image_shape is None
