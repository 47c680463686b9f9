"""The network inside an estimator: fitted or not, alone or at the end of others."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skmlp.neural_network._pipelines import PipelineParts, split_pipeline


def split_fitted(estimator: Any) -> PipelineParts:
    """Separate transformers and network of an estimator, or of a search's best one."""
    return split_pipeline(getattr(estimator, "best_estimator_", estimator))


def fitted_network(estimator: Any, user: str) -> PipelineParts:
    """Return the steps before a fitted network's estimator, and that estimator."""
    steps, last = split_fitted(estimator)
    _check_has_network(last, user)
    check_is_fitted(last)
    return PipelineParts(steps, last)


def describe_network(estimator: Any, X: Any, y: Any, user: str) -> nn.Module:
    """Return an estimator's network on torch's meta device, where it has no values."""
    steps, last = split_fitted(estimator)
    _check_has_network(last, user)
    if hasattr(last, "net_"):
        return copy.deepcopy(last.net_.module_).to("meta")
    if X is None or y is None:
        raise ValueError(
            f"this {type(last).__name__} is not fitted; give {user} X and y, rows as "
            "they will be fitted with every class among them."
        )
    if steps is not None:
        X = clone(steps).fit_transform(X, y)
    unfitted = clone(last)
    unfitted._validate_params()
    unfitted._check_sample(X, y, None, reset=True)
    with torch.device("meta"):
        network = unfitted._make_network(
            unfitted.n_features_in_, unfitted.n_outputs_
        ).to("meta")
    _freeze(network, unfitted.frozen_layers)
    return network


def _check_has_network(estimator: Any, user: str) -> None:
    """Refuse an estimator that is none of ours."""
    if not hasattr(estimator, "net_") and not hasattr(estimator, "_make_network"):
        raise TypeError(
            f"{user} takes an estimator of skmlp.neural_network, alone or at the end "
            f"of a Pipeline, got {type(estimator).__name__}."
        )


def _freeze(network: nn.Module, frozen_layers: Any) -> None:
    """Mark the layers that `fit` will not train."""
    layers = list(weight_layers(network))
    for i in () if frozen_layers is None else frozen_layers:
        layers[i].requires_grad_(False)


def weight_layers(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers that ``coefs_`` counts."""
    for layer in network.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            yield layer
