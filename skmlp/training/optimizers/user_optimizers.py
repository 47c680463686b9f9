"""Optimizers of the user: subclasses of `torch.optim.Optimizer`."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def check_user_optimizer(
    solver: Any, lr: float, params: Mapping[str, Any] | None
) -> None:
    """Raise an error for a class that cannot update the parameters of a network.

    The optimizer takes a step with gradients of zero for a matrix and a vector.

    Raises
    ------
    TypeError
        If it is no subclass of `torch.optim.Optimizer`.
    ValueError
        If its step needs a closure, if `params` are not valid, or if the step fails.
    """
    if not (isinstance(solver, type) and issubclass(solver, Optimizer)):
        raise TypeError(
            "solver has to be a name or a subclass of torch.optim.Optimizer, got "
            f"{solver!r}."
        )
    closure = inspect.signature(solver.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise ValueError(
            f"solver={solver.__name__} needs a closure that computes the loss several "
            "times in a step, which training does not have; use solver='lbfgs'."
        )
    if "lr" in (params or {}):
        raise ValueError(
            f"optimizer_params={params!r} has the learning rate; set "
            "learning_rate_init instead."
        )
    parameters = [nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(2))]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer = make_user_optimizer(solver, parameters, lr, params or {})
    try:
        optimizer.step()
    except Exception as error:
        raise ValueError(f"solver={solver.__name__} failed: {error}") from error


def make_user_optimizer(
    solver: type[Optimizer],
    parameters: Sequence[Tensor],
    lr: float,
    params: Mapping[str, Any],
) -> Optimizer:
    """Return an optimizer of the parameters; `lr` is left out if it has none."""
    arguments = inspect.signature(solver).parameters.values()
    takes_lr = any(a.name == "lr" or a.kind is a.VAR_KEYWORD for a in arguments)
    given = ({"lr": lr} if takes_lr else {}) | dict(params)
    try:
        return solver(list(parameters), **given)
    except Exception as error:
        raise ValueError(
            f"solver={solver.__name__} with optimizer_params={dict(params)!r} cannot "
            f"update the network: {error}"
        ) from error
