"""The network of an estimator, before or after `fit`, alone or in a Pipeline."""

import copy
from typing import Any

from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skmlp.neural_network._pipelines import PipelineParts, split_pipeline


def split_estimator(estimator: Any) -> PipelineParts:
    """Split an estimator into transformers and network.

    For a search, `best_estimator_` is split.
    """
    return split_pipeline(getattr(estimator, "best_estimator_", estimator))


def fitted_network(estimator: Any, caller: str) -> PipelineParts:
    """Split an estimator into transformers and fitted network.

    `caller` is the function that error messages name.
    """
    transformers, final = split_estimator(estimator)
    _check_has_network(final, caller)
    check_is_fitted(final)
    return PipelineParts(transformers, final)


def network_on_meta_device(estimator: Any, X: Any, y: Any, caller: str) -> nn.Module:
    """Return a copy of the network on torch's meta device, where it has no values."""
    transformers, final = split_estimator(estimator)
    _check_has_network(final, caller)
    if hasattr(final, "net_"):
        return copy.deepcopy(final.net_.module_).to("meta")
    if X is None or (y is None and get_tags(final).target_tags.required):
        raise ValueError(
            f"this {type(final).__name__} is not fitted; give {caller} X and y: the "
            "data of the fit, or a few samples with every class."
        )
    if transformers is not None:
        X = clone(transformers).fit_transform(X, y)
    return final._make_unfitted_meta_network(X, y)


def _check_has_network(estimator: Any, caller: str) -> None:
    """Raise a TypeError if the estimator is not a network of skmlp."""
    is_network = hasattr(estimator, "_make_unfitted_meta_network")
    if not is_network and not hasattr(estimator, "net_"):
        raise TypeError(
            f"{caller} takes an estimator of skmlp.neural_network, alone or at the end "
            f"of a Pipeline, got {type(estimator).__name__}."
        )
