"""What a file keeps of a fitted network, and the way back; see `skmlp.persistence`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from skorch.history import History
from torch import nn

from skmlp.neural_network._fit.construction import make_net
from skmlp.neural_network._fit.transfer import freeze_layers
from skmlp.training.compute.devices import resolve_device
from skmlp.training.stopping import Monitor

# Attributes of a fit that are made anew, and those of its monitor that are its lists.
_REBUILT = frozenset({"net_", "callbacks_", "history_", "_monitor"})
_NOT_OF_MONITOR = frozenset({"best_state", "loss_curve", "validation_scores"})

_LAYERS = ("conv_channels", "hidden_layer_sizes")


def state_of(estimator: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the fitted attributes, and the arrays of the network by their names.

    Neither callbacks nor the optimizer's state are among them.

    Raises
    ------
    ValueError
        If parameters were changed after fit so that they mean another network.
    """
    left_out = _REBUILT | estimator.get_params(deep=False).keys()
    attributes = {k: v for k, v in vars(estimator).items() if k not in left_out}
    if "net_" not in vars(estimator):
        return attributes, {}
    network = estimator.net_.module_
    same_loss = type(estimator.net_.criterion_) is type(estimator._make_loss())
    if repr(estimator._make_blank_network()) != repr(network) or not same_loss:
        raise ValueError(
            f"The parameters of this {type(estimator).__name__} were changed after fit "
            "and mean another network now; fit it again, or set them back."
        )
    monitor = vars(estimator._monitor)
    attributes["_monitor"] = {
        name: value for name, value in monitor.items() if name not in _NOT_OF_MONITOR
    }
    attributes["history_"] = list(estimator.history_)
    return attributes, {k: v.cpu().numpy() for k, v in network.state_dict().items()}


def restore(
    estimator: Any,
    attributes: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    device: str | torch.device,
) -> None:
    """Make an estimator with its parameters set the fitted one that was stored.

    Sizes are compared before memory is taken for them. 'auto' leaves predictions to the
    device they came from, and to the CPU where there is no such device.

    Raises
    ------
    ValueError
        If parameters and arrays do not belong together, or there is no such device.
    """
    own = {k: v for k, v in attributes.items() if k not in _REBUILT}
    vars(estimator).update(own)
    vars(estimator)["device_"] = _device_to_predict(own.get("device_", "cpu"), device)
    net = make_net(
        estimator,
        _matching_network(estimator, arrays),
        Monitor(
            loss_curve=own.get("loss_curve_", []),
            validation_scores=own.get("validation_scores_") or [],
            **attributes.get("_monitor", {}),
        ),
        torch.device("cpu"),
    )
    net.optimizer_ = None
    net.release()
    for name, values in net.module_.state_dict().items():
        values.copy_(torch.from_numpy(arrays[name]))
    net.module_.eval()
    net.history = History(attributes.get("history_", []))
    vars(estimator).update(
        net_=net, callbacks_=[], history_=net.history, _monitor=net.monitor
    )


def _matching_network(
    estimator: Any, arrays: Mapping[str, np.ndarray]
) -> nn.Sequential:
    """Build the network for the arrays, in their dtype, once they are seen to fit."""
    n_layers = sum(np.size(getattr(estimator, name, ())) for name in _LAYERS)
    if n_layers > len(arrays):
        raise ValueError(f"{n_layers} layers do not fit {len(arrays)} arrays.")
    blank = estimator._make_blank_network()
    last = arrays.get("output.weight")
    if last is None or last.dtype not in (np.float32, np.float64):
        raise ValueError("output.weight is not an array of float32 or float64.")
    blank = blank.to(torch.from_numpy(last).dtype)
    expected = {
        name: (tuple(own.shape), str(own.dtype).removeprefix("torch."))
        for name, own in blank.state_dict().items()
    }
    given = {name: (own.shape, str(own.dtype)) for name, own in arrays.items()}
    for name in expected.keys() | given.keys():
        if expected.get(name) != given.get(name):
            raise ValueError(
                f"{name} is {given.get(name, 'missing')}, where the parameters mean "
                f"{expected.get(name, 'no such array')}."
            )
    network = blank.to_empty(device="cpu")
    if estimator.frozen_layers is not None:
        freeze_layers(network, estimator.frozen_layers)
    return network


def _device_to_predict(
    trained_on: str | torch.device, asked_for: str | torch.device
) -> torch.device:
    """Return the device asked for, or by default that of training if it is here."""
    if asked_for != "auto":
        return resolve_device(asked_for)
    try:
        return resolve_device(trained_on)
    except ValueError:
        return torch.device("cpu")
