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

from skmlp.training.compute.devices import upload
from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER, ThreadTuner
from skmlp.training.compute.threads import using_threads
from skmlp.training.net import Net
from skmlp.training.optimizers.factory import DECOUPLED_DECAY_SOLVERS
from skmlp.training.optimizers.flat_optimizers import (
    STEPS_BETWEEN_FLUSHES,
    Adam,
    adam_step,
    bias_correction,
    flush_to_zero,
    sgd_step,
)
from skmlp.training.packs.parameters import PackParameters
from skmlp.training.packs.vector import PackVector

SOLVERS = frozenset({"sgd", "torch_sgd", "adam", "adamw"})

# Number of stored indices of inactive members.
_MAX_KEPT = 64


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
    learning_rates : ndarray of shape (members,)
        Current learning rate of each member. The momentum buffer is scaled for it.
    planned_factors : Tensor of shape (steps, factors, members)
        The numbers of the steps of the plan: step sizes, and factors of weights and of
        the momentum buffer if there are any.
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
        # Factors of the learning rate of each tensor, equal for all members.
        factors = parameters.nets[0].rate_factors()
        self._factors = None
        if factors is not None:
            self._factors = parameters.alpha.new_tensor(factors).unsqueeze(1)
        self._updates = parameters.values.zeros()
        self._factor_vector = self._make_factor_vector()
        self.moments = [parameters.values.zeros() for _ in self._moment_names]
        self.t = np.zeros(len(parameters.nets), dtype=np.int64)
        self.learning_rates = np.array([learning_rate(net) for net in parameters.nets])
        for i in range(len(parameters.nets)):
            self._read_state(i)
        # CUDA's kernel of Adam reads the step number as float32.
        self._infinite_step = parameters.alpha.new_tensor(math.inf, dtype=torch.float32)
        self._group_members()

    def _make_factor_vector(self) -> Tensor | None:
        """Return the factors of all values of the pack, or None without factors."""
        if self._factors is None or not self.parameters.alpha.is_cpu:
            return None
        vector = self.parameters.values.zeros()
        for tensor, factor in zip(vector.tensors, self._factors, strict=True):
            tensor.fill_(factor.item())
        return vector.vector

    def _group_members(self) -> None:
        """Make the kernel calls of the current members."""
        nets = self.parameters.nets
        hyperparameters = [kernel_hyperparameters(net) for net in nets]
        self._calls = []
        for _, equal in groupby(range(len(nets)), key=hyperparameters.__getitem__):
            members = list(equal)
            self._calls.append(self._kernel_call(slice(members[0], members[-1] + 1)))
        # Indices of the inactive members on the device, by the active members.
        self._inactive_indices: dict[tuple[bool, ...], Tensor] = {}

    def _read_state(self, i: int) -> None:
        """Read the state of the `i`-th member's own optimizer."""
        net = self.parameters.nets[i]
        state = net.optimizer_.state.get(net.flat_.values, {})
        self.t[i] = state.get("t", 0)
        self.learning_rates[i] = state.get("lr", self.learning_rates[i])
        for name, moment in zip(self._moment_names, self.moments, strict=True):
            if name in state:
                self.parameters.load_member(i, state[name], into=moment)

    def plan_steps(self, active: Sequence[tuple[bool, ...]], rates: np.ndarray) -> None:
        """Compute all factors of the next steps, and copy them to the device at once.

        A copy to a GPU waits, so a copy in each step would slow the training.

        Parameters
        ----------
        active : sequence of tuple of bool
            The members with samples in each step. `update` changes only them.
        rates : ndarray of shape (steps, members)
            Learning rates.
        """
        self._active = np.array(active, dtype=np.int64)
        previous_rates = np.vstack([self.learning_rates, rates[:-1]])
        self.learning_rates = rates[-1]
        t = self.t + self._active.cumsum(axis=0)
        rounded_rates = self._rounded(rates)
        factors = [rounded_rates * self._rounded(self._bias_corrections(t))]
        if self._is_decoupled:
            nets = self.parameters.nets
            alphas = np.array([net.alpha for net in nets])
            alphas = alphas * [net.schedule.fade for net in nets]
            factors.append(1.0 - rounded_rates * self._rounded(alphas))
        # scikit-learn's velocity contains the learning rates of earlier updates. This
        # momentum buffer does not. So the buffer is multiplied by the old learning
        # rate divided by the new one, and earlier updates keep their size.
        has_new_rate = previous_rates != rates
        self._has_new_rate = has_new_rate.any(axis=1) & self._rescales_momentum
        if self._has_new_rate.any():
            with np.errstate(all="ignore"):  # a rate may be zero
                ratios = np.where(has_new_rate, previous_rates / rates, 1.0)
            factors.append(self._rounded(ratios))
        # (steps, factors, members)
        stacked = torch.stack(factors, dim=1)
        self.planned_factors = upload(stacked, self.parameters.alpha.device)
        # Equal members have one factor for the whole vector of the pack. Only the CPU
        # reads the factors of a step without waiting.
        self._has_joint_factors = bool(
            self._factor_vector is not None
            and self._active.all()
            and (stacked == stacked[..., :1]).all()
        )
        # CUDA graphs read the indices.
        if len(self._inactive_indices) > _MAX_KEPT and self.parameters.alpha.is_cpu:
            self._inactive_indices.clear()
        for members in set(active) - set(self._inactive_indices):
            inactive = [i for i, is_active in enumerate(members) if not is_active]
            self._inactive_indices[members] = self.planned_factors.new_tensor(
                inactive, dtype=torch.long
            )

    def _rounded(self, values: np.ndarray) -> Tensor:
        """Return values in the dtype of training, on the CPU.

        NumPy rounds them, so that no tensor is float64 on a device without it.
        """
        is_double = self.parameters.alpha.dtype == torch.float64
        with np.errstate(over="ignore", under="ignore"):
            rounded = values.astype(np.float64 if is_double else np.float32)
        return torch.from_numpy(rounded)

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

    def update(self, step: int, active: tuple[bool, ...]) -> None:
        """Take a step of the plan; `active` is its entry of `plan_steps`."""
        self.t += self._active[step]
        self.planned_update(
            self.planned_factors[step], active, bool(self._has_new_rate[step])
        )
        # Only the first thread computes with flushed denormals. Without tiny numbers,
        # the results are equal on any number of threads.
        if (
            self._is_adam
            and self.parameters.alpha.is_cpu
            and self.t.max() % STEPS_BETWEEN_FLUSHES == 0
        ):
            flush_to_zero(self.parameters.values.vector, self.moments[0].vector)

    def count_planned_steps(self) -> None:
        """Count all steps of the plan, which `planned_update` takes."""
        self.t += self._active.sum(axis=0)

    def planned_update(
        self, factors: Tensor, active: tuple[bool, ...], has_new_rate: bool = True
    ) -> None:
        """Take a step without numbers of the host, which a CUDA graph can record.

        Parameters
        ----------
        factors : Tensor of shape (factors, members)
            A row of `planned_factors`.
        active : tuple of bool
            The members that the step changes.
        has_new_rate : bool
            Whether a learning rate may differ from that of the previous step.
        """
        n_threads = self._tuner.n_threads
        planned_sizes, *others = factors.unbind()
        decay_factors = others.pop(0) if self._is_decoupled else None
        if others and has_new_rate:
            for buffer in self.moments[0].tensors:
                buffer.mul_(_broadcast(others[0], buffer))
        inactive = self._inactive_indices[active]
        saved_inactive = self._copy_members(inactive)
        joint_factors = self._factor_vector if self._has_joint_factors else None
        if decay_factors is not None:
            for weights, _ in self.parameters.penalized_weights:
                if joint_factors is not None:
                    weights.mul_(decay_factors[0].item())
                else:
                    weights.mul_(_broadcast(decay_factors, weights))
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
        if joint_factors is not None:
            self.parameters.values.vector.addcmul_(
                self._updates.vector, joint_factors, value=planned_sizes[0].item()
            )
            return
        values = self.parameters.values.tensors
        step_sizes = [planned_sizes] * len(values)
        if self._factors is not None:
            step_sizes = list((self._factors * step_sizes[0]).unbind())
        with using_threads(n_threads):
            torch._foreach_addcmul_(
                values,
                self._updates.tensors,
                list(map(_broadcast, step_sizes, values)),
            )
        for tensor, saved in saved_inactive:
            tensor.index_copy_(0, inactive, saved)

    def _copy_members(self, index: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return each tensor that `update` changes with a copy of some members."""
        if not len(index):
            return []
        changed = [self.parameters.values, self._updates, *self.moments]
        tensors = [tensor for vector in changed for tensor in vector.tensors]
        return [(tensor, tensor.index_select(0, index)) for tensor in tensors]

    def _bias_corrections(self, t: np.ndarray) -> np.ndarray:
        """Return the bias corrections of Adam for step numbers ``(steps, members)``."""
        corrections = np.ones(t.shape)
        if not self._is_adam:
            return corrections
        groups = [net.optimizer_.param_groups[0] for net in self.parameters.nets]
        for i, group in enumerate(groups):
            corrections[:, i] = [
                bias_correction(n, *group["betas"]) for n in t[:, i].tolist()
            ]
        return corrections

    def select(self, index: Tensor) -> None:
        """Remove all members except those with these indices."""
        self.moments = [moment.select(index) for moment in self.moments]
        self._updates = self._updates.select(index)
        self._factor_vector = self._make_factor_vector()
        self.t = self.t[index.tolist()]
        self.learning_rates = self.learning_rates[index.tolist()]
        if len(index):
            self._group_members()

    def write_members_back(self, members: Sequence[int]) -> None:
        """Write the state of members into their own optimizers."""
        store = self.parameters.store_members
        moments = [store(members, moment) for moment in self.moments]
        for i, *views in zip(members, *moments, strict=True):
            # A view would hold the memory of all members.
            self._write_back(i, [view.clone() for view in views])

    def _write_back(self, i: int, moments: list[Tensor]) -> None:
        """Write the state into the `i`-th member's own optimizer."""
        net = self.parameters.nets[i]
        values = net.flat_.values
        state = net.optimizer_.state[values]
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
            state["lr"] = float(self.learning_rates[i])


def learning_rate(net: Net) -> float:
    """Return the current learning rate of a network."""
    return net.optimizer_.param_groups[0]["lr"]


def _broadcast(values: Tensor, tensor: Tensor) -> Tensor:
    """View a value of each member in a shape that broadcasts over a pack tensor."""
    return values.view(-1, *[1] * (tensor.dim() - 1))
