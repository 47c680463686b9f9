"""The losses of all pack members over an epoch, from the results of the steps."""

import torch
from torch import Tensor

from skmlp.training.losses import Loss
from skmlp.training.packs.batches import StepWeights

# Steps whose losses are computed together, because a call of torch takes longer than
# the arithmetic of one step.
_STEPS_AT_ONCE = 64


class PackEpochLoss:
    """Sums the penalized losses of batches, each times its number of samples.

    Parameters
    ----------
    loss : Loss
    alpha : Tensor of shape (members,)
        Strengths of the L2 penalties.
    step_weights : StepWeights
        Sample weights of the epoch's steps.
    """

    def __init__(self, loss: Loss, alpha: Tensor, step_weights: StepWeights) -> None:
        self.loss = loss
        self.alpha = alpha
        self.step_weights = step_weights
        self._n_summed = 0  # steps in the sums
        self._steps: list[tuple[Tensor, ...]] = []  # not yet in the sums
        self._sums = torch.zeros_like(step_weights.counts_on_device[0])

    def add(self, results: tuple[Tensor, ...]) -> None:
        """Add the results of `PackParameters.differentiate` in the next step."""
        self._steps.append(results)
        if len(self._steps) == _STEPS_AT_ONCE:
            self._sum_steps()

    def _sum_steps(self) -> None:
        """Move the stored steps into the sums."""
        steps = slice(self._n_summed, self._n_summed + len(self._steps))
        loss_terms, *norms = map(torch.stack, zip(*self._steps, strict=True))
        weights = self.step_weights.weights[steps]
        losses = self.loss.mean_loss(loss_terms, weights)  # (steps, members)
        strength = self.alpha / self.step_weights.totals[steps]
        for layer_norms in norms:
            losses.addcmul_(layer_norms.square_(), strength, value=0.5)
        counts = self.step_weights.counts_on_device[steps]
        # Summed along memory, so that the order of the sum is equal for all members.
        self._sums += (losses.to(counts.dtype) * counts).mT.contiguous().sum(-1)
        self._n_summed, self._steps = steps.stop, []

    def sum(self) -> list[float]:
        """Return the sum of each member."""
        if self._steps:
            self._sum_steps()
        return self._sums.tolist()
