"""The network of an estimator, before or after `fit`, alone or in a Pipeline."""

from typing import Any, NamedTuple

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
    check_has_network(final, caller)
    check_is_fitted(final)
    return PipelineParts(transformers, final)


class NetworkToDescribe(NamedTuple):
    """A network whose values do not matter, and its number of features."""

    network: nn.Module
    n_features: int


def network_to_describe(
    estimator: Any, X: Any, y: Any, caller: str
) -> NetworkToDescribe:
    """Return the fitted network, or the network that `fit` would train."""
    transformers, final = split_estimator(estimator)
    check_has_network(final, caller)
    if hasattr(final, "net_"):
        return NetworkToDescribe(final.net_.module_, final.n_features_in_)
    if X is None or (y is None and get_tags(final).target_tags.required):
        raise ValueError(
            f"this {type(final).__name__} is not fitted; give {caller} X and y: the "
            "data of the fit, or a few samples with every class."
        )
    if transformers is not None:
        X = clone(transformers).fit_transform(X, y)
    return NetworkToDescribe(*final._make_unfitted_meta_network(X, y))


def check_has_network(estimator: Any, caller: str) -> None:
    """Raise a TypeError if the estimator is not a network of skmlp."""
    is_network = hasattr(estimator, "_make_unfitted_meta_network")
    if not is_network and not hasattr(estimator, "net_"):
        raise TypeError(
            f"{caller} takes an estimator of skmlp.neural_network, alone or at the end "
            f"of a Pipeline, got {type(estimator).__name__}."
        )
