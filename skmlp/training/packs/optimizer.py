"""One optimizer for many networks, each with its own numbers, steps and moments."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from skmlp.training.compute.thread_tuning import tuned_thread_count
from skmlp.training.compute.threads import using_threads
from skmlp.training.net import Net
from skmlp.training.optimizers.flat_optimizers import (
    DECOUPLED,
    Adam,
    adam_step,
    sgd_step,
)
from skmlp.training.packs.parameters import PackParameters
from skmlp.training.packs.vector import PackVector

SOLVERS = frozenset({"sgd", "adam", "adamw"})


def hyperparameters_of(net: Net) -> tuple[Any, ...]:
    """Return all that an update takes as one number for the networks it moves."""
    group = net.optimizer_.param_groups[0]
    return tuple(v for k, v in sorted(group.items()) if k not in ("params", "lr"))


class _Run(NamedTuple):
    """Networks next to each other that one call of a kernel can move."""

    group: dict[str, Any]  # the numbers of all
    moves: list[Tensor]
    gradients: list[Tensor]
    moments: list[list[Tensor]]


class PackOptimizer:
    """State of the optimizers of all networks of a stack.

    The kernels know one learning rate and one number of steps. So they move zeros, at a
    rate of one and after endless steps, where Adam corrects no bias any more; what has
    become of the zeros is multiplied by each network's rate and correction, and added
    to its parameters.

    Parameters
    ----------
    stack : PackParameters
        What is moved. Networks of equal `hyperparameters_of` stand next to each other;
        each goes on from where its own optimizer stands.
    """

    def __init__(self, stack: PackParameters) -> None:
        self.stack = stack
        self._adam = isinstance(stack.nets[0].optimizer_, Adam)
        self._decoupled = stack.nets[0].solver in DECOUPLED
        self._names = ("exp_avg", "exp_avg_sq") if self._adam else ("momentum_buffer",)
        self._moves = stack.values.zeros()
        self.moments = [stack.values.zeros() for _ in self._names]
        self.t = np.zeros(len(stack.nets), dtype=np.int64)
        self.rates = [_rate(net) for net in stack.nets]
        for i in range(len(stack.nets)):
            self._take_over(i)
        self._chosen: tuple[Sequence[bool], list[float]] | None = None
        # In single precision, as which the kernel of a GPU reads it.
        self._endless = stack.alpha.new_tensor(math.inf, dtype=torch.float32)

    def _take_over(self, i: int) -> None:
        """Go on from where the `i`-th network's own optimizer stands."""
        net = self.stack.nets[i]
        state = net.optimizer_.state.get(net.flat_.values, {})
        self.t[i] = state.get("t", 0)
        self.rates[i] = state.get("lr", self.rates[i])
        for name, moment in zip(self._names, self.moments, strict=True):
            if name in state:
                self.stack.unflatten(i, state[name], moment)

    def choose(self, active: Sequence[bool]) -> None:
        """Let `update` move those that are active, by the numbers as they are now."""
        nets, rates = self.stack.nets, [_rate(net) for net in self.stack.nets]
        if (active, rates) == self._chosen:
            return
        self._chosen = None
        for i, rate in enumerate(rates):
            self._rescale(i, rate)
        self._active = np.array(active, dtype=np.int64)
        idle = [i for i, on in enumerate(active) if not on]
        self._idle = self.stack.alpha.new_tensor(idle, dtype=torch.long)
        self._rates = self.stack.alpha.new_tensor(self.rates)
        self._factors = torch.empty_like(self._rates)
        self._of_parts = [
            self._factors.view(-1, *[1] * (part.dim() - 1))
            for part in self.stack.values.parts
        ]
        self._shares = None
        if self._decoupled:
            self._shares = (1.0 - self._rates * self.stack.alpha).unsqueeze(1)
        numbers = [hyperparameters_of(net) for net in nets]
        alike = set(zip(numbers, self.t.tolist(), active, strict=True))
        self._together = len(alike) == 1
        self._runs = []
        for _, places in groupby(range(len(nets)), key=numbers.__getitem__):
            found = list(places)
            self._runs.append(self._run(slice(found[0], found[-1] + 1)))
        self._chosen = active, rates

    def _run(self, part: slice) -> _Run:
        """Return the tensors of some networks."""

        def tensors(stacked: PackVector) -> list[Tensor]:
            if part == slice(0, len(self.stack.nets)):
                return [stacked.vector]
            return [of_all[part] for of_all in stacked.parts]

        return _Run(
            {**self.stack.nets[part.start].optimizer_.param_groups[0], "lr": 1.0},
            tensors(self._moves),
            tensors(self.stack.gradients),
            [tensors(moment) for moment in self.moments],
        )

    def _rescale(self, i: int, rate: float) -> None:
        """Keep a momentum buffer, which holds the rate, in step with a new rate."""
        if rate != self.rates[i] and not self._adam:
            for part in self.moments[0].parts:
                part[i].mul_(self.rates[i] / rate)
        self.rates[i] = rate

    def update(self) -> None:
        """Take one step."""
        kept = self._kept()
        self.t += self._active
        if self._shares is not None:
            for weights, _ in self.stack.penalized:
                weights.mul_(self._shares)
        torch.mul(self._rates, self._corrections(), out=self._factors)
        if not self._adam:  # whose kernel makes the zeros itself
            self._moves.vector.zero_()
        for group, moves, gradients, moments in self._runs:
            if self._adam:
                both, endless = (moments[0], moments[1]), (self._endless, math.inf)
                adam_step(moves, gradients, both, *endless, group, from_zero=True)
            else:
                buffers = moments[0] if group["momentum"] else []
                sgd_step(moves, gradients, buffers, group)
        with using_threads(tuned_thread_count()):
            torch._foreach_addcmul_(
                self.stack.values.parts, self._moves.parts, self._of_parts
            )
        for part, of_idle in kept:
            part.index_copy_(0, self._idle, of_idle)

    def _kept(self) -> list[tuple[Tensor, Tensor]]:
        """Return what an update moves, and copies of what is of those that are idle."""
        if not len(self._idle):
            return []
        moved = [self.stack.values, self._moves, *self.moments]
        parts = [part for stacked in moved for part in stacked.parts]
        return [(part, part[self._idle]) for part in parts]

    def _corrections(self) -> float | Tensor:
        """Return what Adam multiplies the rates with, for all or for each network.

        From the efficient order of section 2 of Kingma and Ba (2014).
        """
        if not self._adam:
            return 1.0
        places = range(1 if self._together else len(self.t))
        groups = [self.stack.nets[i].optimizer_.param_groups[0] for i in places]
        found = [
            _correction(int(self.t[i]), *group["betas"])
            for i, group in zip(places, groups, strict=True)
        ]
        return found[0] if self._together else self._rates.new_tensor(found)

    def select(self, index: Tensor) -> None:
        """Go on with some of the networks."""
        self._chosen = None
        self.moments = [moment.select(index) for moment in self.moments]
        self._moves = self._moves.select(index)
        self.t = self.t[index.tolist()]
        self.rates = [self.rates[i] for i in index.tolist()]

    def write_back(self, i: int) -> None:
        """Leave the `i`-th network's optimizer as training alone would have left it."""
        net = self.stack.nets[i]
        values = net.flat_.values
        state = net.optimizer_.state[values]
        moments = [
            self.stack.flatten(i, moment, torch.zeros_like(values))
            for moment in self.moments
        ]
        if self._adam:
            state["t"] = int(self.t[i])
            state["step"] = torch.tensor(float(self.t[i]), device=values.device)
            state["exp_avg"], state["exp_avg_sq"] = moments
        else:
            if net.optimizer_.param_groups[0]["momentum"]:
                (state["momentum_buffer"],) = moments
            state["lr"] = self.rates[i]


def _rate(net: Net) -> float:
    """Return a network's learning rate as it stands."""
    return net.optimizer_.param_groups[0]["lr"]


def _correction(t: int, beta_1: float, beta_2: float) -> float:
    """Return what Adam's rate is multiplied with in step `t`; of none, nothing."""
    return math.sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t) if t else 0.0
