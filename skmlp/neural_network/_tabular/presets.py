"""The values that a preset gives to the parameters that are 'auto'."""

import math
from typing import Any, NamedTuple


class Preset(NamedTuple):
    """Size and duration of a fit.

    Parameters
    ----------
    n_estimators : int
        Number of members.
    max_iter : int
        Number of epochs for up to `_SAMPLES_OF_FULL_TRAINING` samples.
    numerical_embedding : str or None
        Embedding of the numbers.
    """

    n_estimators: int
    max_iter: int
    numerical_embedding: str | None


PRESETS = {
    "fast": Preset(4, 24, "periodic"),
    "default": Preset(8, 48, "periodic"),
    "best": Preset(16, 64, "auto"),
}

# Above this number of samples, a fit has fewer epochs, so that its number of steps
# stays about the same.
_SAMPLES_OF_FULL_TRAINING = 10_000

# Fraction of the epochs that any number of samples gets.
_SMALLEST_FRACTION = 0.25

_SMALLEST_BATCH, _LARGEST_BATCH = 128, 512


def choose_max_iter(preset: Preset, n_samples: int) -> int:
    """Return the number of epochs for a number of samples."""
    fraction = min(1.0, _SAMPLES_OF_FULL_TRAINING / max(1, n_samples))
    return math.ceil(preset.max_iter * max(_SMALLEST_FRACTION, fraction))


def choose_batch_size(n_samples: int) -> int:
    """Return the number of samples in a batch, which grows with `n_samples`."""
    size = _SMALLEST_BATCH
    while size < _LARGEST_BATCH and n_samples > 100 * size:
        size *= 2
    return size


def resolve(value: Any, preset_value: Any) -> Any:
    """Return the value of a parameter, or that of the preset for 'auto'."""
    return preset_value if isinstance(value, str) and value == "auto" else value
