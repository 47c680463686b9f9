"""Parameters that were changed between a fit and the fit that continues it."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from skmlp.neural_network._fit.module_arguments import is_module_argument

# The parameters from which a network is built. A change is accepted if the
# weights of the new network have the same names and shapes, as with another activation.
STRUCTURE = (
    "activation",
    "batch_norm",
    "categorical_features",
    "block",
    "channel_dropout",
    "code_activation",
    "conv_channels",
    "conv_dropout",
    "conv_strides",
    "decoder_layer_sizes",
    "dropout",
    "head",
    "hidden_layer_sizes",
    "input_scale",
    "kernel_size",
    "module",
    "n_components",
    "padding",
    "pool",
    "pool_padding",
    "periodic_features",
    "pool_size",
)

# The parameters that count in the first fit only.
_START = ("conv_dims", "dtype", "image_shape", "init")

# The parameters that count when a net is made. A warm start makes a new one.
_OPTIMIZER = (
    "beta_1",
    "beta_2",
    "callbacks",
    "epsilon",
    "fade_start",
    "frozen_layers",
    "gamma",
    "learning_rate",
    "learning_rate_factors",
    "learning_rate_init",
    "momentum",
    "nesterovs_momentum",
    "optimizer_params",
    "power_t",
    "step_size",
    "warmup_epochs",
)

_RECORDED = (*STRUCTURE, *_START, *_OPTIMIZER, "loss")


def is_structural(name: str) -> bool:
    """Return whether a network is built from this parameter."""
    return name in STRUCTURE or is_module_argument(name)


def record_parameters(estimator: Any) -> dict[str, Any]:
    """Return the parameters that a later fit compares with its own."""
    cls: Any = type(estimator)
    record = _values_of_class(cls).copy()
    for name, value in vars(estimator).items():
        if name in record or is_module_argument(name):
            # A list may be changed in place.
            is_list = isinstance(value, list | np.ndarray)
            record[name] = list(value) if is_list else value
    return record


@cache
def _values_of_class(cls: Any) -> dict[str, Any]:
    """Return the recorded names with the values of a class, or None."""
    return {name: getattr(cls, name, None) for name in _RECORDED}


def find_changed(estimator: Any, record: Mapping[str, Any]) -> list[str]:
    """Return the names of the recorded parameters that were changed since."""
    added = [n for n in vars(estimator) if is_module_argument(n) and n not in record]
    return added + [
        name
        for name, before in record.items()
        if (now := getattr(estimator, name, None)) is not before
        and _differ(now, before)
    ]


def refuse_changed(
    estimator: Any,
    record: Mapping[str, Any],
    changed: list[str],
    incremental: bool,
    same_solver: bool,
) -> None:
    """Refuse changed parameters that training cannot take when it continues."""
    keeps_optimizer = incremental and same_solver
    refused = [*_START, *(_OPTIMIZER if keeps_optimizer else ())]
    for name in changed:
        if name in refused:
            raise ValueError(changed_text(estimator, record, [name], incremental))
    both = (record["loss"], estimator.loss)
    if "loss" in changed and getattr(estimator, "_target_type", "") == "probabilities":
        raise ValueError(
            f"loss={both[1]!r} cannot continue a fit to probabilities with loss="
            f"{both[0]!r}; set it back or fit a new estimator."
        )


def changed_text(
    estimator: Any, record: Mapping[str, Any], names: list[str], incremental: bool
) -> str:
    """Return the text of an error about changed parameters."""
    changes = " and ".join(
        f"{name}={getattr(estimator, name, None)!r} was {record.get(name)!r}"
        for name in names
    )
    continues = "partial_fit" if incremental else "A fit with warm_start=True"
    return (
        f"{changes} in the fit before. {continues} continues that fit and cannot take "
        "the new value; set it back or fit a new estimator."
    )


def _differ(now: Any, before: Any) -> bool:
    """Return whether two values differ; arrays inside of them count as different."""
    try:
        return bool(_plain(now) != _plain(before))
    except (RuntimeError, TypeError, ValueError):  # a comparison of arrays is an array
        return True


def _plain(value: Any) -> Any:
    """Return a value such that 5, [5] and (5,) are equal."""
    if isinstance(value, dict):
        return value
    values = value if isinstance(value, list | tuple | np.ndarray) else [value]
    if not len(values):  # an empty list of layers or callbacks equals None
        return [None]
    return [item.item() if isinstance(item, np.generic) else item for item in values]
