"""Fine-tuning: start with the layers of another network, and freeze layers."""

from collections.abc import Collection, Iterable
from typing import Any

import torch
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from torch import nn

from skmlp.neural_network._layers.names import is_layer_number, layer_name
from skmlp.training.modules.introspection import modules_of_layer, named_weights


def copy_shared_layers(network: nn.Module, fitted: Any) -> None:
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
    if not any(name in shared for name, _ in named_weights(network)):
        raise ValueError(
            "init_from has no layer of the same name and shape; use the same first "
            "entries of hidden_layer_sizes."
        )
    with torch.no_grad():
        network.load_state_dict(shared, strict=False)


def freeze_layers(
    network: nn.Module,
    frozen: Iterable[int | str] | None,
    trainable: Collection[str] | None = None,
) -> None:
    """Set ``requires_grad``: False for the given layers, True for all others.

    The modules that belong to a layer, such as its normalization, are frozen with it.

    Parameters
    ----------
    network : nn.Module
        Changed in place.
    frozen : iterable of int or str, or None
        Numbers of layers as in ``coefs_``, or names as in ``network``.
    trainable : collection of str or None
        Names of the parameters that are trained if their layer is not frozen. None
        means all. A user's module may have frozen the others.

    Raises
    ------
    TypeError
        If an entry is neither a number nor a name.
    ValueError
        If there is no such layer, or if no layer is left to train.
    """
    for name, parameter in network.named_parameters():
        if parameter.is_floating_point():
            parameter.requires_grad_(trainable is None or name in trainable)
    known = [
        name
        for name, module in network.named_modules()
        if name and next(module.parameters(), None) is not None
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
    if not any(weight.requires_grad for _, weight in named_weights(network)):
        raise ValueError("frozen_layers names every layer; leave one to train.")
