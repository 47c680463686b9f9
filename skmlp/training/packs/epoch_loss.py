"""Sum the losses of all pack members over an epoch."""

import torch
from torch import Tensor

from skmlp.training.losses import Loss
from skmlp.training.packs.batches import StepWeights

# Number of steps whose losses one call of torch computes. The overhead of a call takes
# longer than the arithmetic for one step.
_STEPS_AT_ONCE = 64


class PackEpochLoss:
    """Sums the losses of the batches of an epoch, with their penalties.

    The loss of a batch is multiplied by its number of samples.

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
        """Add the results of `PackParameters.differentiate` for the next step."""
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
        for layer_norms in norms:  # alpha / total * norm**2 / 2, as in scikit-learn
            losses.addcmul_(layer_norms.square_(), strength, value=0.5)
        counts = self.step_weights.counts_on_device[steps]
        # The steps become the last, contiguous dimension. So a member's values are
        # added in the same order for any number of members.
        self._sums += (losses.to(counts.dtype) * counts).mT.contiguous().sum(-1)
        self._n_summed, self._steps = steps.stop, []

    def sum(self) -> list[float]:
        """Return the sum of each member."""
        if self._steps:
            self._sum_steps()
        return self._sums.tolist()
