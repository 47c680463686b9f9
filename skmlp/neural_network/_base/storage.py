"""Convert a fitted estimator to and from the content of a model file.

`skmlp.persistence` calls the methods ``__skmlp_state__`` and ``__skmlp_restore__``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from skorch.history import History
from torch import nn

from skmlp.neural_network._base.building import NetworkBuilder
from skmlp.training.compute.ambient_modes import in_default_modes
from skmlp.training.compute.devices import resolve_device
from skmlp.training.modules.introspection import named_weights
from skmlp.training.net import Net
from skmlp.training.stopping import Monitor

# Fitted attributes that are not stored directly. `history_` and `_monitor` are stored
# as plain values. `net_` and `callbacks_` are rebuilt.
_NOT_STORED_DIRECTLY = frozenset({"net_", "callbacks_", "history_", "_monitor"})

# Lists of the monitor that are also fitted attributes of the estimator.
_CURVES = frozenset({"loss_curve", "validation_scores"})

# Parameters with the sizes of layers.
_LAYER_SIZE_PARAMETERS = ("conv_channels", "hidden_layer_sizes", "decoder_layer_sizes")


class StoredNetwork(NetworkBuilder):
    """Can be written to a model file and read from it; not for direct use."""

    @in_default_modes
    def __skmlp_state__(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the fitted attributes, and the arrays of the network by their names.

        Callbacks and the state of the optimizer are left out.

        Raises
        ------
        ValueError
            If the parameters were changed after fit and describe another network.
        """
        left_out = _NOT_STORED_DIRECTLY | self.get_params(deep=False).keys()
        attributes = {k: v for k, v in vars(self).items() if k not in left_out}
        if "net_" not in vars(self):
            return attributes, {}
        network = self.net_.module_
        same_loss = type(self.net_.criterion_) is type(self._make_loss())
        if not self._parameters_mean(self.net_) or not same_loss:
            raise ValueError(
                f"The parameters of this {type(self).__name__} were changed after fit "
                "and no longer describe the fitted network; call fit again or restore "
                "the old values."
            )
        attributes["_monitor"] = {
            k: v for k, v in vars(self._monitor).items() if k not in _CURVES
        }
        attributes["history_"] = list(self.history_)
        return attributes, {k: v.cpu().numpy() for k, v in network.state_dict().items()}

    def _parameters_mean(self, net: Net) -> bool:
        """Return whether the present parameters mean the network of a fitted net."""
        # The repr of a module names all its layers and their sizes.
        return repr(self._make_meta_network()) == repr(net.module_)

    @in_default_modes
    def __skmlp_restore__(
        self,
        attributes: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        device: str | torch.device,
    ) -> None:
        """Set the fitted attributes of an unfitted estimator from a model file.

        The shapes of the arrays are checked before the network is allocated. With
        'auto', predictions run on the device of training, and on the CPU if the machine
        has no such device.

        Raises
        ------
        ValueError
            If the arrays do not fit the parameters, or if there is no such device.
        """
        stored = {k: v for k, v in attributes.items() if k not in _NOT_STORED_DIRECTLY}
        self.__dict__.update(stored)
        self.device_ = _device_to_predict(stored.get("device_", "cpu"), device)
        monitor = Monitor(
            loss_curve=stored.get("loss_curve_", []),
            validation_scores=stored.get("validation_scores_") or [],
            **attributes.get("_monitor", {}),
        )
        network = self._network_for(arrays)
        net = self._make_net(network, monitor, torch.device("cpu"))
        net.drop_optimizer(optimizer_state=None)
        net.release()
        with torch.no_grad():
            for name, values in net.module_.state_dict().items():
                values.copy_(torch.from_numpy(arrays[name]))
        net.module_.eval()
        net.history = History(attributes.get("history_", []))
        self.__dict__.update(
            net_=net, callbacks_=[], history_=net.history, _monitor=monitor
        )

    def _network_for(self, arrays: Mapping[str, np.ndarray]) -> nn.Module:
        """Build the torch module for stored arrays, after a check of their shapes."""
        n_layers = sum(
            np.size(getattr(self, name, ())) for name in _LAYER_SIZE_PARAMETERS
        )
        if n_layers > len(arrays):
            raise ValueError(f"{n_layers} layers do not fit {len(arrays)} arrays.")
        blank = self._make_meta_network()
        # Without weights, a user's module has at least one other parameter.
        names = [name for name, _ in named_weights(blank) or blank.named_parameters()]
        last_name = names[-1]
        last = arrays.get(last_name)
        if last is None or last.dtype not in (np.float32, np.float64):
            raise ValueError(f"{last_name} is not an array of float32 or float64.")
        blank = blank.to(torch.from_numpy(last).dtype)
        expected = {
            name: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
            for name, tensor in blank.state_dict().items()
        }
        given = {
            name: (array.shape, str(array.dtype)) for name, array in arrays.items()
        }
        for name in expected.keys() | given.keys():
            if expected.get(name) != given.get(name):
                raise ValueError(
                    f"{name} is {given.get(name, 'missing')}, but the parameters "
                    f"require {expected.get(name, 'no such array')}."
                )
        network = self._make_network(self.n_features_in_, self.n_outputs_)
        network.to(torch.from_numpy(last).dtype)
        if self.frozen_layers is not None:
            self._freeze_layers(network)
        return network


def _device_to_predict(
    trained_on: str | torch.device, requested: str | torch.device
) -> torch.device:
    """Return the requested device, or by default that of training if it exists."""
    if requested != "auto":
        return resolve_device(requested)
    try:
        return resolve_device(trained_on)
    except ValueError:
        return torch.device("cpu")
