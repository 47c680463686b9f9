"""scikit-learn's successive halving, with the candidates of an iteration in packs."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV, HalvingRandomSearchCV

from skmlp.model_selection._packed_search import CHECKPOINT, PackedSearch

_OWN = CHECKPOINT | {"warm_start": ["boolean"]}


class PackedHalvingGridSearchCV(HalvingGridSearchCV, PackedSearch):
    """Search a grid by successive halving, an iteration's candidates as one network.

    A drop-in replacement of `sklearn.model_selection.HalvingGridSearchCV`, which is
    experimental there: all candidates are tried with few resources (rows, or epochs
    with ``resource='max_iter'``), the best of them with more, and so on.

    Parameters
    ----------
    estimator : estimator object
        One of ours, or a Pipeline that ends in one; any other works, without packs.
    param_grid : dict or list of dict
        Values to try for each parameter.
    factor, resource, max_resources, min_resources, aggressive_elimination, cv, \
scoring, refit, error_score, return_train_score, random_state, n_jobs, verbose
        As in `sklearn.model_selection.HalvingGridSearchCV`.
    checkpoint : str, path-like or None, default=None
        As in `PackedGridSearchCV`; it needs a `random_state`.
    warm_start : bool, default=False
        Whether a candidate that survives an iteration goes on, fold by fold, from where
        its training stood (weights, moments, learning rate, random streams, what early
        stopping has seen) and trains only the epochs that it has more. The scores are
        those of training it anew (float64: to 1e-8), ``mean_fit_time`` is the time of
        the epochs that were added. It needs ``resource='max_iter'``, of a Pipeline
        ``'<step>__max_iter'``; the refit, and another call of `fit`, start anew. A
        network's own `warm_start` has no part in it.

    See Also
    --------
    PackedGridSearchCV : All candidates with all resources.

    Notes
    -----
    With few resources the search may drop the candidate that would be best with all of
    them (Jamieson and Talwalkar 2016, arXiv:1502.07943).

    With `warm_start`, the state of every candidate in every fold (its parameters, their
    moments, the best of them) is held until the iteration has ended, afterwards that of
    the survivors; it travels to the processes of `n_jobs`, and lies in the files of
    `checkpoint`. A candidate that failed has none and starts anew. Refused, before
    anything is trained, is what would not end as it does anew: a `learning_rate` that
    is planned for `max_iter` epochs ('cosine', 'onecycle'), the solver 'lbfgs',
    callbacks without ``state_dict``, steps before the network that draw without a seed,
    and estimators that are none of ours. So is ``resource='n_samples'``: the score
    would be of more epochs than the refit has, and networks that start from weights
    learnt on fewer rows generalise worse than new ones (Ash and Adams 2020,
    arXiv:1910.08475).

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

    _parameter_constraints = HalvingGridSearchCV._parameter_constraints | _OWN

    def __init__(
        self,
        estimator: Any,
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


class PackedHalvingRandomSearchCV(HalvingRandomSearchCV, PackedSearch):
    """Successive halving of candidates drawn at random, an iteration as one network.

    Parameters
    ----------
    estimator : estimator object
        One of ours, or a Pipeline that ends in one; any other works, without packs.
    param_distributions : dict or list of dict
        Values or distributions to draw from for each parameter.
    n_candidates, factor, resource, max_resources, min_resources, \
aggressive_elimination, cv, scoring, refit, error_score, return_train_score, \
random_state, n_jobs, verbose
        As in `sklearn.model_selection.HalvingRandomSearchCV`.
    checkpoint : str, path-like or None, default=None
        As in `PackedGridSearchCV`; it needs a `random_state`.
    warm_start : bool, default=False
        As in `PackedHalvingGridSearchCV`.

    See Also
    --------
    PackedHalvingGridSearchCV : All candidates of a grid.

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

    _parameter_constraints = HalvingRandomSearchCV._parameter_constraints | _OWN

    def __init__(
        self,
        estimator: Any,
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
