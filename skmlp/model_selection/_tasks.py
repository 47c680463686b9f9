"""Tasks of a search: one candidate that is fitted and scored on one fold."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from skmlp.neural_network._fit.checkpoint import refuse_shared_checkpoint
from skmlp.neural_network._known_classes import has_known_class

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
    for parameters, (fold, (train, test)) in product(candidates, enumerate(splits)):
        if has_known_class(estimator):
            candidate = clone_with(estimator, parameters)
        else:
            candidate = clone(estimator)
        refuse_shared_checkpoint(candidate)
        yield Task(candidate, parameters, fold, train, test)


def clone_with(estimator: Any, parameters: Candidate) -> Any:
    """Return an unfitted clone of the estimator with clones of these parameters.

    A parameter may be an estimator, so the parameters are cloned as in scikit-learn.
    """
    return clone(estimator).set_params(**clone(parameters, safe=False))
