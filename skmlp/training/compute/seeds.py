"""Sources of randomness for one fit; no global generator is drawn from."""

from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.random.bit_generator import ISeedSequence
from sklearn.utils import check_random_state


class _Unseeded(ISeedSequence):
    """Spares the entropy of a generator that is seeded afterwards anyway.

    To gather it takes NumPy as long as all else that a small network begins with.
    """

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        """Return zeros."""
        return np.zeros(n_words, dtype)


def resolve_random_state(
    random_state: int | np.random.RandomState | None,
) -> np.random.RandomState:
    """Return the generator for weights, validation rows and shuffling.

    None gives fresh entropy rather than NumPy's global generator, so that a fit leaves
    the latter as it was.
    """
    if random_state is None:
        return np.random.RandomState()
    if isinstance(random_state, Integral):
        # As documented, it takes what has the interface, whatever its annotation.
        generator = np.random.MT19937(_Unseeded())  # type: ignore[arg-type]
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
