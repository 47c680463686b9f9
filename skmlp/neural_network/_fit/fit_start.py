"""The start of a fit: all that is drawn and divided before the training."""

import copy
from typing import NamedTuple

import torch

from skmlp.neural_network._fit.fit_data import FitData
from skmlp.training.compute.seeds import RandomStateFork, SharedRandomState
from skmlp.training.data.batches import BatchLoader
from skmlp.training.modules.layers import set_dropout_generator
from skmlp.training.net import Net
from skmlp.training.prototypes import CopiedNetwork, NetPrototype


class FitStart(NamedTuple):
    """A net with initial weights, and the batches that it trains on.

    Attributes
    ----------
    net : Net
    generator : Generator or None
        Generator of dropout, augmentation and noise.
    train, valid : FitData
        The training set, and the validation set, which is None without one.
    batches, valid_batches : BatchLoader
        The batches of both sets.
    """

    net: Net
    generator: torch.Generator | None
    train: FitData
    valid: FitData | None
    batches: BatchLoader
    valid_batches: BatchLoader | None

    @property
    def is_shareable(self) -> bool:
        """Whether a `SharedStart` can be made: features are changed by nobody."""
        return self.batches.augment is None and self.batches.corrupt is None


class SharedStart:
    """The start of fits that differ only in parameters of their training.

    Such fits have the same seed and the same data. So they have equal initial weights
    and equal batches, which are drawn once.

    Parameters
    ----------
    start : FitStart
        The start of the first fit, whose training has not begun. Nobody else reads its
        RandomState.
    prototype : NetPrototype
        Of its net.

    Attributes
    ----------
    loss : Loss
        The loss of all these fits. Nobody changes a loss.
    """

    def __init__(self, start: FitStart, prototype: NetPrototype) -> None:
        self._prototype = prototype
        self.loss = start.net.criterion_
        self._values = start.net.flat_.values.clone()
        self._train, self._valid = start.train, start.valid
        self._valid_batches = start.valid_batches
        self._generator = start.generator
        self._random_state: SharedRandomState | None = None
        if start.batches.random_state is not None:
            assert not isinstance(start.batches.random_state, RandomStateFork)
            self._random_state = SharedRandomState(start.batches.random_state)
            start.batches.random_state = self._random_state.fork()
        self._batches = copy.copy(start.batches)

    @property
    def can_repeat(self) -> bool:
        """Whether another fit can start; not after the training of a single one."""
        return self._random_state is None or self._random_state.can_fork

    @property
    def defers_network(self) -> bool:
        """Whether the modules of a copy are made when they are first read."""
        return self._prototype.has_parameters_only

    def copy_network(self) -> CopiedNetwork:
        """Return a new network with the initial weights."""
        copied = self._prototype.copy()
        copied.flat.values.copy_(self._values)
        return copied

    def repeat(self, net: Net) -> FitStart:
        """Return the start of another fit; its net has a network of `copy_network`."""
        batches, generator = copy.copy(self._batches), None
        batches.order = batches.data.index
        if self._random_state is not None:
            batches.random_state = self._random_state.fork()
        if self._generator is not None:
            generator = torch.Generator(self._generator.device)
            generator.manual_seed(self._generator.initial_seed())
            set_dropout_generator(net.module_, generator)
        return FitStart(
            net, generator, self._train, self._valid, batches, self._valid_batches
        )
