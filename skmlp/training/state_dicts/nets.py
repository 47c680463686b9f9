"""The state of a trained net as plain values and arrays, for pickles and copies.

The history and the monitor are not in it: an estimator has both as attributes.
"""

from dataclasses import MISSING, fields
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from skmlp.training.net import Net
from skmlp.training.optimizers.factory import make_optimizer
from skmlp.training.schedules import Schedule
from skmlp.training.state_dicts.runs import arrays_to_tensors, tensors_to_arrays

# Attributes of a net that are plain values.
_VALUES = (
    "solver",
    "alpha",
    "max_grad_norm",
    "weight_averaging",
    "amp",
    "verbose",
    "max_epochs",
    "batch_size",
    "epochs_",
    "converged_",
    "interrupted_",
    "incremental_",
    "bests_",
)


def net_state_dict(net: Net, moments: bool) -> dict[str, Any]:
    """Return a copy of the state of a net.

    Parameters
    ----------
    net : Net
        Its `make_optimizer` is a `functools.partial` of skmlp's function.
    moments : bool
        Whether the state holds the moments of the optimizer. Without them, further
        training continues with the last learning rate, and with moments of zero.

    Returns
    -------
    state : dict
        Plain values and arrays, and the callbacks. The weights are one vector. Empty
        entries are left out.
    """
    network, factory = net.module_, net.make_optimizer
    assert isinstance(factory, partial)
    tensors = [tensor.cpu() for tensor in network.state_dict().values()]
    weights = [t.numpy().ravel() for t in tensors if t.is_floating_point()]
    optimizer: dict[str, Any] | None = net.copy_optimizer_state()
    if optimizer is not None:
        given = factory.keywords
        group = {k: v for k, v in optimizer["group"].items() if v != given.get(k)}
        optimizer = {"group": group, "state": optimizer["state"] if moments else {}}
    state = {
        "values": {name: getattr(net, name) for name in _VALUES},
        "weights": np.concatenate(weights),
        # Numbers of batches of batch normalizations. A user's module may have others.
        "counts": [
            int(t) if t.dim() == 0 else t.numpy().copy()
            for t in tensors
            if not t.is_floating_point()
        ],
        "frozen": [k for k, p in network.named_parameters() if not p.requires_grad],
        "schedule": changed_fields(net.schedule),
        "optimizer_params": factory.keywords,
        "optimizer": tensors_to_arrays(optimizer),
        "callbacks": net.callbacks,
        "named_callbacks": net.callbacks_[1:],
    }
    # A pickle of many small networks shall not be large.
    return {k: v for k, v in state.items() if isinstance(v, np.ndarray) or v}


def load_net_state_dict(net: Net, state: dict[str, Any]) -> None:
    """Load a stored state into a net whose network has the same structure.

    Parameters
    ----------
    net : Net
        Initialized, with its network on the CPU.
    state : dict
        A return value of `net_state_dict`. Its values become the net's own. The
        parameters of the optimizer may be left out, if the net has them already.
    """
    load_weights(net.module_, state)
    net.__dict__.update(state["values"])
    net.device = "cpu"  # pickles of earlier versions hold the device of the training
    assert isinstance(net.make_optimizer, partial)
    params = state.get("optimizer_params", net.make_optimizer.keywords)
    net.make_optimizer = partial(make_optimizer, net.solver, **params)
    net.schedule = Schedule(**state["schedule"])
    net.callbacks = state.get("callbacks", [])
    net.callbacks_ = [net.callbacks_[0], *state.get("named_callbacks", [])]
    optimizer = state.get("optimizer")
    if optimizer is not None:
        optimizer = {**optimizer, "state": arrays_to_tensors(optimizer["state"])}
    net.drop_optimizer(optimizer)
    for parameter in net.module_.parameters():
        parameter.grad = None
    net.module_.eval()


def load_weights(network: nn.Module, state: dict[str, Any]) -> None:
    """Fill the weights and the running statistics of a network.

    Raises
    ------
    ValueError
        If the network has another number of weights.
    """
    tensors = list(network.state_dict().values())
    weights, counts = state["weights"], iter(state.get("counts", ()))
    expected = sum(t.numel() for t in tensors if t.is_floating_point())
    if expected != weights.size:
        raise ValueError(
            f"The pickle holds {weights.size} weights, but the parameters mean a "
            f"network of {expected}; load it with the version that wrote it."
        )
    end = 0
    for tensor in tensors:
        if tensor.is_floating_point():
            start, end = end, end + tensor.numel()
            # By NumPy, since torch warns of the read-only arrays of a memory map.
            tensor.numpy()[...] = weights[start:end].reshape(tensor.shape)
        else:
            tensor.numpy()[...] = next(counts)


def changed_fields(instance: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults."""
    changed = {}
    for field in fields(instance):
        value, default = getattr(instance, field.name), field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        if default is MISSING or type(value) is not type(default) or value != default:
            changed[field.name] = value
    return changed
