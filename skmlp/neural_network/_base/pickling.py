"""Pickles and copies of estimators: arrays and plain values instead of torch objects.

The state of a fitted estimator is its attributes. Those that are objects of torch or
skorch are replaced by arrays and plain values, from which the parameters of the
estimator rebuild them, as in model files (`skmlp.neural_network._base.storage`).
"""

import copy
import sys
from typing import Any, Self

import torch
from skorch.history import History

from skmlp.neural_network._base.storage import StoredNetwork
from skmlp.neural_network._fit.changed_parameters import find_changed
from skmlp.training.compute.ambient_modes import in_default_modes
from skmlp.training.net import Net
from skmlp.training.state_dicts.nets import (
    changed_fields,
    load_net_state_dict,
    net_state_dict,
)
from skmlp.training.state_dicts.runs import tensors_to_arrays
from skmlp.training.stopping import Monitor

# joblib.hash pickles by protocol 3.
_LAST_PROTOCOL_WITHOUT_DURATIONS = 3


# Lists of the monitor that usually are fitted attributes too.
_CURVES = ("loss_curve", "validation_scores")


class PickledNetwork(StoredNetwork):
    """Can be pickled and copied; not for direct use.

    - A pickle holds the moments of the optimizer if training continues from them: the
      last training was `partial_fit`, or ``warm_start=True``. A deep copy always does.
    - If the parameters were changed after fit and mean another network, the pickle
      holds the net as torch and skorch pickle it.
    - Pickles of protocol 3 or less lack the durations of the epochs. `joblib.hash`,
      which uses such a protocol, is therefore equal for equal fits.
    """

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        net = state.get("net_")
        if net is None or not self._parameters_describe(net):
            return state
        history, monitor = self.history_, self._monitor
        stored = net_state_dict(net, self.warm_start or net.incremental_)
        if stored["optimizer_params"] == self._optimizer_params():
            del stored["optimizer_params"]
        if net.history is not history:  # after refit_full
            stored["history"] = list(net.history)
        if net.monitor is not monitor:
            stored["monitor"] = changed_fields(net.monitor)
        record = net.fit_parameters_
        if record is not None and (changed := find_changed(self, record)):
            stored["changed_parameters"] = {name: record[name] for name in changed}
        state["net_"] = stored
        state["history_"] = list(history)
        state["device_"] = str(self.device_)
        state["_monitor"] = changed_fields(monitor)
        for curve in self._shared_curves():
            state["_monitor"][curve] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        # pickle writes an interned string once, even if the estimators come from
        # different pickles.
        super().__setstate__({sys.intern(name): value for name, value in state.items()})
        if isinstance(state.get("net_"), dict):  # else unfitted, or an earlier version
            self._rebuild_net(self.__dict__.pop("net_"))

    def __reduce_ex__(self, protocol: Any) -> Any:
        reduced: Any = super().__reduce_ex__(protocol)
        if protocol <= _LAST_PROTOCOL_WITHOUT_DURATIONS:
            state = reduced[2]
            if isinstance(state.get("net_"), dict):
                state["history_"] = _without_durations(state["history_"])
                if "history" in state["net_"]:
                    other = _without_durations(state["net_"]["history"])
                    state["net_"]["history"] = other
        return reduced

    def __copy__(self) -> Self:
        """Return an estimator that shares the attributes, the net included."""
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied = object.__new__(type(self))
        memo[id(self)] = copied
        state = self.__getstate__()
        if isinstance(state.get("net_"), dict):
            state["net_"] |= {
                "optimizer": tensors_to_arrays(self.net_.copy_optimizer_state())
            }
        copied.__setstate__(copy.deepcopy(state, memo))
        return copied

    def _parameters_describe(self, net: Net) -> bool:
        """Return whether the present parameters mean the network and loss of a net."""
        try:
            same_network, loss = self._parameters_mean(net), self._make_loss()
        except Exception:  # noqa: BLE001  # the parameters may be nonsense by now
            return False
        same_loss = type(loss) is type(net.criterion_)
        same_loss = same_loss and loss.hyperparameters == net.criterion_.hyperparameters
        return same_loss and same_network

    def _shared_curves(self) -> list[str]:
        """Return the names of the monitor's lists that are fitted attributes too."""
        return [
            name
            for name in _CURVES
            if getattr(self._monitor, name) is self.__dict__.get(f"{name}_")
        ]

    @in_default_modes
    def _rebuild_net(self, state: dict[str, Any]) -> None:
        """Replace plain attributes by the net, its monitor and its history."""
        fitted = vars(self)
        fields = {
            name: fitted[f"{name}_"] if value is None and name in _CURVES else value
            for name, value in fitted["_monitor"].items()
        }
        monitor, history = Monitor(**fields), History(fitted["history_"])
        # After refit_full, the net has another monitor than the estimator.
        net_monitor = Monitor(**state["monitor"]) if "monitor" in state else monitor
        # Not by torch's meta device: `to_empty` imports SymPy for half a second.
        network = self._make_network(self.n_features_in_, self.n_outputs_)
        network.to(getattr(torch, state["weights"].dtype.name))
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name not in state.get("frozen", ()))
        net = self._make_net(network, net_monitor, torch.device("cpu"), callbacks=[])
        load_net_state_dict(net, state)
        if net.fit_parameters_ is not None:
            net.fit_parameters_ |= state.get("changed_parameters", {})
        net.history = History(state["history"]) if "history" in state else history
        self.net_, self._monitor, self.history_ = net, monitor, history
        self.device_ = torch.device(self.device_)


def _without_durations(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a history that is the same for equal fits."""
    return [{k: v for k, v in row.items() if k != "dur"} for row in history]
