"""Optimizers of one flat vector, by scikit-learn's and torch's names.

scikit-learn's two stochastic solvers are torch's with two differences. Its Adam adds
epsilon before the second moment is corrected for its bias, so torch's ``eps`` is to be
``epsilon / sqrt(1 - beta_2**t)`` in step t. Its momentum buffer holds the learning
rate, so torch's buffer is to be rescaled whenever the rate changes.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from skmlp.training.compute.thread_tuning import tuned_thread_count
from skmlp.training.compute.threads import using_threads


class FlatOptimizer(Optimizer):
    """An optimizer of one vector."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add the vector; torch's own imports its compiler, which takes a second."""
        self.param_groups.append(self.defaults | param_group)

    def update(self) -> None:
        """Take one step; like `step` without torch's bookkeeping around it."""
        raise NotImplementedError

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take one step."""
        self.update()


class SGD(FlatOptimizer):
    """scikit-learn's stochastic gradient descent with (Nesterov's) momentum."""

    def __init__(
        self, params: list[Tensor], lr: float, momentum: float, nesterov: bool
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "nesterov": nesterov}
        super().__init__(params, defaults)

    def update(self) -> None:
        """Take one step; like `step` without torch's bookkeeping around it."""
        for group in self.param_groups:
            (p,) = group["params"]
            state = self.state[p]
            lr, momentum = group["lr"], group["momentum"]
            if momentum and not state:
                state["momentum_buffer"] = _lasting_zeros(p)
            elif momentum and state["lr"] != lr:
                state["momentum_buffer"].mul_(state["lr"] / lr)
            state["lr"] = lr
            buffer = state.get("momentum_buffer")
            sgd_step([p], [p.grad], [] if buffer is None else [buffer], group)


class Adam(FlatOptimizer):
    """scikit-learn's Adam (Kingma and Ba 2014, the efficient order of section 2)."""

    def __init__(
        self, params: list[Tensor], lr: float, betas: tuple[float, float], eps: float
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    def update(self) -> None:
        """Take one step; like `step` without torch's bookkeeping around it."""
        for group in self.param_groups:
            (p,) = group["params"]
            state = self.state[p]
            if not state:
                state["t"] = 0
                state["step"] = _lasting_zeros(torch.empty((), device=p.device))
                state["exp_avg"] = _lasting_zeros(p)
                state["exp_avg_sq"] = _lasting_zeros(p)
            state["t"] += 1
            # The fused kernel reads the number of the step, not the one before.
            state["step"].fill_(state["t"])
            moments = [state["exp_avg"]], [state["exp_avg_sq"]]
            adam_step([p], [p.grad], moments, state["step"], state["t"], group)


def _lasting_zeros(like: Tensor) -> Tensor:
    """Return zeros that outlive the inference mode in which a step may be taken."""
    with torch.inference_mode(False):
        return torch.zeros_like(like)


def sgd_step(
    values: list[Tensor],
    gradients: list[Tensor],
    buffers: list[Tensor],
    group: Mapping[str, Any],
) -> None:
    """Move `values` down `gradients`; without momentum there are no buffers."""
    momentum = group["momentum"]
    with using_threads(tuned_thread_count()):
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
    from_zero: bool = False,
) -> None:
    """Move `values` by Adam's step number `t`, also given as a tensor.

    With `from_zero`, for a rate of one, it is zeros that move, in the place of values
    that are finite.
    """
    beta_1, beta_2 = group["betas"]
    # AdamW's kernel first shrinks the values, here to nothing.
    kernel = torch._fused_adamw_ if from_zero else torch._fused_adam_
    with using_threads(tuned_thread_count()):
        kernel(
            values,
            gradients,
            *moments,
            [],
            [step] * len(values),
            lr=group["lr"],
            beta1=beta_1,
            beta2=beta_2,
            weight_decay=float(from_zero),
            eps=group["eps"] / (1.0 - beta_2**t) ** 0.5,
            amsgrad=False,
            maximize=False,
        )


# These take further arguments; the others are the estimator's parameters alone.
TORCH_OPTIMIZERS: dict[str, type[Optimizer]] = {
    "nadam": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
}

NAMES = ("sgd", "adam", "adamw", *TORCH_OPTIMIZERS)

# With these the L2 penalty shrinks the weights directly (Loshchilov and Hutter 2017).
DECOUPLED = frozenset({"adamw"})


def make_optimizer(
    solver: str,
    values: Tensor,
    *,
    lr: float,
    momentum: float,
    nesterov: bool,
    betas: tuple[float, float],
    eps: float,
    params: Mapping[str, Any] | None,
) -> Optimizer:
    """Return the optimizer called `solver` for the flat vector `values`.

    `params` are further arguments of torch's class for the solvers that scikit-learn
    does not have.
    """
    if solver == "sgd":
        return SGD([values], lr=lr, momentum=momentum, nesterov=nesterov)
    if solver in ("adam", "adamw"):
        return Adam([values], lr=lr, betas=betas, eps=eps)
    shared: dict[str, Any] = {"lr": lr}
    if solver == "nadam":
        shared |= {"betas": betas, "eps": eps}
    return TORCH_OPTIMIZERS[solver]([values], **(shared | dict(params or {})))


def copy_optimizer_state(optimizer: Optimizer) -> dict[str, dict[str, Any]]:
    """Return a copy, on the CPU, of what an optimizer of one vector knows.

    Not torch's ``state_dict``, whose first call imports its compiler for a second.
    """
    (group,) = optimizer.param_groups
    state = optimizer.state.get(group["params"][0], {})
    return {
        "group": {name: v for name, v in group.items() if name != "params"},
        "state": {name: _copied(v, "cpu") for name, v in state.items()},
    }


def load_optimizer_state(
    optimizer: Optimizer, saved: Mapping[str, Mapping[str, Any]]
) -> None:
    """Load what `copy_optimizer_state` returned into a new optimizer of one vector."""
    (group,) = optimizer.param_groups
    group.update(saved["group"])
    (values,) = group["params"]
    if saved["state"]:
        optimizer.state[values] = {
            name: _copied(v, values.device) for name, v in saved["state"].items()
        }


def _copied(value: Any, device: torch.device | str) -> Any:
    """Copy a tensor to a device; anything else is as it is."""
    return value.to(device, copy=True) if isinstance(value, Tensor) else value
