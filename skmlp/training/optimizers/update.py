"""From a batch's gradients to the next parameters: clipping, decay, optimizer."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from skmlp.training.optimizers.flat_parameters import FlatParameters


class Update:
    """Moves the parameters of one network by the gradients that a step has left.

    Parameters
    ----------
    flat : FlatParameters
        What is moved.
    optimizer : torch.optim.Optimizer or None
        Of the vector of parameters; None if something else moves them.
    decay : float or sequence of float
        Share of the weights that a step at rate 1 takes away, whatever the gradient;
        for all layers or one each.
    max_grad_norm : float or None
        Largest norm of the gradient; longer ones are scaled down to it.
    """

    def __init__(
        self,
        flat: FlatParameters,
        optimizer: Any,
        decay: float | Sequence[float],
        max_grad_norm: float | None,
    ) -> None:
        self.flat = flat
        self.optimizer = optimizer
        self.max_grad_norm = max_grad_norm
        self._decays = [
            (flat.values[place], strength) for place, strength in flat.decays(decay)
        ]
        self._frozen: list[tuple[slice, Tensor]] = []

    def begin_epoch(self) -> None:
        """Leave alone what was frozen meanwhile, by a callback."""
        self._frozen = self.flat.frozen()

    def prepare(self) -> None:
        """Shrink the weights, and gradients that are too long; the frozen have none."""
        for place, _ in self._frozen:
            self.flat.gradients[place] = 0.0
        if self._decays:
            rate = self.optimizer.param_groups[0]["lr"]
            for weights, strength in self._decays:
                weights.mul_(1.0 - rate * strength)
        if self.max_grad_norm is not None:
            gradients = self.flat.gradients
            norm = torch.linalg.vector_norm(gradients)
            gradients.mul_((self.max_grad_norm / (norm + 1e-6)).clamp_max(1.0))

    def step(self) -> None:
        """Let the optimizer take its step, on what is not frozen."""
        optimizer = self.optimizer
        # A scheduler of torch's puts a step of its own there, to see it called.
        own = vars(optimizer).get("step") or getattr(optimizer, "update", None)
        (own or optimizer.step)()
        for place, kept in self._frozen:
            self.flat.values[place] = kept
