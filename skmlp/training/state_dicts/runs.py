"""The state of a training run as plain values and arrays, for checkpoints.

The state holds the values that the next epoch depends on. It does not hold data,
hyperparameters and frozen weights, which a new run of the same fit has already. The
sample order is not stored either. It is reproduced from the random state.
"""

import copy
from typing import Any

import numpy as np
import torch
from skorch.history import History
from torch import Tensor

from skmlp.training.compute.seeds import RandomStateFork
from skmlp.training.net import Net
from skmlp.training.optimizers.optimizer_state import load_optimizer_state
from skmlp.training.run import TrainingRun
from skmlp.training.snapshot import TensorSnapshot


def training_state_dict(run: TrainingRun) -> dict[str, Any]:
    """Return a copy of the state that epochs change; call it between two epochs.

    Parameters
    ----------
    run : TrainingRun
        In training.

    Returns
    -------
    state : dict
        Plain values and arrays.
    """
    net, average, best = run.net, run.average, run.best_weights
    monitor = vars(net.monitor) | {"best_state": None if best is None else best.copies}
    return tensors_to_arrays(
        {
            "epochs": net.epochs_,
            "converged": net.converged_,
            "weights": run.state_tensors,
            "optimizer": net.copy_optimizer_state(),
            "schedule": net.schedule.steps_done,
            "monitor": monitor,
            "average": None
            if average is None
            else {"steps": average.steps, "of": average.tensors},
            "history": list(net.history),
            "bests": net.bests_,
            "random_state": copy.deepcopy(run.train_loader.random_state),
            "generator": None if run.generator is None else run.generator.get_state(),
            "callbacks": {name: cb.state_dict() for name, cb in _stateful(net)},
        }
    )


def load_training_state_dict(run: TrainingRun, state: dict[str, Any]) -> None:
    """Load a state into a new run of the same fit.

    Parameters
    ----------
    run : TrainingRun
        Not trained yet. Its random generators are in their state at the start of a fit.
    state : dict
        A return value of `training_state_dict`. The run takes over its values without
        a copy.

    Raises
    ------
    ValueError
        If the network differs, or if the sample order cannot be reproduced.
    """
    net = run.net
    net.epochs_, net.converged_ = state["epochs"], state["converged"]
    # Draw the sample orders of the completed epochs again.
    for _ in range(net.epochs_):
        run.train_loader.next_order()
    if not _same_state(run.train_loader.random_state, state["random_state"]):
        raise ValueError(
            "the orders of the samples cannot be drawn again: something else than fit "
            "drew from the RandomState, maybe a callback"
        )
    _copy(run.state_tensors, state["weights"])
    optimizer = state["optimizer"]
    load_optimizer_state(
        net.optimizer_, {**optimizer, "state": arrays_to_tensors(optimizer["state"])}
    )
    net.schedule.steps_done = state["schedule"]
    monitor = dict(state["monitor"])
    if (best := monitor.pop("best_state")) is not None:
        device = run.flat.values.device
        copies = [torch.from_numpy(array).to(device) for array in best]
        run.best_weights = TensorSnapshot(run.state_tensors, copies)
    vars(net.monitor).update(monitor)
    if run.average is not None:
        run.average.steps = state["average"]["steps"]
        _copy(run.average.tensors, state["average"]["of"])
    net.history = History(state["history"])
    net.bests_ = state["bests"]
    if run.generator is not None:
        run.generator.set_state(torch.from_numpy(state["generator"]))


def load_callback_states(net: Net, state: dict[str, Any]) -> list[str]:
    """Load the states of the callbacks; return the names of those without a state."""
    known = state["callbacks"]
    stateful = dict(_stateful(net))
    for name, callback in stateful.items():
        if name in known:
            callback.load_state_dict(known[name])
    return [name for name, _ in net.user_callbacks() if name not in stateful]


def _stateful(net: Net) -> list[tuple[str, Any]]:
    """Return the callbacks that can be stored, by their names."""
    return [(name, cb) for name, cb in net.callbacks_ if hasattr(cb, "state_dict")]


def _copy(tensors: list[Tensor], arrays: list[np.ndarray]) -> None:
    """Fill tensors by arrays of the same shapes."""
    for tensor, array in zip(tensors, arrays, strict=True):
        if tensor.shape != array.shape:
            raise ValueError(f"{array.shape} is not the shape {tuple(tensor.shape)}")
        tensor.copy_(torch.from_numpy(array))


def _same_state(
    one: np.random.RandomState | RandomStateFork | None,
    two: np.random.RandomState | None,
) -> bool:
    """Return whether two generators draw the same numbers from now on."""
    if one is None or two is None:
        return one is two
    first: Any = one.get_state()
    second: Any = two.get_state()
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def tensors_to_arrays(value: Any) -> Any:
    """Copy containers and replace their tensors by arrays."""
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy().copy()
    if isinstance(value, dict):
        return {key: tensors_to_arrays(item) for key, item in value.items()}
    if isinstance(value, list):
        return [tensors_to_arrays(item) for item in value]
    if isinstance(value, tuple):
        return tuple(tensors_to_arrays(item) for item in value)
    return value


def arrays_to_tensors(values: dict[str, Any]) -> dict[str, Any]:
    """Return a dict with tensors instead of arrays."""
    return {name: _to_tensors(value) for name, value in values.items()}


def _to_tensors(value: Any) -> Any:
    """Replace arrays by tensors that share their memory, if that is writable."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value if value.flags.writeable else value.copy())
    if isinstance(value, dict):
        return arrays_to_tensors(value)
    if isinstance(value, list):
        return [_to_tensors(item) for item in value]
    return value
