"""Tasks of a search: one candidate that is fitted and scored on one fold."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from skmlp._sklearn_compat import has_callbacks
from skmlp.neural_network._fit.checkpoint import refuse_shared_checkpoint
from skmlp.neural_network._known_classes import has_known_class, is_known_network

Candidate = Mapping[str, Any]  # values of the parameters that are searched

# Indices of the training and the test samples of a fold.
Split = tuple[np.ndarray, np.ndarray]

# The result of a task. These keys are those of scikit-learn's `_fit_and_score`:
# "test_scores", "train_scores", "fit_time", "score_time", "n_test_samples",
# "fit_error" (text of the traceback, or None), "estimator". Three keys are added:
# - "packed": the number of networks in the pack. Checkpoints contain this key.
# - "reason": why the network was trained alone, or None.
# - "stages": the training states after the fit. Only with a warm start.
Outcome = dict[str, Any]

# Training states at the end of a fit, by stage name. A fit has the stage "fit". With
# refit_full=True it also has the stage "refit". See `MemoryCheckpoint` in
# `skmlp.neural_network._fit.checkpoint`.
TrainingStates = dict[str, dict[str, Any]]


# Types of values that a clone shares with the estimator.
_IMMUTABLE = frozenset({bool, float, int, str, type(None)})


class Task(NamedTuple):
    """One candidate on one fold.

    Attributes
    ----------
    estimator : object
        An unfitted clone. If its class is known (see ``_known_classes``), the
        parameters of the candidate are already set. Otherwise scikit-learn's
        `_fit_and_score` sets them.
    parameters : dict or None
        The parameters of the candidate; None without a search.
    fold : int
        Index of the fold.
    train, test : ndarray of int
        Indices of the samples of the fold.
    number : int
        Index of the task among all tasks of `run_tasks`.
    training_states : dict or None
        Training states from which the fit continues.

        - If it is empty, the fit starts from scratch and its states are returned.
        - If it is None, the fit starts from scratch and no states are returned.
    """

    estimator: Any
    parameters: Candidate | None
    fold: int
    train: np.ndarray
    test: np.ndarray
    number: int = 0
    training_states: TrainingStates | None = None


def make_tasks(
    estimator: Any, candidates: Sequence[Candidate], splits: Sequence[Split]
) -> Iterator[Task]:
    """Yield a task for every candidate and fold; the fold varies fastest."""
    is_network = is_known_network(estimator)
    template = clone(estimator) if is_network else None
    for parameters, (fold, (train, test)) in product(candidates, enumerate(splits)):
        if is_network and vars(template).keys() >= parameters.keys():
            candidate = _copy_network(template)
            vars(candidate).update(clone(parameters, safe=False))
        elif has_known_class(estimator):
            candidate = clone_with(estimator, parameters)
        else:
            candidate = clone(estimator)
        refuse_shared_checkpoint(candidate)
        yield Task(candidate, parameters, fold, train, test)


def _copy_network(template: Any) -> Any:
    """Return another clone of a network, made from a clone that was never fitted.

    `sklearn.base.clone` takes much longer for the many parameters of a network.
    """
    if template.callbacks is not None or has_callbacks(template):
        return clone(template)
    copied = object.__new__(type(template))
    vars(copied).update(
        (name, value if type(value) in _IMMUTABLE else clone(value, safe=False))
        for name, value in vars(template).items()
    )
    return copied


def clone_with(estimator: Any, parameters: Candidate) -> Any:
    """Return an unfitted clone of the estimator with clones of these parameters.

    A parameter may be an estimator, so the parameters are cloned as in scikit-learn.
    """
    return clone(estimator).set_params(**clone(parameters, safe=False))
