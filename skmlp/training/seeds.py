"""Sources of randomness for one fit; no global generator is drawn from."""

import numpy as np
import torch
from sklearn.utils import check_random_state


def resolve_random_state(
    random_state: int | np.random.RandomState | None,
) -> np.random.RandomState:
    """Return the generator for weights, validation rows and shuffling.

    None gives fresh entropy rather than NumPy's global generator, so that a fit leaves
    the latter as it was.
    """
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)


def torch_generator(
    random_state: np.random.RandomState, device: torch.device
) -> torch.Generator:
    """Return a generator on `device`, seeded by one draw from `random_state`."""
    generator = torch.Generator(device)
    generator.manual_seed(int(random_state.randint(np.iinfo(np.int32).max)))
    return generator
