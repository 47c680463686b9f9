"""The state of an optimizer as a dict, on the CPU.

torch's ``state_dict`` imports its compiler (``torch._dynamo``) for a second.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from skmlp.training.optimizers.flat_optimizers import FlatOptimizer


def copy_optimizer_state(
    optimizer: Optimizer, copies: bool = True
) -> dict[str, dict[str, Any]]:
    """Return a copy of the settings and of the state of an optimizer, on the CPU.

    With ``copies=False``, tensors on the CPU are not copied. The optimizer must not be
    used any more.

    The keys of "group" are the names of settings, and those of "state" the names of
    moments. If there are several parameters, the names begin with the number of their
    group or parameter, such as ``0.exp_avg``.
    """
    groups, parameters = _groups_and_parameters(optimizer)
    return {
        "group": {
            prefix + name: _copied(value, "cpu", copies)
            for prefix, group in groups
            for name, value in group.items()
            if name != "params"
        },
        "state": {
            prefix + name: _copied(value, "cpu", copies)
            for prefix, parameter in parameters
            for name, value in optimizer.state.get(parameter, {}).items()
        },
    }


def load_optimizer_state(
    optimizer: Optimizer, saved: Mapping[str, Mapping[str, Any]]
) -> None:
    """Load what `copy_optimizer_state` returned into a new optimizer."""
    groups, parameters = _groups_and_parameters(optimizer)
    for prefix, group in groups:
        group.update(_with_prefix(saved["group"], prefix))
    counts_on_device = _counts_on_device(optimizer)
    for prefix, parameter in parameters:
        if state := _with_prefix(saved["state"], prefix):
            optimizer.state[parameter] = {
                name: _copied(
                    value,
                    parameter.device
                    if counts_on_device or _has_dimensions(value)
                    else "cpu",
                )
                for name, value in state.items()
            }


def _counts_on_device(optimizer: Optimizer) -> bool:
    """Return whether the step counters are on the device of the parameters.

    The counters are tensors without dimensions. torch's optimizers read them on the
    host in every step, unless they are fused or capturable.
    """
    groups = optimizer.param_groups
    return isinstance(optimizer, FlatOptimizer) or any(
        group.get("capturable") or group.get("fused") for group in groups
    )


def _groups_and_parameters(
    optimizer: Optimizer,
) -> tuple[list[tuple[str, dict[str, Any]]], list[tuple[str, Tensor]]]:
    """Return groups and parameters of an optimizer, each with a prefix of names."""
    groups = optimizer.param_groups
    parameters = [p for group in groups for p in group["params"]]
    if len(parameters) == 1:
        return [("", groups[0])], [("", parameters[0])]
    return (
        [(f"{i}.", group) for i, group in enumerate(groups)],
        [(f"{i}.", parameter) for i, parameter in enumerate(parameters)],
    )


def _with_prefix(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the entries whose names begin with a prefix, without the prefix."""
    return {
        k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)
    }


def _has_dimensions(value: Any) -> bool:
    """Return whether a value is no tensor, or a tensor with dimensions."""
    return not isinstance(value, Tensor) or value.dim() > 0


def _copied(value: Any, device: torch.device | str, copies: bool = True) -> Any:
    """Copy tensors to a device, also in containers; return other values unchanged.

    With ``copies=False``, tensors that are on the device are not copied.
    """
    if isinstance(value, Tensor):
        return value.detach().to(device, copy=copies)
    if isinstance(value, dict):
        return {key: _copied(item, device, copies) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_copied(item, device, copies) for item in value)
    return value
