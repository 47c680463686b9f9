"""scikit-learn's successive halving, with the candidates of an iteration in packs."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV, HalvingRandomSearchCV

from skmlp.model_selection._packed_search import CHECKPOINT, PackedSearch


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

    See Also
    --------
    PackedGridSearchCV : All candidates with all resources.

    Notes
    -----
    A survivor starts anew in the next iteration. With few resources the search may
    drop the candidate that would be best with all of them (Jamieson and Talwalkar 2016,
    arXiv:1502.07943).

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

    _parameter_constraints = HalvingGridSearchCV._parameter_constraints | CHECKPOINT

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

    _parameter_constraints = HalvingRandomSearchCV._parameter_constraints | CHECKPOINT

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
