"""Members of an ensemble that are validated on their own folds of the samples."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier

from skmlp.neural_network._known_classes import is_known_network
from skmlp.neural_network._packs.fold_fit import fit_together, make_folds


def check_fold_validation(ensemble: Any, X_val: Any) -> None:
    """Raise a ValueError if members cannot be validated on folds.

    The members have to be networks. They get no other validation set, no bootstrap
    sample and no checkpoint, and are no jobs.
    """
    contradictions = {
        "bootstrap=True": ensemble.bootstrap,
        "X_val": X_val is not None,
        "a checkpoint": ensemble.checkpoint is not None,
        f"n_jobs={ensemble.n_jobs}": ensemble.n_jobs is not None,
    }
    for what, is_given in contradictions.items():
        if is_given:
            raise ValueError(
                f"validation='folds' cannot be combined with {what}; leave one of "
                "them out."
            )
    estimator = ensemble._get_estimator()
    if not is_known_network(estimator) or estimator.solver == "lbfgs":
        raise ValueError(
            "validation='folds' needs a network of skmlp as estimator, with a solver "
            f"that has epochs, but estimator={estimator!r}; put the ensemble at the "
            "end of a Pipeline."
        )


def fit_members_on_folds(
    ensemble: Any, members: list[Any], X: Any, y: Any, fit_params: dict[str, Any]
) -> list[Any]:
    """Train the members, and return them. Each is validated on another fold."""
    strata = None
    if is_classifier(ensemble) and np.ndim(y) == 1:
        strata = np.unique(y, return_inverse=True)[1]
    weight = fit_params.get("sample_weight")
    samples = np.arange(X.shape[0]) if weight is None else np.flatnonzero(weight)
    random_state = np.random.RandomState(members[0].random_state)
    n_members = len(members)
    folds = make_folds(strata, samples, n_members, 1.0 / n_members, random_state)
    fit_together(members, X, y, fit_params, folds)
    return members
