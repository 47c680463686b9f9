"""scikit-learn's grid search and randomized search, with networks trained in packs.

A pack is a group of networks that are trained together, as one network with a leading
dimension of members. A packed search has these steps:

1. `BasePackedSearch.fit` (``_base_search``) checks the arguments and calls
   scikit-learn's `_run_search`, which chooses candidates.
2. `CandidateEvaluator` (``_candidate_evaluation``) makes one task of every candidate
   and fold (``_tasks``).
3. `run_tasks` (``_workers``) divides the tasks that end in a network equally among the
   workers. Every other task is a joblib job of its own. With one worker, everything
   runs in this process.
4. `TaskEvaluator.evaluate_in_packs` (``_evaluation``) makes one fit job of every task,
   on the data of its fold (``_fold_data``). `fit_jobs` of `skmlp.neural_network._packs`
   trains jobs with equal `pack_key` together. Other jobs are fitted one by one.
5. The worker scores every fitted network. The scores, times and errors of a task are
   stored in a dict, the outcome.
6. `CandidateEvaluator` collects the outcomes in ``cv_results_``, and
   `BasePackedSearch.fit` refits the best candidate.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from skmlp._sklearn_bases import GridSearchCV, RandomizedSearchCV
from skmlp.model_selection._base_search import (
    CHECKPOINT_CONSTRAINT,
    BasePackedSearch,
    EstimatorT,
)


# GridSearchCV defines no `fit`, so `BasePackedSearch.fit` is called. It precedes
# `BaseSearchCV.fit` in the method resolution order. GridSearchCV chooses candidates.
class PackedGridSearchCV(GridSearchCV, BasePackedSearch[EstimatorT]):
    """Grid search that trains the networks of all candidates and folds together.

    It replaces `sklearn.model_selection.GridSearchCV`: it has the same constructor,
    attributes and scores.

    Networks are trained together, as one network, if their candidates differ only in
    these parameters. They are then called a pack.

    - `learning_rate_init`, `alpha`, `momentum`, `beta_1`, `beta_2`, `epsilon`,
      `dropout`, `random_state`, `max_iter`
    - `hidden_layer_sizes`, if the number of layers is equal and the layers are small

    These estimators are fitted one by one:

    - other estimators than networks of skmlp, and networks that override a method
    - solvers other than 'sgd', 'adam' and 'adamw'
    - networks with `callbacks`, `augmentation`, `amp`, `weight_averaging`,
      `record_train_score`, frozen layers, residual blocks, or an `alpha` for each layer
    - networks on sparse samples, or on files that are read during the training

    `skmlp.neural_network._packs.packed_fit.fit_jobs` lists the functions that contain
    all rules. The transformers of a Pipeline are fitted once for every fold and every
    distinct setting of the transformers.

    Parameters
    ----------
    estimator : estimator object
        A network of skmlp, or a Pipeline that ends in one. Other estimators are fitted
        one by one.
    param_grid : dict or list of dict
        Values to try for each parameter.
    scoring, refit, cv, pre_dispatch, error_score, return_train_score
        As in `sklearn.model_selection.GridSearchCV`.
    n_jobs : int or None, default=None
        Number of workers. On one machine, this process trains the packs, because a pack
        uses all threads of torch. The workers receive the fits that no pack trains.
        Under ``joblib.parallel_config(backend="dask")`` or with several GPUs, every
        worker receives an equal number of the fits and trains them in packs. A cluster
        computes the fits of a dead worker again.
    verbose : int, default=0
        With 1 or more, the search prints how many fits were trained in packs, and why
        the others were not. In a terminal it also shows progress and the time left.
    checkpoint : str, path-like or None, default=None
        Folder for the outcomes of finished fits, one file for each pack, and for the
        progress of the refit. If the folder exists, the search continues from it:

        - Finished packs are not trained again. The training of an interrupted pack is
          repeated from its first epoch.
        - The results equal the results of an uninterrupted search. They are equal to
          the bit on the same machine with the same `n_jobs`.
        - Other data or parameters raise an error until the folder is deleted. Every
          search needs a separate folder.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        Scores and times, with an entry for every candidate. The time of a pack is
        divided equally among its fits.
    best_estimator_ : estimator
        The best candidate, fitted to all samples. Only with `refit`.
    best_score_ : float
        Mean test score of the best candidate.
    best_params_ : dict
        Parameters of the best candidate.
    best_index_ : int
        Index of the best candidate in ``cv_results_``.
    scorer_ : callable or dict of callable
        Scorers that were applied to the test samples.
    n_splits_ : int
        Number of folds.
    refit_time_ : float
        Seconds of the refit. Only with `refit`.
    multimetric_ : bool
        Whether there are several metrics.
    classes_ : ndarray of shape (n_classes,)
        Class labels of a classifier. Only with `refit`.
    n_features_in_ : int
        Number of features. Only with `refit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of a data frame. Only with `refit`.

    See Also
    --------
    PackedRandomizedSearchCV : Search that draws candidates at random.
    PackedHalvingGridSearchCV : Search that drops candidates early.

    Notes
    -----
    The size of a pack depends on the networks:

    - Free memory bounds the number of networks that train together.
    - For networks of medium size, the search times a few training steps with several
      pack sizes. It does so once per process.
    - Large networks are not faster in packs. They are fitted one by one.
    - Small CNNs are faster in packs if a batch needs at most a few million
      multiplications. Then the image patches fit into the caches of the CPU.

    Sums are rounded differently in a pack. Scores agree with the scores of
    scikit-learn's search to 1e-8 in float64. The pack size may differ between runs, so
    the last bits may differ, too. Use `sklearn.model_selection.GridSearchCV` if they
    must not.

    With scikit-learn's callbacks, nothing is trained in packs.

    Ctrl-C ends the search with a KeyboardInterrupt.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmlp.model_selection import PackedGridSearchCV
    >>> from skmlp.neural_network import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> network = MLPClassifier(10, max_iter=100, tol=0.01, random_state=0)
    >>> grid = {"learning_rate_init": [0.0001, 0.01]}
    >>> search = PackedGridSearchCV(network, grid, cv=3).fit(X, y)
    >>> search.best_params_
    {'learning_rate_init': 0.01}
    """

    _parameter_constraints = GridSearchCV._parameter_constraints | CHECKPOINT_CONSTRAINT

    def __init__(
        self,
        estimator: EstimatorT,
        param_grid: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[..., int] = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        error_score: float | str = np.nan,
        return_train_score: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.checkpoint = checkpoint


class PackedRandomizedSearchCV(RandomizedSearchCV, BasePackedSearch[EstimatorT]):
    """Randomized search that trains the networks of all candidates and folds together.

    It replaces `sklearn.model_selection.RandomizedSearchCV`: it has the same
    constructor, attributes and scores. `PackedGridSearchCV` describes which networks
    are trained together.

    Parameters
    ----------
    estimator : estimator object
        A network of skmlp, or a Pipeline that ends in one. Other estimators are fitted
        one by one.
    param_distributions : dict or list of dict
        Values or distributions to draw from for each parameter.
    n_iter, scoring, refit, cv, pre_dispatch, random_state, error_score, \
return_train_score
        As in `sklearn.model_selection.RandomizedSearchCV`.
    n_jobs, verbose
        As in `PackedGridSearchCV`.
    checkpoint : str, path-like or None, default=None
        As in `PackedGridSearchCV`. A checkpoint requires a `random_state`.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, \
n_splits_, refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in `PackedGridSearchCV`.

    See Also
    --------
    PackedGridSearchCV : Search of all candidates of a grid.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from skmlp.model_selection import PackedRandomizedSearchCV
    >>> from skmlp.neural_network import SoftmaxRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> search = PackedRandomizedSearchCV(
    ...     SoftmaxRegression(max_iter=100, tol=0.01, random_state=0),
    ...     {"learning_rate_init": loguniform(1e-4, 1e-1)},
    ...     n_iter=4, cv=3, random_state=0,
    ... ).fit(X, y)
    >>> len(search.cv_results_["params"])
    4
    """

    _parameter_constraints = (
        RandomizedSearchCV._parameter_constraints | CHECKPOINT_CONSTRAINT
    )

    def __init__(
        self,
        estimator: EstimatorT,
        param_distributions: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[..., int] = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: int | np.random.RandomState | None = None,
        error_score: float | str = np.nan,
        return_train_score: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.checkpoint = checkpoint
