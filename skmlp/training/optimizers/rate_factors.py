"""Learning rates of groups of parameters, as factors of one learning rate."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from torch import Tensor, nn

from skmlp.training.modules.embeddings import FeatureEmbedding
from skmlp.training.modules.introspection import weight_layers

# Groups of parameters. All others, such as those of batch normalization, have factor 1.
GROUPS = ("weights", "biases", "scales", "periodic", "categories")

# Solvers whose updates can be multiplied by a factor for each parameter.
SOLVERS = frozenset({"sgd", "adam", "adamw"})

FAN_IN = "fan_in"


def check_rate_factors(factors: Mapping[str, Any], solver: str) -> None:
    """Raise a ValueError for a wrong group, a wrong factor, or another solver."""
    if solver not in SOLVERS:
        raise ValueError(
            f"learning_rate_factors needs one of the solvers {sorted(SOLVERS)}, but "
            f"solver={solver!r}; set learning_rate_factors=None."
        )
    for group, factor in factors.items():
        if group not in GROUPS:
            raise ValueError(
                f"learning_rate_factors has the key {group!r}; the groups of "
                f"parameters are {list(GROUPS)}."
            )
        is_number = isinstance(factor, Real) and 0 < float(factor) < math.inf
        if not is_number and not (group == "weights" and factor == FAN_IN):
            raise ValueError(
                f"learning_rate_factors[{group!r}] must be a number above 0, or "
                f"'{FAN_IN}' for 'weights', got {factor!r}."
            )


def parameter_rate_factors(
    network: nn.Module, parameters: Sequence[Tensor], factors: Mapping[str, Any]
) -> list[float]:
    """Return the factor of the learning rate of each parameter.

    Parameters
    ----------
    network : nn.Module
    parameters : sequence of nn.Parameter
        Parameters of the network.
    factors : mapping of str to float
        Factors of some of the `GROUPS`. For 'weights', 'fan_in' is one divided by the
        root of the number of inputs of the layer. Adam then moves weights that start
        with the deviation ``1 / sqrt(fan_in)`` by the same fraction in all layers.
    """
    by_id: dict[int, float] = {}

    def set_factor(parameter: Tensor | None, group: str) -> None:
        factor = factors.get(group, 1.0)
        if parameter is not None and factor == FAN_IN:
            factor = 1.0 / math.sqrt(parameter[0].numel())
        by_id[id(parameter)] = float(factor)

    for layer in weight_layers(network):
        set_factor(layer.weight, "weights")
        set_factor(layer.bias, "biases")
    for module in network.modules():
        if isinstance(module, FeatureEmbedding):
            set_factor(module.scale, "scales")
            for part, group in (
                (module.periodic, "periodic"),
                (module.category, "categories"),
            ):
                if part is not None:
                    for parameter in part.parameters():
                        set_factor(parameter, group)
    return [by_id.get(id(parameter), 1.0) for parameter in parameters]
