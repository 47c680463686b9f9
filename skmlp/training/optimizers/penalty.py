"""The L2 penalty of one network's weights, as scikit-learn defines it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from skmlp.training.compute.thread_tuning import (
    MIN_TUNED_PARAMETERS,
    SINGLE_THREAD_TUNER,
    ThreadTuner,
)
from skmlp.training.compute.threads import using_threads
from skmlp.training.optimizers.flat_parameters import ParameterVectors


class _PenalizedSlice(NamedTuple):
    """Weights with one strength of the penalty, as views of the flat vectors."""

    weights: Tensor  # (parts, weights of a part): a thread computes the norm of a part
    gradients: Tensor  # (parts * weights of a part,)
    alpha: float


class Penalty:
    """L2 penalty of a batch: ``alpha / 2 * sum(weights ** 2) / total_weight``.

    Parameters
    ----------
    flat : ParameterVectors
        The layers' weights are penalized, their biases are not.
    alpha : float or sequence of float
        Strength of the penalty, for all layers or one for each.
    tuner : ThreadTuner
        Chooses the number of threads.

    Attributes
    ----------
    alphas : tuple of float
        Strength of the penalty for each layer, in the order of the network.
    """

    def __init__(
        self,
        flat: ParameterVectors,
        alpha: float | Sequence[float],
        tuner: ThreadTuner = SINGLE_THREAD_TUNER,
    ) -> None:
        self.alphas = flat.alpha_per_layer(alpha)
        self._tuner = tuner
        self._slices = [
            _PenalizedSlice(
                _in_parts(flat.values[parameter_slice]),
                flat.gradients[parameter_slice],
                strength,
            )
            for parameter_slice, strength in flat.weight_slices_by_strength(self.alphas)
        ]

    def norms(self) -> list[Tensor]:
        """Return the norms of the weights, ``(parts,)`` for each slice."""
        return [self._norms(penalized.weights) for penalized in self._slices]

    def from_norms(self, norms: Iterable[Tensor], totals: Tensor) -> Tensor:
        """Compute the penalties ``(steps,)`` of several steps from stored norms.

        Parameters
        ----------
        norms : iterable of Tensor of shape (steps, parts)
            For each slice, the return values of `norms` in these steps.
        totals : Tensor of shape (steps,)
            Sums of the batches' sample weights.
        """
        penalties = torch.zeros_like(totals)
        for slice_norms, (_, _, alpha) in zip(norms, self._slices, strict=True):
            squares = slice_norms.to(totals.dtype).square().sum(-1)
            penalties.addcdiv_(squares, totals, value=0.5 * alpha)
        return penalties

    def from_norms_on_host(self, norms: Iterable[Tensor], total: float) -> float:
        """Compute the penalty of one step in Python, with the bits of `from_norms`."""
        penalty = 0.0
        for slice_norms, (_, _, alpha) in zip(norms, self._slices, strict=True):
            square = sum(norm * norm for norm in slice_norms.tolist())
            penalty += 0.5 * alpha * square / total
        return penalty

    def add_to_gradients(self, total_weight: float) -> None:
        """Add the derivative of the penalty to the gradients."""
        for weights, gradients, alpha in self._slices:
            with using_threads(self._tuner.n_threads):
                gradients.add_(weights.view(-1), alpha=alpha / total_weight)

    def add_scaled_to_gradients(self, factor: Tensor) -> None:
        """Add the derivative for a total weight of 1, times a number on the device."""
        for weights, gradients, alpha in self._slices:
            gradients.addcmul_(weights.view(-1), factor, value=alpha)

    def _norms(self, weights: Tensor) -> Tensor:
        """Return the norms ``(parts,)``.

        A thread computes whole parts, because a split part would be rounded otherwise.
        """
        with using_threads(min(self._tuner.n_threads, weights.shape[0])):
            return torch.linalg.vector_norm(weights, dim=1)


def _in_parts(weights: Tensor) -> Tensor:
    """Return weights as ``(parts, weights of a part)``.

    Many weights are split into halves for two threads. The optimizer splits them in the
    same way. Each core therefore reads only the cache lines that it writes.
    """
    halves = weights.numel() >= MIN_TUNED_PARAMETERS and weights.numel() % 2 == 0
    return weights.view(2 if halves else 1, -1)
