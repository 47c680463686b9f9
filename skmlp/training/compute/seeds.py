"""Sources of randomness for one fit; the global generators stay untouched."""

import pickle
from functools import cached_property
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


class SharedRandomState:
    """A state of a RandomState from which several fits draw the same numbers.

    NumPy needs longer to seed, read or copy a state than a small network needs for an
    epoch. All members of a pack begin with equal states. So the numbers are drawn once,
    from one state.

    Parameters
    ----------
    random_state : RandomState
        Nobody else draws from it.
    """

    def __init__(self, random_state: np.random.RandomState) -> None:
        self._random_state: np.random.RandomState | None = random_state
        self._n_forks = 0

    @cached_property
    def fingerprint(self) -> bytes:
        """A key that is equal for equal states."""
        assert self._random_state is not None
        return fingerprint(self._random_state)

    @property
    def can_fork(self) -> bool:
        """Whether more forks can be made. A single fork uses up the state itself."""
        return self._random_state is not None

    def fork(self) -> "RandomStateFork":
        """Return a generator that begins in this state."""
        self._n_forks += 1
        return RandomStateFork(self)

    def take(self) -> np.random.RandomState:
        """Return a RandomState for the first draw of a fork."""
        shared = self._random_state
        assert shared is not None
        if self._n_forks == 1:
            self._random_state = None
            return shared
        copied = resolve_random_state(0)
        copied.set_state(shared.get_state())
        return copied


class RandomStateFork:
    """Shuffles as the RandomState of a `SharedRandomState` would.

    Its state is not stored after the training. So a fork that never draws has no copy.
    """

    def __init__(self, shared: SharedRandomState) -> None:
        self._shared = shared
        self._own: np.random.RandomState | None = None

    @property
    def fingerprint(self) -> bytes:
        """A key that is equal for equal states."""
        return self._shared.fingerprint if self._own is None else fingerprint(self._own)

    def shuffle(self, values: np.ndarray) -> None:
        """Shuffle an array in place."""
        self._drawn_from().shuffle(values)

    def get_state(self) -> Any:
        """Return the state, as a RandomState does."""
        return self._drawn_from().get_state()

    def set_state(self, state: Any) -> None:
        """Set the state, as a RandomState does."""
        self._drawn_from().set_state(state)

    def _drawn_from(self) -> np.random.RandomState:
        """Return the RandomState of this fork only."""
        if self._own is None:
            self._own = self._shared.take()
        return self._own


def fingerprint(random_state: np.random.RandomState) -> bytes:
    """Return a key that is equal for equal states."""
    return pickle.dumps(random_state.get_state())


def torch_generator(
    random_state: np.random.RandomState, device: torch.device
) -> torch.Generator:
    """Return a generator on `device`, seeded by one draw from `random_state`."""
    generator = torch.Generator(device)
    generator.manual_seed(int(random_state.randint(np.iinfo(np.int32).max)))
    return generator
