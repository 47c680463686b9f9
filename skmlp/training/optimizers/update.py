"""Update the parameters by gradients: weight decay, clipping, optimizer step."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER, ThreadTuner
from skmlp.training.optimizers.flat_optimizers import FlatOptimizer, UpdatedTensors
from skmlp.training.optimizers.flat_parameters import FrozenParameter, ParameterVectors


class ParameterUpdater:
    """Updates the parameters of one network by the gradients of a step.

    Parameters
    ----------
    flat : ParameterVectors
    optimizer : torch.optim.Optimizer or None
        Optimizer of ``flat.values``; None if 'lbfgs' updates the parameters.
    decay : float or sequence of float
        Decoupled weight decay: the fraction of the weights that a step with learning
        rate 1 subtracts, for all layers or one for each.
    max_grad_norm : float or None
        Largest norm of the gradient. A longer gradient is scaled down to it.
    tuner : ThreadTuner
        Chooses the number of threads.
    fade : callable
        Returns the current factor of the weight decay.
    tensors : UpdatedTensors or None
        What the steps of a plan update instead of ``flat.values``.
    """

    def __init__(
        self,
        flat: ParameterVectors,
        optimizer: Any,
        decay: float | Sequence[float],
        max_grad_norm: float | None,
        tuner: ThreadTuner = SINGLE_THREAD_TUNER,
        fade: Callable[[], float] = lambda: 1.0,
        tensors: UpdatedTensors | None = None,
    ) -> None:
        self.flat = flat
        self.optimizer = optimizer
        self.max_grad_norm = max_grad_norm
        self._tuner = tuner
        self._decay = decay
        self._fade = fade
        self._tensors = tensors
        self._decayed_weights = [
            (flat.values[parameter_slice], strength)
            for parameter_slice, strength in flat.weight_slices_by_strength(decay)
        ]
        self._frozen: list[FrozenParameter] = []

    def with_tensors(
        self, vectors: ParameterVectors, tensors: UpdatedTensors
    ) -> "ParameterUpdater":
        """Return an object that takes the same planned steps on other tensors."""
        return ParameterUpdater(
            vectors,
            self.optimizer,
            self._decay,
            self.max_grad_norm,
            fade=self._fade,
            tensors=tensors,
        )

    @property
    def has_frozen(self) -> bool:
        """Whether a callback has frozen parameters."""
        return bool(self._frozen)

    def begin_epoch(self) -> None:
        """Copy the parameters that a callback has frozen; `step` restores them."""
        self._frozen = self.flat.frozen()

    def decay_and_clip(self) -> None:
        """Decay the weights, and clip the gradients.

        The gradients of frozen parameters become zero.
        """
        self._clear_frozen_gradients()
        if self._decayed_weights:
            learning_rate = self.optimizer.param_groups[0]["lr"] * self._fade()
            for weights, strength in self._decayed_weights:
                weights.mul_(1.0 - learning_rate * strength)
        self._clip()

    def _clip(self) -> None:
        """Scale the gradients down to the largest norm."""
        if self.max_grad_norm is not None:
            gradients = self.flat.gradients
            norm = torch.linalg.vector_norm(gradients)
            gradients.mul_((self.max_grad_norm / (norm + 1e-6)).clamp_max(1.0))

    def plan_steps(self, learning_rates: Sequence[float]) -> np.ndarray:
        """Return the numbers ``(steps, factors)`` that `planned_step` needs.

        `learning_rates` has one value for each step.
        """
        factors = self.optimizer.plan_steps(learning_rates)
        rates = np.array(learning_rates) * self._fade()
        decays = [1.0 - rates * strength for _, strength in self._decayed_weights]
        return np.column_stack([*decays, factors])

    def planned_step(self, factors: Tensor) -> None:
        """Decay, clip and update by a row of the plan, which is on the device.

        No number comes from the host. A CUDA graph can record many steps, unless
        parameters are frozen.
        """
        self._clear_frozen_gradients()
        n_decays = len(self._decayed_weights)
        for (weights, _), factor in zip(
            self._decayed_weights, factors[:n_decays].unbind(), strict=True
        ):
            weights.mul_(factor)
        self._clip()
        self.optimizer.planned_update(factors[n_decays:], self._tensors)
        self._restore_frozen()

    def step(self) -> None:
        """Take the optimizer's step, and restore the frozen parameters."""
        optimizer = self.optimizer
        if not isinstance(optimizer, FlatOptimizer):
            optimizer.step()
        elif optimizer.counts_steps:
            optimizer.step(n_threads=self._tuner.n_threads)
        else:
            optimizer.update(self._tuner.n_threads)
        self._restore_frozen()

    def _clear_frozen_gradients(self) -> None:
        """Set the gradients of the frozen parameters to zero."""
        for parameter in self._frozen:
            parameter.gradients.zero_()

    def _restore_frozen(self) -> None:
        """Restore the frozen parameters, which weight decay and momentum change."""
        for parameter in self._frozen:
            parameter.values.copy_(parameter.frozen_values)
