"""Fine-tuning: start from another model's layers, freeze some."""

from collections.abc import Iterable
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skmlp.training.modules import weight_layers


def start_from(network: nn.Sequential, fitted: Any) -> None:
    """Copy the parameters that a fitted estimator's network shares by name and shape.

    Raises
    ------
    NotFittedError
        If `fitted` is not.
    ValueError
        If no layer is shared.
    """
    fitted = getattr(fitted, "estimator", fitted)
    check_is_fitted(fitted)
    theirs = fitted.net_.module_.state_dict()
    shared = {
        name: theirs[name]
        for name, own in network.state_dict().items()
        if name in theirs and theirs[name].shape == own.shape
    }
    if not shared:
        raise ValueError(
            "init_from has no layer of the same name and shape; make the first hidden "
            "layers alike."
        )
    with torch.no_grad():
        network.load_state_dict(shared, strict=False)


def freeze_layers(network: nn.Sequential, frozen: Iterable[int]) -> None:
    """Exclude the weights and biases of layers, counted from 0, from training."""
    layers = list(weight_layers(network))
    for i in frozen:
        if not -len(layers) <= i < len(layers):
            raise ValueError(
                f"frozen_layers names layer {i}, but there are {len(layers)} layers, "
                "counted from 0."
            )
        for parameter in layers[i].parameters():
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError("frozen_layers names every layer; leave one to train.")
