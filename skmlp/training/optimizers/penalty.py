"""The L2 penalty of one network's weights, as scikit-learn defines it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from skmlp.training.compute.thread_tuning import (
    MIN_TUNED_PARAMETERS,
    tuned_thread_count,
)
from skmlp.training.compute.threads import using_threads
from skmlp.training.optimizers.flat_parameters import FlatParameters


class _Stretch(NamedTuple):
    """Weights of one strength, in parts that a thread each takes the norm of."""

    parts: Tensor
    gradients: Tensor
    alpha: float


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
            _Stretch(_for_threads(flat.values[place]), flat.gradients[place], strength)
            for place, strength in flat.decays(self.alphas)
        ]

    def norms(self) -> list[Tensor]:
        """Return the norms of the parts of each stretch of weights, ``(parts,)``."""
        return [_norms(stretch.parts) for stretch in self._stretches]

    def of_norms(self, norms: Iterable[Tensor], totals: Tensor) -> Tensor:
        """Return the penalties of steps, from each stretch's norms ``(steps, parts)``.

        `totals` are the weights of the steps' rows.
        """
        penalties = torch.zeros_like(totals)
        for of_parts, (_, _, alpha) in zip(norms, self._stretches, strict=True):
            squares = of_parts.to(totals.dtype).square().sum(-1)
            penalties.addcdiv_(squares, totals, value=0.5 * alpha)
        return penalties

    def add_to_gradients(self, total: float) -> None:
        """Add the derivative to all gradients."""
        for parts, gradients, alpha in self._stretches:
            with using_threads(tuned_thread_count()):
                gradients.add_(parts.view(-1), alpha=alpha / total)


def _for_threads(weights: Tensor) -> Tensor:
    """Return the weights as one row, or many of them as two for two threads.

    Each then reads what it updates. A core that reads what another is about to write
    costs that one more than the norm takes.
    """
    halves = weights.numel() >= MIN_TUNED_PARAMETERS and weights.numel() % 2 == 0
    return weights.view(2 if halves else 1, -1)


def _norms(parts: Tensor) -> Tensor:
    """Return the norms of parts; a thread's share of one would change its bits."""
    with using_threads(min(tuned_thread_count(), parts.shape[0])):
        return torch.linalg.vector_norm(parts, dim=1)
