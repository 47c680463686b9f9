"""Successive halving. The networks of an iteration are trained in packs.

The steps of a search are described in ``_packed_search``. A halving search calls
`CandidateEvaluator.evaluate_candidates` once for every iteration. With
``warm_start=True``, the survivors of an iteration continue their training
(``_halving_warm_start``).
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.experimental import enable_halving_search_cv  # noqa: F401

from skmlp._sklearn_bases import HalvingGridSearchCV, HalvingRandomSearchCV
from skmlp.model_selection._base_search import (
    CHECKPOINT_CONSTRAINT,
    BasePackedSearch,
    EstimatorT,
)
from skmlp.model_selection._halving_warm_start import HalvingWarmStart

_ADDED_CONSTRAINTS = CHECKPOINT_CONSTRAINT | {"warm_start": ["boolean"]}


class BasePackedHalvingSearch(BasePackedSearch[EstimatorT]):
    """Base of the halving searches.

    With `warm_start=True`, the surviving candidates continue their training.
    """

    resource: str
    factor: float

    def _make_warm_start(self) -> HalvingWarmStart | None:
        if not self.warm_start:
            return None
        return HalvingWarmStart(self.estimator, self.resource, self.factor)


class PackedHalvingGridSearchCV(
    HalvingGridSearchCV, BasePackedHalvingSearch[EstimatorT]
):
    """Successive halving over a grid, which trains the networks of all folds together.

    It replaces `sklearn.model_selection.HalvingGridSearchCV`, which is experimental in
    scikit-learn. The first iteration evaluates all candidates with few resources. Each
    later iteration evaluates the best candidates of the previous iteration, with more
    resources. Resources are samples, or epochs with ``resource='max_iter'``. The
    networks of all candidates and folds of an iteration are trained together.
    `PackedGridSearchCV` describes which networks this is possible for.

    Parameters
    ----------
    estimator : estimator object
        A network of skmlp, or a Pipeline that ends in one. Other estimators are fitted
        one by one.
    param_grid : dict or list of dict
        Values to try for each parameter.
    factor, resource, max_resources, min_resources, aggressive_elimination, cv, \
scoring, refit, error_score, return_train_score, random_state
        As in `sklearn.model_selection.HalvingGridSearchCV`.
    n_jobs, verbose
        As in `PackedGridSearchCV`.
    checkpoint : str, path-like or None, default=None
        As in `PackedGridSearchCV`. A checkpoint requires a `random_state`.
    warm_start : bool, default=False
        Whether candidates that survive an iteration continue their training in every
        fold and train only the added epochs.

        - The training state consists of weights, optimizer state, learning rate, states
          of the random generators, and the counters of early stopping.
        - Scores equal the scores of a training without interruption (to 1e-8 in
          float64). ``mean_fit_time`` counts only the added epochs.
        - It requires ``resource='max_iter'``, or ``'<step>__max_iter'`` in a Pipeline.
        - The refit, and the next call of `fit`, train from the start.
        - It is independent of the `warm_start` of the network.

    Attributes
    ----------
    n_resources_ : list of int
        Resources of every iteration.
    n_candidates_ : list of int
        Number of candidates of every iteration.
    n_iterations_ : int
        Number of iterations.
    n_remaining_candidates_, n_possible_iterations_, n_required_iterations_, \
max_resources_, min_resources_
        As in `sklearn.model_selection.HalvingGridSearchCV`.
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, \
n_splits_, refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in `PackedGridSearchCV`.

    See Also
    --------
    PackedGridSearchCV : Search of all candidates with all resources.

    Notes
    -----
    With few resources the search may drop the candidate that would be best with all
    resources (Jamieson and Talwalkar 2016, arXiv:1502.07943).

    With `warm_start`, the state of every candidate in every fold stays in memory until
    the iteration ends. Then only the states of the survivors stay in memory. States are
    sent to the workers of `n_jobs` and stored in the files of `checkpoint`. A candidate
    that failed has no state and trains from the start.

    With `warm_start`, these cases raise an error before anything is trained, because
    their training cannot continue with the same result:

    - a `learning_rate` that depends on `max_iter` ('cosine', 'onecycle')
    - the solver 'lbfgs'
    - callbacks without ``state_dict``, and scikit-learn's callbacks
    - transformers in a Pipeline that draw random numbers without a seed
    - estimators that are not networks of skmlp
    - ``resource='n_samples'``: a surviving network would be trained for more epochs
      than the refit, and networks that continue from fewer samples generalize worse
      (Ash and Adams 2020, arXiv:1910.08475)

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmlp.model_selection import PackedHalvingGridSearchCV
    >>> from skmlp.neural_network import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> network = MLPClassifier(10, max_iter=200, tol=0.01, random_state=0)
    >>> grid = {"learning_rate_init": [0.0001, 0.001, 0.01]}
    >>> search = PackedHalvingGridSearchCV(network, grid, cv=3, random_state=0)
    >>> search.fit(X, y).n_resources_
    [50, 150]
    >>> search.best_params_
    {'learning_rate_init': 0.01}
    """

    _parameter_constraints = (
        HalvingGridSearchCV._parameter_constraints | _ADDED_CONSTRAINTS
    )

    def __init__(
        self,
        estimator: EstimatorT,
        param_grid: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        factor: float = 3,
        resource: str = "n_samples",
        max_resources: int | str = "auto",
        min_resources: int | str = "exhaust",
        aggressive_elimination: bool = False,
        cv: Any = 5,
        scoring: Any = None,
        refit: bool | Callable[..., int] = True,
        error_score: float | str = np.nan,
        return_train_score: bool = True,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        checkpoint: str | os.PathLike[str] | None = None,
        warm_start: bool = False,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            factor=factor,
            resource=resource,
            max_resources=max_resources,
            min_resources=min_resources,
            aggressive_elimination=aggressive_elimination,
            cv=cv,
            scoring=scoring,
            refit=refit,
            error_score=error_score,
            return_train_score=return_train_score,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.checkpoint = checkpoint
        self.warm_start = warm_start


class PackedHalvingRandomSearchCV(
    HalvingRandomSearchCV, BasePackedHalvingSearch[EstimatorT]
):
    """Successive halving over random candidates, with all networks trained together.

    It replaces `sklearn.model_selection.HalvingRandomSearchCV`, which is experimental
    in scikit-learn. `PackedHalvingGridSearchCV` describes the search.

    Parameters
    ----------
    estimator : estimator object
        A network of skmlp, or a Pipeline that ends in one. Other estimators are fitted
        one by one.
    param_distributions : dict or list of dict
        Values or distributions to draw from for each parameter.
    n_candidates, factor, resource, max_resources, min_resources, \
aggressive_elimination, cv, scoring, refit, error_score, return_train_score, \
random_state
        As in `sklearn.model_selection.HalvingRandomSearchCV`.
    n_jobs, verbose
        As in `PackedGridSearchCV`.
    checkpoint : str, path-like or None, default=None
        As in `PackedGridSearchCV`. A checkpoint requires a `random_state`.
    warm_start : bool, default=False
        As in `PackedHalvingGridSearchCV`.

    Attributes
    ----------
    n_resources_, n_candidates_, n_iterations_, n_remaining_candidates_, \
n_possible_iterations_, n_required_iterations_, max_resources_, min_resources_
        As in `PackedHalvingGridSearchCV`.
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, \
n_splits_, refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in `PackedGridSearchCV`.

    See Also
    --------
    PackedHalvingGridSearchCV : Successive halving of all candidates of a grid.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from skmlp.model_selection import PackedHalvingRandomSearchCV
    >>> from skmlp.neural_network import SoftmaxRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> search = PackedHalvingRandomSearchCV(
    ...     SoftmaxRegression(max_iter=200, tol=0.01, random_state=0),
    ...     {"learning_rate_init": loguniform(1e-4, 1e-1)},
    ...     n_candidates=9, min_resources=18, cv=3, random_state=0,
    ... ).fit(X, y)
    >>> search.n_candidates_
    [9, 3]
    """

    _parameter_constraints = (
        HalvingRandomSearchCV._parameter_constraints | _ADDED_CONSTRAINTS
    )

    def __init__(
        self,
        estimator: EstimatorT,
        param_distributions: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        n_candidates: int | str = "exhaust",
        factor: float = 3,
        resource: str = "n_samples",
        max_resources: int | str = "auto",
        min_resources: int | str = "smallest",
        aggressive_elimination: bool = False,
        cv: Any = 5,
        scoring: Any = None,
        refit: bool | Callable[..., int] = True,
        error_score: float | str = np.nan,
        return_train_score: bool = True,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        checkpoint: str | os.PathLike[str] | None = None,
        warm_start: bool = False,
    ) -> None:
        super().__init__(
            estimator,
            param_distributions,
            n_candidates=n_candidates,
            factor=factor,
            resource=resource,
            max_resources=max_resources,
            min_resources=min_resources,
            aggressive_elimination=aggressive_elimination,
            cv=cv,
            scoring=scoring,
            refit=refit,
            error_score=error_score,
            return_train_score=return_train_score,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.checkpoint = checkpoint
        self.warm_start = warm_start
