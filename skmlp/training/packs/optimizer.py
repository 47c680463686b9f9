"""One optimizer for all pack members.

Each member has its own hyperparameters and moments.
"""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER, ThreadTuner
from skmlp.training.compute.threads import using_threads
from skmlp.training.net import Net
from skmlp.training.optimizers.factory import DECOUPLED_DECAY_SOLVERS
from skmlp.training.optimizers.flat_optimizers import (
    Adam,
    adam_step,
    sgd_step,
)
from skmlp.training.packs.parameters import PackParameters
from skmlp.training.packs.vector import PackVector

SOLVERS = frozenset({"sgd", "torch_sgd", "adam", "adamw"})


def kernel_hyperparameters(net: Net) -> tuple[Any, ...]:
    """Return the hyperparameters that are equal for all tensors of one kernel call.

    These are all hyperparameters except the learning rate.
    """
    param_group = net.optimizer_.param_groups[0]
    return tuple(v for k, v in sorted(param_group.items()) if k not in ("params", "lr"))


class _KernelCall(NamedTuple):
    """Arguments of one kernel call, which updates neighboring members."""

    param_group: dict[str, Any]  # hyperparameters, equal for all of these members
    updates: list[Tensor]
    gradients: list[Tensor]
    moments: list[list[Tensor]]


class PackOptimizer:
    """State of the optimizers of all members of a pack.

    torch's kernels take one learning rate and one step number for all tensors, but
    members differ in both. Therefore a kernel computes updates that start from zeros,
    with the learning rate 1. The step number is infinite, because Adam's bias
    correction is then 1. Each member's update is multiplied by its own learning rate
    and bias correction, and added to its parameters.

    Parameters
    ----------
    parameters : PackParameters
        Members should be sorted by `kernel_hyperparameters`, because one kernel call
        updates neighbors with equal hyperparameters. Each member continues from the
        state of its own optimizer.
    tuner : ThreadTuner
        Chooses the number of threads.

    Attributes
    ----------
    moments : list of PackVector
        Moments of Adam, or the momentum buffer.
    t : ndarray of shape (members,)
        Number of optimizer steps of each member.
    learning_rates : list of float
        Current learning rate of each member. The momentum buffer is scaled for it.
    """

    def __init__(
        self, parameters: PackParameters, tuner: ThreadTuner = SINGLE_THREAD_TUNER
    ) -> None:
        self.parameters = parameters
        self._tuner = tuner
        self._is_adam = isinstance(parameters.nets[0].optimizer_, Adam)
        self._rescales_momentum = getattr(
            parameters.nets[0].optimizer_, "rescales_momentum", False
        )
        self._is_decoupled = parameters.nets[0].solver in DECOUPLED_DECAY_SOLVERS
        self._moment_names = (
            ("exp_avg", "exp_avg_sq") if self._is_adam else ("momentum_buffer",)
        )
        self._updates = parameters.values.zeros()
        self.moments = [parameters.values.zeros() for _ in self._moment_names]
        self.t = np.zeros(len(parameters.nets), dtype=np.int64)
        self.learning_rates = [_learning_rate(net) for net in parameters.nets]
        for i in range(len(parameters.nets)):
            self._read_state(i)
        self._prepared_for: tuple[Sequence[bool], list[float]] | None = None
        # CUDA's kernel of Adam reads the step number as float32.
        self._infinite_step = parameters.alpha.new_tensor(math.inf, dtype=torch.float32)

    def _read_state(self, i: int) -> None:
        """Read the state of the `i`-th member's own optimizer."""
        net = self.parameters.nets[i]
        state = net.optimizer_.state.get(net.flat_.values, {})
        self.t[i] = state.get("t", 0)
        self.learning_rates[i] = state.get("lr", self.learning_rates[i])
        for name, moment in zip(self._moment_names, self.moments, strict=True):
            if name in state:
                self.parameters.load_member(i, state[name], into=moment)

    def prepare(self, active: Sequence[bool]) -> None:
        """Prepare the next calls of `update`.

        Read the learning rates, and remember which members are active. `update` changes
        active members only. A member is inactive in a step if it has no samples.
        """
        nets = self.parameters.nets
        learning_rates = [_learning_rate(net) for net in nets]
        if (active, learning_rates) == self._prepared_for:
            return  # nothing has changed
        self._prepared_for = None  # so that an exception leaves no old preparation
        for i, learning_rate in enumerate(learning_rates):
            self._set_learning_rate(i, learning_rate)
        self._active = np.array(active, dtype=np.int64)
        inactive = [i for i, is_active in enumerate(active) if not is_active]
        self._inactive = self.parameters.alpha.new_tensor(inactive, dtype=torch.long)
        self._rates = self.parameters.alpha.new_tensor(
            self.learning_rates
        )  # (members,)
        # Step size: learning rate times bias correction.
        self._step_sizes = torch.empty_like(self._rates)  # (members,)
        self._step_size_views = [  # broadcast over the members' parameters
            self._step_sizes.view(-1, *[1] * (tensor.dim() - 1))
            for tensor in self.parameters.values.tensors
        ]
        self._decay_factors = None
        if self._is_decoupled:
            decay = self._rates * self.parameters.alpha
            self._decay_factors = (1.0 - decay).unsqueeze(1)
        hyperparameters = [kernel_hyperparameters(net) for net in nets]
        distinct = set(zip(hyperparameters, self.t.tolist(), active, strict=True))
        self._has_same_correction = len(distinct) == 1
        self._calls = []
        for _, equal in groupby(range(len(nets)), key=hyperparameters.__getitem__):
            members = list(equal)
            self._calls.append(self._kernel_call(slice(members[0], members[-1] + 1)))
        self._prepared_for = active, learning_rates

    def _kernel_call(self, members: slice) -> _KernelCall:
        """Return the arguments of the kernel call for a slice of the members.

        If the slice contains all members, the whole vector is a single tensor.
        """

        def tensors(vector: PackVector) -> list[Tensor]:
            if members == slice(0, len(self.parameters.nets)):
                return [vector.vector]
            return [tensor[members] for tensor in vector.tensors]

        return _KernelCall(
            {
                **self.parameters.nets[members.start].optimizer_.param_groups[0],
                "lr": 1.0,
            },
            tensors(self._updates),
            tensors(self.parameters.gradients),
            [tensors(moment) for moment in self.moments],
        )

    def _set_learning_rate(self, i: int, learning_rate: float) -> None:
        """Set a member's learning rate.

        scikit-learn's velocity contains the learning rates of earlier updates. This
        momentum buffer does not. So the buffer is multiplied by the old learning rate
        divided by the new one, and earlier updates keep their size.
        """
        changed = learning_rate != self.learning_rates[i]
        if changed and self._rescales_momentum:
            for buffer in self.moments[0].tensors:
                buffer[i].mul_(self.learning_rates[i] / learning_rate)
        self.learning_rates[i] = learning_rate

    def update(self) -> None:
        """Take one step."""
        n_threads = self._tuner.n_threads
        saved_inactive = self._copy_inactive()
        self.t += self._active
        if self._decay_factors is not None:
            for weights, _ in self.parameters.penalized_weights:
                weights.mul_(self._decay_factors)
        torch.mul(self._rates, self._bias_corrections(), out=self._step_sizes)
        if not self._is_adam:  # Adam's kernel overwrites the updates
            self._updates.vector.zero_()
        for param_group, updates, gradients, moments in self._calls:
            if self._is_adam:
                adam_step(
                    updates,
                    gradients,
                    (moments[0], moments[1]),
                    self._infinite_step,
                    math.inf,
                    param_group,
                    n_threads,
                    overwrite_with_update=True,
                )
            else:
                buffers = moments[0] if param_group["momentum"] else []
                sgd_step(updates, gradients, buffers, param_group, n_threads)
        with using_threads(n_threads):
            torch._foreach_addcmul_(
                self.parameters.values.tensors,
                self._updates.tensors,
                self._step_size_views,
            )
        for tensor, saved in saved_inactive:
            tensor.index_copy_(0, self._inactive, saved)

    def _copy_inactive(self) -> list[tuple[Tensor, Tensor]]:
        """Return each tensor that `update` changes with a copy of inactive members."""
        if not len(self._inactive):
            return []
        changed = [self.parameters.values, self._updates, *self.moments]
        tensors = [tensor for vector in changed for tensor in vector.tensors]
        return [(tensor, tensor[self._inactive]) for tensor in tensors]

    def _bias_corrections(self) -> float | Tensor:
        """Return the bias correction of Adam; a number if it is equal for all members.

        Otherwise it is a tensor of shape (members,).
        """
        if not self._is_adam:
            return 1.0
        members = range(1 if self._has_same_correction else len(self.t))
        corrections = []
        for i in members:
            param_group = self.parameters.nets[i].optimizer_.param_groups[0]
            corrections.append(_bias_correction(int(self.t[i]), *param_group["betas"]))
        if self._has_same_correction:
            return corrections[0]
        return self._rates.new_tensor(corrections)

    def select(self, index: Tensor) -> None:
        """Remove all members except those with these indices."""
        self._prepared_for = None
        self.moments = [moment.select(index) for moment in self.moments]
        self._updates = self._updates.select(index)
        self.t = self.t[index.tolist()]
        self.learning_rates = [self.learning_rates[i] for i in index.tolist()]

    def write_back(self, i: int) -> None:
        """Write the state into the `i`-th member's own optimizer."""
        net = self.parameters.nets[i]
        values = net.flat_.values
        state = net.optimizer_.state[values]
        moments = [
            self.parameters.store_member(i, moment, into=torch.zeros_like(values))
            for moment in self.moments
        ]
        if self._is_adam:
            # Both are the number of steps. torch's state has it as a tensor, "step".
            state["t"] = int(self.t[i])
            state["step"] = torch.tensor(
                float(self.t[i]), dtype=torch.float32, device=values.device
            )
            state["exp_avg"], state["exp_avg_sq"] = moments
        else:
            if net.optimizer_.param_groups[0]["momentum"]:
                (state["momentum_buffer"],) = moments
            state["lr"] = self.learning_rates[i]


def _learning_rate(net: Net) -> float:
    """Return the current learning rate of a network."""
    return net.optimizer_.param_groups[0]["lr"]


def _bias_correction(t: int, beta_1: float, beta_2: float) -> float:
    """Return the factor of Adam's learning rate in step `t`, and 0 before step 1.

    The formula is at the end of section 2 of Kingma and Ba (2014), arXiv:1412.6980.
    """
    return math.sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t) if t else 0.0
