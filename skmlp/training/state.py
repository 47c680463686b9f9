"""How far the training of a net has come, and the way back to there.

All that the next epoch depends on is among it, but for what is the same whenever the
net is built anew: rows, parameters, the part of the network that is frozen. The order
of rows is not stored either; it is drawn again.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch.history import History
from torch import Tensor

from skmlp.training.data.batches import BatchLoader
from skmlp.training.modules.layers import seed_dropout
from skmlp.training.net import NOT_IN_TRAINING, Net
from skmlp.training.optimizers.flat_optimizers import load_optimizer_state


def remember(net: Net) -> Callable[[], None]:
    """Return what takes a trained net back to now, should training on fail."""
    weights = {name: v.clone() for name, v in net.module_.state_dict().items()}
    device = next(net.module_.parameters()).device
    optimizer, bests = net.optimizer_state(), net.bests_.copy()
    parts = [(part, dict(vars(part))) for part in (net.schedule, net.monitor)]
    curves = [net.monitor.loss_curve, net.monitor.validation_scores, net.history]
    lengths = [len(curve) for curve in curves]

    def undo() -> None:
        net.module_.load_state_dict(weights)
        net.module_.to(device).eval()
        seed_dropout(net.module_, None)
        net.__dict__.update(NOT_IN_TRAINING)
        net.score = net.train_score = None
        net.optimizer_, net.bests_ = optimizer, bests
        for part, attributes in parts:
            vars(part).update(attributes)
        for curve, length in zip(curves, lengths, strict=True):
            del curve[length:]

    return undo


def training_state(
    net: Net, train: BatchLoader, generator: torch.Generator | None
) -> dict[str, Any]:
    """Return a copy of all that an epoch has changed; call it between two epochs.

    Parameters
    ----------
    net : Net
        In training.
    train : Batches
        What it is trained on.
    generator : Generator or None
        That of dropout and augmentation.

    Returns
    -------
    state : dict
        Of plain values and arrays.
    """
    average = net.average_
    monitor = vars(net.monitor)
    return _to_arrays(
        {
            "epochs": net.epochs_,
            "converged": net.converged_,
            "weights": _weights(net),
            "optimizer": net.optimizer_state(),
            "schedule": net.schedule.steps_done,
            "monitor": monitor,
            "average": average and {"steps": average.steps, "of": average.tensors},
            "history": list(net.history),
            "bests": net.bests_,
            "random_state": copy.deepcopy(train.random_state),
            "generator": generator and generator.get_state(),
            "callbacks": {name: cb.state_dict() for name, cb in _stateful(net)},
        }
    )


def restore_training(
    net: Net,
    train: BatchLoader,
    generator: torch.Generator | None,
    state: dict[str, Any],
) -> None:
    """Put a net that was built as the other one where that one was.

    Parameters
    ----------
    net : Net
        Prepared to train, but not trained.
    train, generator
        As in `training_state`, in the state in which training begins.
    state : dict
        What `training_state` returned.

    Raises
    ------
    ValueError
        If the net is another, or its rows were drawn in another order.
    """
    net.epochs_, net.converged_ = state["epochs"], state["converged"]
    for _ in range(net.epochs_):
        train.next_order()
    if not _same_state(train.random_state, state["random_state"]):
        raise ValueError(
            "the orders of rows cannot be drawn again: something else than fit drew "
            "from the RandomState, a callback maybe"
        )
    _copy(_weights(net), state["weights"])
    optimizer = state["optimizer"]
    state_of_optimizer = {**optimizer, "state": _to_tensors(optimizer["state"])}
    load_optimizer_state(net.optimizer_, state_of_optimizer)
    net.schedule.steps_done = state["schedule"]
    monitor = state["monitor"]
    if monitor["best_state"] is not None:
        device = net.flat_.values.device
        monitor["best_state"] = [
            torch.from_numpy(array).to(device) for array in monitor["best_state"]
        ]
    vars(net.monitor).update(monitor)
    if net.average_ is not None:
        net.average_.steps = state["average"]["steps"]
        _copy(net.average_.tensors, state["average"]["of"])
    net.history = History(state["history"])
    net.bests_ = state["bests"]
    if generator is not None:
        generator.set_state(torch.from_numpy(state["generator"]))


def restore_callbacks(net: Net, state: dict[str, Any]) -> list[str]:
    """Let callbacks know what they knew; return the names of those that cannot."""
    known = state["callbacks"]
    stateful = dict(_stateful(net))
    for name, callback in stateful.items():
        if name in known:
            callback.load_state_dict(known[name])
    return [name for name, _ in net.callbacks_[1:] if name not in stateful]


def _stateful(net: Net) -> list[tuple[str, Any]]:
    """Return the callbacks that can be stored, by their names."""
    return [(name, cb) for name, cb in net.callbacks_ if hasattr(cb, "state_dict")]


def _weights(net: Net) -> list[Tensor]:
    return [net.flat_.values, *net.module_.buffers()]


def _copy(tensors: list[Tensor], arrays: list[np.ndarray]) -> None:
    """Fill tensors by arrays of the same shapes."""
    for tensor, array in zip(tensors, arrays, strict=True):
        if tensor.shape != array.shape:
            raise ValueError(f"{array.shape} is not the shape {tuple(tensor.shape)}")
        tensor.copy_(torch.from_numpy(array))


def _same_state(
    one: np.random.RandomState | None, two: np.random.RandomState | None
) -> bool:
    if one is None or two is None:
        return one is two
    first: Any = one.get_state(legacy=True)
    second: Any = two.get_state(legacy=True)
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def _to_arrays(value: Any) -> Any:
    """Copy containers, with arrays in the place of tensors."""
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy().copy()
    if isinstance(value, dict):
        return {key: _to_arrays(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_arrays(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_to_arrays(item) for item in value)
    return value


def _to_tensors(values: dict[str, Any]) -> dict[str, Any]:
    """Return a dict with tensors in the place of arrays."""
    return {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }
