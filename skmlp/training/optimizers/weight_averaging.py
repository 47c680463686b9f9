"""Exponential moving average of the weights (Polyak and Juditsky 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.snapshot import TensorSnapshot


class AveragedWeights:
    """An average of a network's weights and buffers over its training steps.

    Parameters
    ----------
    flat : FlatParameters
        The trained parameters.
    network : nn.Module
        Their network; its buffers (running statistics) are averaged too.
    decay : float
        Share of the average that a step leaves as it is. It grows with the number t
        of steps, as ``min(decay, (1 + t) / (10 + t))``, so that the start is forgotten.

    Attributes
    ----------
    tensors : list of Tensor
        The average.
    steps : int
        Number of steps in it.
    """

    def __init__(self, flat: FlatParameters, network: nn.Module, decay: float) -> None:
        self._current: list[Tensor] = [flat.values, *network.buffers()]
        self.tensors = [tensor.clone() for tensor in self._current]
        self.decay = decay
        self.steps = 0

    def update(self) -> None:
        """Take in the weights of one more step."""
        self.steps += 1
        share = 1.0 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        for average, current in zip(self.tensors, self._current, strict=True):
            if average.is_floating_point():
                average.lerp_(current, share)
            else:
                average.copy_(current)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the network have the average for a while."""
        trained = TensorSnapshot(self._current)
        self.adopt()
        try:
            yield
        finally:
            trained.restore()

    def adopt(self) -> None:
        """Let the network have the average for good."""
        TensorSnapshot(self._current, self.tensors).restore()
