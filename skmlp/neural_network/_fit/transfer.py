"""Fine-tuning: start from another model's layers, freeze some."""

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import torch
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from torch import nn

from skmlp.training.modules.introspection import weight_layers

# What belongs to a layer, behind its name.
_PARTS = ("", "_norm", "_activation")


def start_from(network: nn.Sequential, fitted: Any) -> None:
    """Copy the parameters that a fitted estimator's network shares by name and shape.

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
    if not hasattr(type(fitted), "hidden_activations"):
        raise TypeError(
            f"init_from={fitted!r} has to be a fitted estimator of skmlp, or a "
            "FrozenEstimator around one."
        )
    if not fitted.__sklearn_is_fitted__():
        raise NotFittedError(
            "init_from is not fitted. A clone, of which searches make many, is not: "
            "wrap the fitted estimator in sklearn.frozen.FrozenEstimator."
        )
    theirs = fitted.net_.module_.state_dict()
    shared = {
        name: theirs[name]
        for name, own in network.state_dict().items()
        if name in theirs and theirs[name].shape == own.shape
    }
    names = {module: name for name, module in network.named_modules()}
    if not any(f"{names[layer]}.weight" in shared for layer in weight_layers(network)):
        raise ValueError(
            "init_from has no layer of the same name and shape; make the first hidden "
            "layers alike."
        )
    with torch.no_grad():
        network.load_state_dict(shared, strict=False)


def freeze_layers(network: nn.Sequential, frozen: Iterable[int | str] | None) -> None:
    """Train all layers but these, with the normalisation that belongs to them.

    Parameters
    ----------
    network : nn.Sequential
        Changed in place.
    frozen : iterable of int or str, or None
        Layers counted from 0 as in ``coefs_``, or names as in ``network``.

    Raises
    ------
    TypeError, ValueError
        If there is no such layer, or no other one.
    """
    network.requires_grad_(True)
    modules = dict(network.named_modules())
    for layer in () if frozen is None else frozen:
        name = _name_of(network, layer)
        for part in _PARTS:
            for parameter in modules.get(name + part, nn.Module()).parameters():
                parameter.requires_grad_(False)
    if not any(layer.weight.requires_grad for layer in weight_layers(network)):
        raise ValueError("frozen_layers names every layer; leave one to train.")


def _name_of(network: nn.Sequential, layer: int | str) -> str:
    """Return the name of the module that holds the layer."""
    layers = list(weight_layers(network))
    if isinstance(layer, Integral) and not isinstance(layer, bool):
        if not -len(layers) <= layer < len(layers):
            raise ValueError(
                f"frozen_layers names layer {layer}, but there are {len(layers)} "
                "layers, counted from 0."
            )
        wanted = layers[int(layer)]
        return next(name for name, own in network.named_modules() if own is wanted)
    if not isinstance(layer, str):
        raise TypeError(
            f"frozen_layers holds {layer!r}; give numbers or names of layers."
        )
    known = [
        name
        for name, module in network.named_children()
        if next(module.parameters(), None) is not None
    ]
    if layer not in known:
        raise ValueError(
            f"frozen_layers names layer {layer!r}, but this network has "
            f"{', '.join(known)}."
        )
    return layer
