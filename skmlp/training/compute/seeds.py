"""Sources of randomness for one fit; the global generators stay untouched."""

from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.random.bit_generator import ISeedSequence
from sklearn.utils import check_random_state


class _ZeroSeedSequence(ISeedSequence):
    """A seed sequence of zeros, for a generator that is seeded right afterwards.

    Without it NumPy collects entropy from the system. That takes as long as the rest of
    the set-up of a small network.
    """

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        """Return zeros."""
        return np.zeros(n_words, dtype)


def resolve_random_state(
    random_state: int | np.random.RandomState | None,
) -> np.random.RandomState:
    """Return the generator for initial weights, validation set and shuffling.

    None gives a generator with fresh entropy. scikit-learn would give NumPy's global
    generator, which a fit would then change.
    """
    if random_state is None:
        return np.random.RandomState()
    if isinstance(random_state, Integral):
        # NumPy's documentation allows any seed sequence, its annotation does not.
        generator = np.random.MT19937(_ZeroSeedSequence())  # type: ignore[arg-type]
        seeded = np.random.RandomState(generator)
        seeded.seed(int(random_state))
        return seeded
    return check_random_state(random_state)


def torch_generator(
    random_state: np.random.RandomState, device: torch.device
) -> torch.Generator:
    """Return a generator on `device`, seeded by one draw from `random_state`."""
    generator = torch.Generator(device)
    generator.manual_seed(int(random_state.randint(np.iinfo(np.int32).max)))
    return generator
