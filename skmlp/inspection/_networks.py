"""The network of an estimator, before or after `fit`, alone or in a Pipeline."""

import copy
from typing import Any

from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skmlp.neural_network._pipelines import PipelineParts, split_pipeline


def split_fitted(estimator: Any) -> PipelineParts:
    """Separate transformers and network of an estimator, or of a search's best one."""
    return split_pipeline(getattr(estimator, "best_estimator_", estimator))


def fitted_network(estimator: Any, user: str) -> PipelineParts:
    """Separate transformers and fitted network; `user` is named in error texts."""
    transformers, last = split_fitted(estimator)
    _check_has_network(last, user)
    check_is_fitted(last)
    return PipelineParts(transformers, last)


def network_without_weights(estimator: Any, X: Any, y: Any, user: str) -> nn.Module:
    """Return a copy of the network on torch's meta device, where it has no values."""
    transformers, last = split_fitted(estimator)
    _check_has_network(last, user)
    if hasattr(last, "net_"):
        return copy.deepcopy(last.net_.module_).to("meta")
    if X is None or y is None:
        raise ValueError(
            f"this {type(last).__name__} is not fitted; give {user} X and y: the data "
            "of the fit, or a few samples with every class."
        )
    if transformers is not None:
        X = clone(transformers).fit_transform(X, y)
    return last._preview_network(X, y)


def _check_has_network(estimator: Any, user: str) -> None:
    """Refuse an estimator of another package."""
    if not hasattr(estimator, "net_") and not hasattr(estimator, "_preview_network"):
        raise TypeError(
            f"{user} takes an estimator of skmlp.neural_network, alone or at the end "
            f"of a Pipeline, got {type(estimator).__name__}."
        )
