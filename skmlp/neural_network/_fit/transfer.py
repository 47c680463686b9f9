"""Fine-tuning: start with the layers of another network, and freeze layers."""

from collections.abc import Iterable
from typing import Any

import torch
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from torch import nn

from skmlp.neural_network._layers.names import is_layer_number, layer_name
from skmlp.training.modules.introspection import (
    modules_of_layer,
    named_weight_layers,
    weight_layers,
)


def copy_shared_layers(network: nn.Sequential, fitted: Any) -> None:
    """Copy the parameters of equal name and shape from a fitted estimator.

    Raises
    ------
    TypeError
        If `fitted` is no estimator of this package.
    NotFittedError
        If it is not fitted.
    ValueError
        If no layer is shared.
    """
    if isinstance(fitted, FrozenEstimator):
        fitted = fitted.estimator
    # This module cannot import the class of the networks, which imports this module.
    if not hasattr(type(fitted), "hidden_activations"):
        raise TypeError(
            f"init_from={fitted!r} has to be a fitted estimator of skmlp, or a "
            "FrozenEstimator around one."
        )
    if not fitted.__sklearn_is_fitted__():
        raise NotFittedError(
            "init_from is not fitted. Searches clone it, and a clone is not fitted: "
            "wrap the fitted estimator in sklearn.frozen.FrozenEstimator."
        )
    source_state = fitted.net_.module_.state_dict()
    shared = {
        name: source_state[name]
        for name, target in network.state_dict().items()
        if name in source_state and source_state[name].shape == target.shape
    }
    if not any(f"{name}.weight" in shared for name, _ in named_weight_layers(network)):
        raise ValueError(
            "init_from has no layer of the same name and shape; use the same first "
            "entries of hidden_layer_sizes."
        )
    with torch.no_grad():
        network.load_state_dict(shared, strict=False)


def freeze_layers(network: nn.Sequential, frozen: Iterable[int | str] | None) -> None:
    """Set ``requires_grad``: False for the given layers, True for all others.

    The modules that belong to a layer, such as its normalization, are frozen with it.

    Parameters
    ----------
    network : nn.Sequential
        Changed in place.
    frozen : iterable of int or str, or None
        Numbers of layers as in ``coefs_``, or names as in ``network``.

    Raises
    ------
    TypeError
        If an entry is neither a number nor a name.
    ValueError
        If there is no such layer, or if no layer is left to train.
    """
    network.requires_grad_(True)
    known = [
        name
        for name, module in network.named_children()
        if next(module.parameters(), None) is not None
    ]
    for layer in () if frozen is None else frozen:
        if not isinstance(layer, str) and not is_layer_number(layer):
            raise TypeError(
                f"frozen_layers holds {layer!r}; give numbers or names of layers."
            )
        name = layer_name(network, layer, known, prefix="frozen_layers: layer ")
        network.get_submodule(name).requires_grad_(False)
        for module in modules_of_layer(network, name).values():
            module.requires_grad_(False)
    if not any(layer.weight.requires_grad for layer in weight_layers(network)):
        raise ValueError("frozen_layers names every layer; leave one to train.")
