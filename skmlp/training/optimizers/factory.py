"""Make the optimizer of a network from the name of a solver or a class."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from skmlp.training.optimizers.flat_optimizers import SGD, Adam, TorchSGD
from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.optimizers.muon import MuonAdam
from skmlp.training.optimizers.user_optimizers import make_user_optimizer

TORCH_OPTIMIZERS: dict[str, type[Optimizer]] = {
    "nadam": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
}

NAMES = ("sgd", "adam", "adamw", *TORCH_OPTIMIZERS, "muon", "torch_sgd")

# These use decoupled weight decay (Loshchilov and Hutter 2017) instead of the penalty.
DECOUPLED_DECAY_SOLVERS = frozenset({"adamw", "muon"})


def takes_optimizer_params(solver: str | type[Optimizer]) -> bool:
    """Return whether a solver takes further arguments in `optimizer_params`."""
    return not isinstance(solver, str) or solver in TORCH_OPTIMIZERS or solver == "muon"


def make_optimizer(
    solver: str | type[Optimizer],
    flat: FlatParameters,
    *,
    lr: float,
    momentum: float,
    nesterov: bool,
    betas: tuple[float, float],
    eps: float,
    params: Mapping[str, Any] | None,
) -> Optimizer:
    """Return the optimizer of all parameters of a network.

    An optimizer called by its name updates the flat vector. A class of the user updates
    the parameters one by one, because its update may depend on their shapes.

    `params` are further arguments of torch's class, for the solvers that scikit-learn
    does not have.
    """
    params = dict(params or {})
    if not isinstance(solver, str):
        return make_user_optimizer(solver, flat.parameters, lr, params)
    values = flat.values
    if solver in ("sgd", "torch_sgd"):
        sgd = SGD if solver == "sgd" else TorchSGD
        return sgd([values], lr=lr, momentum=momentum, nesterov=nesterov)
    if solver in ("adam", "adamw"):
        return Adam([values], lr=lr, betas=betas, eps=eps)
    if solver == "muon":
        muon = {"lr": lr, "momentum": momentum, "nesterov": nesterov} | params
        return MuonAdam(flat, muon, {"lr": lr, "betas": betas, "eps": eps})
    shared: dict[str, Any] = {"lr": lr}
    if solver == "nadam":
        shared |= {"betas": betas, "eps": eps}
    optimizer = TORCH_OPTIMIZERS[solver]([values], **(shared | params))
    if solver == "nadam" and torch.get_default_dtype() != torch.float32:
        _initialize_nadam(optimizer, values)
    return optimizer


def _initialize_nadam(optimizer: Optimizer, values: Tensor) -> None:
    """Set the state before the first step, as torch does in its own default dtype.

    torch's product of momenta would have the user's default dtype, and other digits.
    """
    on_device = optimizer.param_groups[0]["capturable"]
    device = values.device if on_device else torch.device("cpu")
    optimizer.state[values] = {
        "step": torch.zeros((), dtype=torch.float32, device=device),
        "mu_product": torch.ones((), dtype=torch.float32, device=device),
        "exp_avg": torch.zeros_like(values),
        "exp_avg_sq": torch.zeros_like(values),
    }
