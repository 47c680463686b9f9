"""Exponential moving average of the weights (Polyak and Juditsky 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.snapshot import TensorSnapshot


class AveragedWeights:
    """An average of a network's weights and buffers over its training steps.

    Parameters
    ----------
    flat : FlatParameters
        The trainable parameters.
    network : nn.Module
        The network; its buffers (running statistics) are averaged too.
    decay : float
        Factor of the previous average in a step. In step t the factor is ``min(decay,
        (1 + t) / (10 + t))``. The initial weights thus soon lose their influence.

    Attributes
    ----------
    tensors : list of Tensor
        The averages of the flat parameters and of the buffers.
    steps : int
        Number of steps in the averages.
    """

    def __init__(self, flat: FlatParameters, network: nn.Module, decay: float) -> None:
        self._current: list[Tensor] = [flat.values, *network.buffers()]
        self.tensors = [tensor.clone() for tensor in self._current]
        self.decay = decay
        self.steps = 0
        pairs = list(zip(self.tensors, self._current, strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._floats = [pair[0] for pair in floats], [pair[1] for pair in floats]
        self._integers = [pair for pair in pairs if not pair[0].is_floating_point()]

    def next_factor(self) -> float:
        """Count one more step; return the factor of its weights in the average."""
        self.steps += 1
        return 1.0 - min(self.decay, (1 + self.steps) / (10 + self.steps))

    def update(self, factor: float | Tensor) -> None:
        """Add the current weights to the average, with the factor of their step."""
        averages, current_values = self._floats
        if isinstance(factor, Tensor):
            factors = [factor] * len(averages)
            torch._foreach_lerp_(averages, current_values, factors)
        else:
            torch._foreach_lerp_(averages, current_values, factor)
        for average, current in self._integers:
            average.copy_(current)

    @contextmanager
    def temporarily_applied(self) -> Iterator[None]:
        """Give the network the averaged weights within the block."""
        trained = TensorSnapshot(self._current)
        self.apply()
        try:
            yield
        finally:
            trained.restore()

    def apply(self) -> None:
        """Give the network the averaged weights."""
        TensorSnapshot(self._current, self.tensors).restore()
