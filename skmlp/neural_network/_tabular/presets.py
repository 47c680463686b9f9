"""The values that a preset gives to the parameters that are 'auto'."""

import math
from typing import Any, NamedTuple


class Preset(NamedTuple):
    """Size and duration of a fit.

    Parameters
    ----------
    n_estimators : int
        Number of members with each kind of embedding.
    max_iter : int
        Number of epochs for up to `_SAMPLES_OF_FULL_TRAINING` samples.
    """

    n_estimators: int
    max_iter: int


PRESETS = {
    "fast": Preset(2, 32),
    "default": Preset(3, 48),
    "best": Preset(8, 64),
}

# Above this number of samples, a fit has fewer epochs, so that its number of steps
# stays about the same.
_SAMPLES_OF_FULL_TRAINING = 10_000

# Fraction of the epochs that any number of samples gets.
_SMALLEST_FRACTION = 0.25

# A fit ends after its epochs divided by this number without an improvement.
_PATIENCE_DIVISOR = 3

_SMALLEST_BATCH, _LARGEST_BATCH = 128, 512

# Bins of a number, and of all numbers together. Without the second limit, the first
# layer of a table with many numbers takes most of the time.
_MOST_BINS, _FEWEST_BINS, _MOST_BINS_OF_TABLE = 24, 4, 384


def choose_max_iter(preset: Preset, n_samples: int) -> int:
    """Return the number of epochs for a number of samples."""
    fraction = min(1.0, _SAMPLES_OF_FULL_TRAINING / max(1, n_samples))
    return math.ceil(preset.max_iter * max(_SMALLEST_FRACTION, fraction))


def choose_patience(max_iter: int) -> int:
    """Return the number of epochs without an improvement after which a fit ends."""
    return math.ceil(max_iter / _PATIENCE_DIVISOR)


def choose_batch_size(n_samples: int) -> int:
    """Return the number of samples in a batch, which grows with `n_samples`."""
    size = _SMALLEST_BATCH
    while size < _LARGEST_BATCH and n_samples > 100 * size:
        size *= 2
    return size


def choose_n_bins(n_numbers: int) -> int:
    """Return the number of bins of each number."""
    return min(_MOST_BINS, max(_FEWEST_BINS, _MOST_BINS_OF_TABLE // n_numbers))


def resolve(value: Any, preset_value: Any) -> Any:
    """Return the value of a parameter, or that of the preset for 'auto'."""
    return preset_value if isinstance(value, str) and value == "auto" else value
