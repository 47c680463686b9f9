"""From a batch's gradients to the next parameters: penalty, clipping, optimizer."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from skmlp.training.flat import FlatParameters
from skmlp.training.team import team_size
from skmlp.training.threads import on_threads


class Update:
    """Moves the parameters of one network by the gradients that a step has left.

    Parameters
    ----------
    flat : FlatParameters
        What is moved.
    optimizer : torch.optim.Optimizer or None
        Of the vector of parameters; None if something else moves them.
    alpha : float or sequence of float
        Strength of the L2 penalty, for all layers or one each.
    decoupled : bool
        Whether it shrinks the weights themselves, whatever the gradient.
    max_grad_norm : float or None
        Largest norm of the gradient; longer ones are scaled down to it.
    """

    def __init__(
        self,
        flat: FlatParameters,
        optimizer: Any,
        alpha: float | Sequence[float],
        decoupled: bool,
        max_grad_norm: float | None,
    ) -> None:
        self.flat = flat
        self.optimizer = optimizer
        self.decoupled = decoupled
        self.max_grad_norm = max_grad_norm
        self._decays = [
            (flat.values[place], flat.gradients[place], strength)
            for place, strength in flat.decays(alpha)
        ]
        self._frozen: list[tuple[slice, Tensor]] = []

    def begin_epoch(self) -> None:
        """Leave alone what was frozen meanwhile, by a callback."""
        self._frozen = self.flat.frozen()

    def prepare(self, loss: Tensor, total: float) -> Tensor:
        """Make the gradients those to go down by; return the loss they belong to.

        `total` is the weight of the batch's rows, by which the penalty is divided.
        """
        if self.decoupled:
            rate = self.optimizer.param_groups[0]["lr"]
            for weights, _, alpha in self._decays:
                weights.mul_(1.0 - rate * alpha)
        else:
            loss = self.penalize(loss, total)
        if self.max_grad_norm is not None:
            gradients = self.flat.gradients
            norm = torch.linalg.vector_norm(gradients)
            gradients.mul_((self.max_grad_norm / (norm + 1e-6)).clamp_max(1.0))
        return loss

    def penalize(self, loss: Tensor, total: float) -> Tensor:
        """Add the L2 penalty to loss and gradients."""
        for weights, gradients, alpha in self._decays:
            loss = loss.add(weights.dot(weights), alpha=0.5 * alpha / total)
            with on_threads(team_size()):
                gradients.add_(weights, alpha=alpha / total)
        return loss

    def step(self) -> None:
        """Let the optimizer take its step, on what is not frozen."""
        optimizer = self.optimizer
        # A scheduler of torch's puts a step of its own there, to see it called.
        own = vars(optimizer).get("step") or getattr(optimizer, "update", None)
        (own or optimizer.step)()
        for place, kept in self._frozen:
            self.flat.values[place] = kept
