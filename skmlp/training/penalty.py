"""The L2 penalty of one network's weights, as scikit-learn defines it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skmlp.training.flat import FlatParameters
from skmlp.training.team import WORTH_A_TEAM, team_size
from skmlp.training.threads import on_threads


class Penalty:
    """Half of alpha times the sum of squares, over the total weight of a batch's rows.

    Parameters
    ----------
    flat : FlatParameters
        Whose layers' weights are penalised, biases not.
    alpha : float or sequence of float
        Strength, for all layers or one each.

    Attributes
    ----------
    alphas : tuple of float
        One strength for each layer, in the order of the network.
    """

    def __init__(self, flat: FlatParameters, alpha: float | Sequence[float]) -> None:
        self.alphas = flat.strengths(alpha)
        self._stretches = [
            (flat.values[place], flat.gradients[place], strength)
            for place, strength in flat.decays(self.alphas)
        ]

    def add_to_loss(self, loss: Tensor, total: float) -> Tensor:
        """Return the loss with the penalty."""
        for weights, _, alpha in self._stretches:
            loss = loss.add(_sum_of_squares(weights), alpha=0.5 * alpha / total)
        return loss

    def add_to_gradients(self, total: float) -> None:
        """Add the derivative to all gradients."""
        for weights, gradients, alpha in self._stretches:
            with on_threads(team_size()):
                gradients.add_(weights, alpha=alpha / total)


def _sum_of_squares(weights: Tensor) -> Tensor:
    """Return the sum, of many weights from halves that two threads may take.

    Each then reads what it updates. A core that reads what another is about to write
    costs that one more than the sum takes.
    """
    if weights.numel() < WORTH_A_TEAM or weights.numel() % 2:
        return weights.dot(weights)
    with on_threads(min(team_size(), 2)):
        norms = torch.linalg.vector_norm(weights.view(2, -1), dim=1)
    return norms.dot(norms)
