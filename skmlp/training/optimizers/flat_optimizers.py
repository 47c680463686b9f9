"""Optimizers that update one flat parameter vector.

scikit-learn's two stochastic solvers differ from torch's in two points.

- Its Adam adds epsilon before it corrects the bias of the second moment. torch's
  ``eps`` is therefore set to ``epsilon / sqrt(1 - beta_2**t)`` in step t.
- Its momentum buffer is multiplied by the learning rate. torch's buffer is therefore
  rescaled when the learning rate changes.

A CUDA graph repeats its kernels with the same numbers of Python. `plan_steps` therefore
computes the numbers of many steps at once, and `planned_update` reads them from a
tensor.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from skmlp.training.compute.ambient_modes import inference_mode
from skmlp.training.compute.threads import using_threads

# Number of stored bias corrections.
_MAX_CORRECTIONS = 2**14

# Adam's steps from one removal of tiny numbers to the next.
STEPS_BETWEEN_FLUSHES = 64


class UpdatedTensors(NamedTuple):
    """What an update reads and changes, in equally many parts.

    Parameters
    ----------
    values, gradients : list of Tensor
    moments : dict of str to list of Tensor
        By their names in the state of the optimizer.
    """

    values: list[Tensor]
    gradients: list[Tensor]
    moments: dict[str, list[Tensor]]


class FlatOptimizer(Optimizer):
    """An optimizer of one vector.

    Attributes
    ----------
    moment_names : tuple of str
        Names of the moments in the state.
    rate_factors : Tensor of the shape of the vector, or None
        Factors of the learning rate of each element; None means 1.
    """

    moment_names: tuple[str, ...]
    rate_factors: Tensor | None = None

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add the vector.

        torch's method imports its compiler (``torch._dynamo``), which takes a second.
        """
        self.param_groups.append(self.defaults | param_group)

    @property
    def counts_steps(self) -> bool:
        """Whether a scheduler of torch has wrapped `step` to count its calls."""
        return "step" in vars(self)

    def update(self, n_threads: int = 1) -> None:
        """Take one step on `n_threads`; the training loop calls this method.

        `step` is the method with torch's hooks. A scheduler of torch may wrap it.
        """
        raise NotImplementedError

    def plan_steps(self, learning_rates: Sequence[float]) -> np.ndarray:
        """Return factors ``(steps, factors)`` of the next steps, and count the steps.

        `learning_rates` has one value for each step.
        """
        raise NotImplementedError

    def planned_update(
        self, factors: Tensor, tensors: UpdatedTensors | None = None
    ) -> None:
        """Take a step of a plan.

        Parameters
        ----------
        factors : Tensor of shape (factors,)
            A row of the plan in float32, on the device.
        tensors : UpdatedTensors or None
            What to update. None means the vector. Others need `rate_factors` of None.
        """
        raise NotImplementedError

    def _flat_tensors(self) -> UpdatedTensors:
        """Return the vector, its gradient and its moments."""
        (group,) = self.param_groups
        (p,) = group["params"]
        state = self.state[p]
        moments = {name: [state[name]] for name in self.moment_names}
        return UpdatedTensors([p], [p.grad], moments)

    def step(  # type: ignore[override]
        self, closure: Any = None, n_threads: int = 1
    ) -> None:
        """Take one step on `n_threads`."""
        self.update(n_threads)


class SGD(FlatOptimizer):
    """scikit-learn's stochastic gradient descent with (Nesterov's) momentum."""

    # Whether earlier updates keep their size if the learning rate changes.
    rescales_momentum = True

    def __init__(
        self, params: list[Tensor], lr: float, momentum: float, nesterov: bool
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "nesterov": nesterov}
        super().__init__(params, defaults)

    def update(self, n_threads: int = 1) -> None:
        """Take one step on `n_threads`."""
        for group in self.param_groups:
            (p,) = group["params"]
            state = self.state[p]
            lr, momentum = group["lr"], group["momentum"]
            if momentum and not state:
                state["momentum_buffer"] = _persistent_zeros(p)
            elif momentum and self.rescales_momentum and state["lr"] != lr:
                state["momentum_buffer"].mul_(state["lr"] / lr)
            state["lr"] = lr
            if self.rate_factors is not None:
                p.grad.mul_(self.rate_factors)  # has the same effect in the update
            buffer = state.get("momentum_buffer")
            buffers = [] if buffer is None else [buffer]
            sgd_step([p], [p.grad], buffers, group, n_threads)

    def plan_steps(self, learning_rates: Sequence[float]) -> np.ndarray:
        """Return the learning rates, and factors of the momentum buffer if they change.

        The factors of a step have the shape ``(1,)`` or ``(2,)``.
        """
        (group,) = self.param_groups
        (p,) = group["params"]
        state = self.state[p]
        rates = np.array(learning_rates)
        previous = np.append(state.get("lr", rates[0]), rates[:-1])
        state["lr"] = float(rates[-1])
        if not group["momentum"]:
            return rates[:, np.newaxis]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = _persistent_zeros(p)
        if not self.rescales_momentum or (previous == rates).all():
            return rates[:, np.newaxis]
        with np.errstate(divide="ignore", invalid="ignore"):  # a rate may be zero
            return np.column_stack(
                [rates, np.where(previous == rates, 1.0, previous / rates)]
            )

    @property
    def moment_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The momentum buffer, if there is one."""
        return ("momentum_buffer",) if self.param_groups[0]["momentum"] else ()

    def planned_update(
        self, factors: Tensor, tensors: UpdatedTensors | None = None
    ) -> None:
        """Take a step of a plan."""
        (group,) = self.param_groups
        values, gradients, moments = tensors or self._flat_tensors()
        buffers = moments.get("momentum_buffer", [])
        if len(factors) > 1:
            torch._foreach_mul_(buffers, factors[1])
        if self.rate_factors is not None:
            gradients[0].mul_(self.rate_factors)
        sgd_step(values, gradients, buffers, {**group, "lr": factors[0]}, 1)


class TorchSGD(SGD):
    """torch's stochastic gradient descent: a new learning rate scales the momentum."""

    rescales_momentum = False


class Adam(FlatOptimizer):
    """scikit-learn's Adam (Kingma and Ba 2014).

    The step size includes the bias corrections, as at the end of section 2.
    """

    moment_names = ("exp_avg", "exp_avg_sq")
    _infinite_step: Tensor | None = None

    def __init__(
        self, params: list[Tensor], lr: float, betas: tuple[float, float], eps: float
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    def update(self, n_threads: int = 1) -> None:
        """Take one step on `n_threads`."""
        for group in self.param_groups:
            (p,) = group["params"]
            state = self._state_of(p)
            state["t"] += 1
            # The fused kernel reads the step number from a tensor. Python needs it as
            # an int, because reading the tensor would wait for a GPU.
            state["step"].fill_(state["t"])
            moments = [state["exp_avg"]], [state["exp_avg_sq"]]
            step, t = state["step"], state["t"]
            if self.rate_factors is None:
                adam_step([p], [p.grad], moments, step, t, group, n_threads)
            else:
                update, unit = torch.zeros_like(p), {**group, "lr": 1.0}
                adam_step([update], [p.grad], moments, step, t, unit, n_threads, True)
                p.addcmul_(update, self.rate_factors, value=group["lr"])
            if t % STEPS_BETWEEN_FLUSHES == 0 and p.is_cpu:
                flush_to_zero(p, state["exp_avg"])

    def _state_of(self, p: Tensor) -> dict[str, Any]:
        """Return the state of the vector, which is zero before the first step."""
        state = self.state[p]
        if not state:
            state["t"] = 0
            state["step"] = _persistent_zeros(p.new_empty((), dtype=torch.float32))
            state["exp_avg"] = _persistent_zeros(p)
            state["exp_avg_sq"] = _persistent_zeros(p)
        return state

    def plan_steps(self, learning_rates: Sequence[float]) -> np.ndarray:
        """Return the learning rates times the bias corrections, ``(steps, 1)``."""
        (group,) = self.param_groups
        (p,) = group["params"]
        state, n_steps = self._state_of(p), len(learning_rates)
        first = state["t"] + 1
        corrections = [
            bias_correction(first + i, *group["betas"]) for i in range(n_steps)
        ]
        state["t"] += n_steps
        state["step"].fill_(state["t"])
        # With an infinite step number, the kernel corrects no bias.
        if self._infinite_step is None:
            self._infinite_step = torch.full_like(state["step"], math.inf)
        return (np.array(learning_rates) * corrections)[:, np.newaxis]

    def planned_update(
        self, factors: Tensor, tensors: UpdatedTensors | None = None
    ) -> None:
        """Take a step of a plan."""
        (group,) = self.param_groups
        values, gradients, by_name = tensors or self._flat_tensors()
        step, moments = self._infinite_step, (by_name["exp_avg"], by_name["exp_avg_sq"])
        assert step is not None
        if self.rate_factors is None:
            at_rate = {**group, "lr": factors[0]}
            adam_step(values, gradients, moments, step, math.inf, at_rate, 1)
            return
        (p,) = values
        update, at_rate_1 = torch.zeros_like(p), {**group, "lr": 1.0}
        adam_step([update], gradients, moments, step, math.inf, at_rate_1, 1, True)
        p.addcmul_(update, self.rate_factors * factors[0])


def flush_to_zero(*vectors: Tensor) -> None:
    """Set numbers to zero in place that will soon be subnormal.

    A CPU needs about a hundred times as long for an operation with a subnormal number.
    The penalty lets the weights of a constant feature decrease to such numbers.
    """
    for vector in vectors:
        torch.hardshrink(vector, 1e12 * torch.finfo(vector.dtype).tiny, out=vector)


@lru_cache(maxsize=_MAX_CORRECTIONS)  # members of a pack take the same steps
def bias_correction(t: int, beta_1: float, beta_2: float) -> float:
    """Return the factor of Adam's learning rate in step `t`, and 0 before step 1.

    The formula is at the end of section 2 of Kingma and Ba (2014), arXiv:1412.6980.
    """
    return math.sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t) if t else 0.0


def _persistent_zeros(like: Tensor) -> Tensor:
    """Return zeros that are no inference tensors.

    They can therefore be changed outside torch's inference mode too.
    """
    with inference_mode(False):
        return torch.zeros_like(like)


def sgd_step(
    values: list[Tensor],
    gradients: list[Tensor],
    buffers: list[Tensor],
    group: Mapping[str, Any],
    n_threads: int,
) -> None:
    """Update `values` by gradient descent; without momentum, `buffers` is empty."""
    momentum = group["momentum"]
    with using_threads(n_threads):
        torch._fused_sgd_(
            values,
            gradients,
            buffers,
            weight_decay=0.0,
            momentum=momentum,
            lr=group["lr"],
            dampening=0.0,
            nesterov=bool(group["nesterov"] and momentum),
            maximize=False,
            is_first_step=False,
        )


def adam_step(
    values: list[Tensor],
    gradients: list[Tensor],
    moments: tuple[list[Tensor], list[Tensor]],
    step: Tensor,
    t: float,
    group: Mapping[str, Any],
    n_threads: int,
    overwrite_with_update: bool = False,
) -> None:
    """Update `values` by Adam's step number `t`, which `step` holds as a tensor.

    The learning rate of `group` is a number, or a tensor without dimensions.

    With `overwrite_with_update` the values become the update itself, instead of values
    plus update. They have to be finite, and the learning rate has to be 1.
    """
    beta_1, beta_2 = group["betas"]
    # AdamW's kernel first multiplies the values by 1 - lr * weight_decay. With both
    # equal to 1, this erases the values before the update is added.
    kernel = torch._fused_adamw_ if overwrite_with_update else torch._fused_adam_
    with using_threads(n_threads):
        kernel(
            values,
            gradients,
            *moments,
            [],
            [step] * len(values),
            lr=group["lr"],
            beta1=beta_1,
            beta2=beta_2,
            weight_decay=float(overwrite_with_update),
            eps=group["eps"] / (1.0 - beta_2**t) ** 0.5,
            amsgrad=False,
            maximize=False,
        )
