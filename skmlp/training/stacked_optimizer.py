"""One optimizer for many networks, each with its own numbers, steps and moments."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

from skmlp.training.net import Net
from skmlp.training.optimizers import DECOUPLED, Adam, adam_step, sgd_step
from skmlp.training.stacked_parameters import StackedParameters

SOLVERS = frozenset({"sgd", "adam", "adamw"})


def numbers_of(net: Net) -> tuple[Any, ...]:
    """Return all that an update takes as one number for the networks it moves."""
    group = net.optimizer_.param_groups[0]
    numbers = tuple(v for k, v in sorted(group.items()) if k != "params")
    return (*numbers, net.alpha if net.solver in DECOUPLED else 0.0)


class _Run(NamedTuple):
    """Networks next to each other that one call of a kernel can move."""

    net: Net  # whose numbers are those of all
    places: slice
    values: list[Tensor]
    gradients: list[Tensor]
    moments: list[list[Tensor]]


class StackedOptimizer:
    """State of the optimizers of all networks of a stack.

    Parameters
    ----------
    stack : StackedParameters
        What is moved. Networks of equal `numbers_of` should be next to each other;
        each goes on from where its own optimizer stands.
    """

    def __init__(self, stack: StackedParameters) -> None:
        self.stack = stack
        adam = isinstance(stack.nets[0].optimizer_, Adam)
        self._names = ("exp_avg", "exp_avg_sq") if adam else ("momentum_buffer",)
        self.moments = [
            [torch.zeros_like(values) for values in stack.values] for _ in self._names
        ]
        self.t = [0] * len(stack.nets)
        self.rates = [_rate(net) for net in stack.nets]
        for i in range(len(stack.nets)):
            self._take_over(i)
        self._runs: list[_Run] = []

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
        nets = self.stack.nets
        for i, net in enumerate(nets):
            self._rescale(i, _rate(net))
        keys = [
            (on, t, numbers_of(net))
            for on, t, net in zip(active, self.t, nets, strict=True)
        ]
        self._runs = []
        for (on, *_), places in groupby(range(len(keys)), key=keys.__getitem__):
            found = list(places)
            if on:
                part = slice(found[0], found[-1] + 1)
                self._runs.append(self._run(part))

    def _run(self, part: slice) -> _Run:
        """Return the tensors of some networks."""
        return _Run(
            self.stack.nets[part.start],
            part,
            [values[part] for values in self.stack.values],
            [gradients[part] for gradients in self.stack.gradients],
            [[moment[part] for moment in moments] for moments in self.moments],
        )

    def _rescale(self, i: int, rate: float) -> None:
        """Keep a momentum buffer, which holds the rate, in step with a new rate."""
        if rate != self.rates[i] and len(self.moments) == 1:
            for moment in self.moments[0]:
                moment[i].mul_(self.rates[i] / rate)
        self.rates[i] = rate

    def update(self) -> None:
        """Take one step."""
        for net, places, values, gradients, moments in self._runs:
            group = net.optimizer_.param_groups[0]
            if net.solver in DECOUPLED:
                for i in self.stack.penalized:
                    values[i].mul_(1.0 - group["lr"] * net.alpha)
            t = self.t[places.start] + 1
            self.t[places] = [t] * (places.stop - places.start)
            if len(moments) == 1:
                buffers = moments[0] if group["momentum"] else []
                sgd_step(values, gradients, buffers, group)
            else:
                step = values[0].new_tensor(float(t))
                adam_step(values, gradients, (moments[0], moments[1]), step, t, group)

    def select(self, index: Tensor) -> None:
        """Go on with some of the networks."""
        self.moments = [[m[index] for m in moments] for moments in self.moments]
        self.t = [self.t[i] for i in index.tolist()]
        self.rates = [self.rates[i] for i in index.tolist()]
        self._runs = []

    def write_back(self, i: int) -> None:
        """Leave the `i`-th network's optimizer as training alone would have left it."""
        net = self.stack.nets[i]
        values = net.flat_.values
        state = net.optimizer_.state[values]
        moments = [
            self.stack.flatten(i, moment, torch.zeros_like(values))
            for moment in self.moments
        ]
        if len(moments) == 1:
            if net.optimizer_.param_groups[0]["momentum"]:
                (state["momentum_buffer"],) = moments
            state["lr"] = self.rates[i]
        else:
            state["t"] = self.t[i]
            state["step"] = torch.tensor(float(self.t[i]), device=values.device)
            state["exp_avg"], state["exp_avg_sq"] = moments


def _rate(net: Net) -> float:
    """Return a network's learning rate as it stands."""
    return net.optimizer_.param_groups[0]["lr"]
