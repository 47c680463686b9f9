"""scikit-learn's searches, with candidates and folds trained as one network."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any, Self

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, check_cv
from sklearn.utils import indexable

from skmlp._sklearn_compat import (
    BaseSearchCV,
    check_method_params,
    check_resources,
    fit_context,
    has_callbacks,
    insert_error_scores,
    make_search_arguments,
    warn_or_raise_about_fit_failures,
)
from skmlp.model_selection._packed_tasks import (
    Evaluation,
    Outcome,
    Task,
    has_epochs_to_keep,
    run_tasks,
)
from skmlp.model_selection._search_checkpoint import SearchCheckpoint
from skmlp.model_selection._survivors import Survivors
from skmlp.neural_network._fit.checkpoint import (
    refuse_shared_checkpoint,
    set_checkpoint,
)

CHECKPOINT: dict[str, list[Any]] = {"checkpoint": [str, os.PathLike, None]}


class PackedSearch(BaseSearchCV):
    """Base of the packed searches: `fit` as scikit-learn's, but for how it trains."""

    checkpoint: str | os.PathLike[str] | None
    # Only where candidates are fitted several times is there anything to go on from.
    warm_start: bool = False

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Search, then refit the best candidate on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            Rows to train and to score on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        **params : dict
            Further arguments of the estimator's `fit`, of the splitter and the scorer;
            arrays of `n_samples` are split as the rows are.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If `checkpoint` is of another search, or this one would not be the same
            again (a damaged file raises `skmlp.persistence.ModelFileError`, which is a
            ValueError), or if `warm_start` is set for what cannot go on, beside what
            scikit-learn refuses.
        OSError
            If `checkpoint` cannot be read or written.
        """
        refuse_shared_checkpoint(self.estimator)
        if has_callbacks(self):
            if self.checkpoint is not None:
                raise ValueError(
                    "checkpoint does not go with scikit-learn's callbacks, which "
                    "follow fits that it would leave out; set it to None."
                )
            if self.warm_start:
                raise ValueError(
                    "warm_start does not go with scikit-learn's callbacks, which "
                    "follow fits from their beginning; set it to False."
                )
            # scikit-learn's callbacks follow one fit after the other.
            return super().fit(X, y, **params)
        scorers, refit_metric = self._get_scorers()
        X, y = indexable(X, y)
        params = check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        self._checked_cv_orig = check_cv(
            self.cv, y, classifier=is_classifier(self.estimator)
        )
        check_resources(self, X, y, routed.splitter.split)
        self.n_splits_ = n_splits = self._checked_cv_orig.get_n_splits(
            X, y, **routed.splitter.split
        )
        survivors = Survivors(self) if self.warm_start else None
        checkpoint = None
        if self.checkpoint is not None:
            cv, of_split = self._checked_cv_orig, routed.splitter.split
            checkpoint = SearchCheckpoint(self, X, y, params, cv, of_split)
        how = Evaluation(
            X,
            y,
            scorer=scorers,
            fit_params=routed.estimator.fit,
            score_params=routed.scorer.score,
            return_train_score=self.return_train_score,
            return_estimator=False,
            error_score=self.error_score,
            verbose=self.verbose,
        )
        candidates: list[dict[str, Any]] = []
        outcomes: list[Outcome] = []
        more: dict[str, list[Any]] = {}
        results: dict[str, Any] = {}

        def evaluate(
            candidate_params: Iterable[dict[str, Any]],
            cv: Any = None,
            more_results: Mapping[str, Iterable[Any]] | None = None,
            callback_ctx: Any = None,
        ) -> dict[str, Any]:
            nonlocal results
            new = list(candidate_params)
            splits = list(
                (cv or self._checked_cv_orig).split(X, y, **routed.splitter.split)
            )
            if len(splits) != n_splits:
                raise ValueError(
                    "cv.split and cv.get_n_splits return inconsistent results. "
                    f"Expected {n_splits} splits, got {len(splits)}"
                )
            if survivors is not None:
                splits = survivors.next_round(new, splits)
            keeper = None
            if checkpoint is not None:
                keeper = checkpoint.next_round(new, splits)
            found = self._evaluate(new, splits, how._replace(keeper=keeper), survivors)
            if not found:
                raise ValueError(
                    "No fits were performed. Was the CV iterator empty? Were there no "
                    "candidates?"
                )
            warn_or_raise_about_fit_failures(found, self.error_score)
            if callable(self.scoring):
                insert_error_scores(found, self.error_score)
            candidates.extend(new)
            outcomes.extend(found)
            for key, values in (more_results or {}).items():
                more.setdefault(key, []).extend(values)
            results = self._format_results(candidates, n_splits, outcomes, more)
            if survivors is not None:
                survivors.choose(found, results)
            return results

        self._run_search(evaluate, **make_search_arguments(self))
        first = outcomes[0]["test_scores"]
        self.multimetric_ = isinstance(first, dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(first)
            refit_metric = self.refit
        if self.refit or not self.multimetric_:
            self.best_index_ = self._select_best_index(
                self.refit, refit_metric, results
            )
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{refit_metric}"][
                    self.best_index_
                ]
            self.best_params_ = results["params"][self.best_index_]
        if self.refit:
            self._refit_best(X, y, routed.estimator.fit, checkpoint)
        self.scorer_ = getattr(scorers, "_scorers", scorers)
        self.cv_results_ = results
        return self

    def _refit_best(
        self,
        X: Any,
        y: Any,
        fit_params: dict[str, Any],
        checkpoint: SearchCheckpoint | None,
    ) -> None:
        """Fit the best candidate on all rows."""
        self.best_estimator_ = clone(self.estimator).set_params(
            **clone(self.best_params_, safe=False)
        )
        keeps = checkpoint is not None and has_epochs_to_keep(self.best_estimator_)
        if checkpoint is not None and keeps:
            set_checkpoint(self.best_estimator_, checkpoint.refit)
        start = time.time()
        if y is None:
            self.best_estimator_.fit(X, **fit_params)
        else:
            self.best_estimator_.fit(X, y, **fit_params)
        self.refit_time_ = time.time() - start
        if keeps:
            set_checkpoint(self.best_estimator_, None)
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_

    def _evaluate(
        self,
        candidates: list[dict[str, Any]],
        splits: list[tuple[np.ndarray, np.ndarray]],
        how: Evaluation,
        survivors: Survivors | None,
    ) -> list[Outcome]:
        """Fit and score every candidate on every split, in scikit-learn's order."""
        n_fits = len(candidates) * len(splits)
        if self.verbose > 0:
            print(  # noqa: T201
                f"Fitting {len(splits)} folds for each of {len(candidates)} candidates,"
                f" totalling {n_fits} fits"
            )
        # No list, which would hold all trained networks to the end.
        tasks: Iterable[Task] = (
            Task(
                clone(self.estimator).set_params(**clone(parameters, safe=False)),
                parameters,
                split,
                *splits[split],
            )
            for parameters, split in product(candidates, range(len(splits)))
        )
        if survivors is not None:
            tasks = survivors.go_on(tasks)
        outcomes = run_tasks(tasks, how, self.n_jobs, self.pre_dispatch)
        if self.verbose > 0:
            packed = sum(outcome.get("packed", 1) > 1 for outcome in outcomes)
            others = ", the others one by one" if packed < n_fits else ""
            print(  # noqa: T201
                f"{packed} of {n_fits} fits were trained in packs{others}"
            )
        return outcomes


class PackedGridSearchCV(GridSearchCV, PackedSearch):
    """scikit-learn's grid search, with candidates and folds trained as one network.

    A drop-in replacement of `sklearn.model_selection.GridSearchCV`: the constructor,
    the attributes and the scores are its own. Candidates that differ only in learning
    rate, penalty, momentum, Adam's numbers, dropout, seed or `max_iter`, and small ones
    in the widths of their layers, train together with their folds, as one network with
    a leading dimension of models; the steps of a Pipeline before the network are fitted
    once a fold and distinct setting. What cannot be packed (other estimators,
    augmentation, residual blocks, callbacks, ...) is fitted one by one, and
    ``verbose=1`` says how many were, with progress and time left in a terminal. Ctrl-C
    ends the search with a KeyboardInterrupt.

    Parameters
    ----------
    estimator : estimator object
        One of ours, or a Pipeline that ends in one; any other works, without packs.
    param_grid : dict or list of dict
        Values to try for each parameter.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As in `sklearn.model_selection.GridSearchCV`. Every job gets a share of the
        candidates and packs it. Under ``joblib.parallel_config(backend="dask")`` the
        jobs are those of a cluster; a share whose worker dies is computed again.
    checkpoint : str, path-like or None, default=None
        Folder for the scores of fits that have ended, a file for each pack, and the
        progress of the refit. If it is there, a search of the same candidates on the
        same data goes on from it, a pack that was under way from its beginning, and
        ends as if it had not been interrupted, to the bit on the same machine with the
        same `n_jobs`; other data or parameters are refused until the folder is
        deleted. Every search needs a folder of its own.

    See Also
    --------
    PackedRandomizedSearchCV : Candidates drawn at random.

    Notes
    -----
    How many networks train together is bounded by the memory that is free, and for
    networks of middle size measured in a few steps, once in a process; large ones gain
    nothing and are fitted one by one. Of CNNs only small ones gain: a convolution is
    then a product of matrices of its patches, which is faster for all networks at once
    than torch's convolution for each as long as the patches stay in the caches (up to
    some millions of multiplications a batch). Packs are shared out among torch's
    threads.
    Networks of a pack and networks alone round sums differently: in float64 scores
    agree to 1e-8, and whoever needs the same bits in every run fits one by one.

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

    _parameter_constraints = GridSearchCV._parameter_constraints | CHECKPOINT

    def __init__(
        self,
        estimator: Any,
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


class PackedRandomizedSearchCV(RandomizedSearchCV, PackedSearch):
    """scikit-learn's randomized search, trained as `PackedGridSearchCV` trains.

    Parameters
    ----------
    estimator : estimator object
        One of ours, or a Pipeline that ends in one; any other works, without packs.
    param_distributions : dict or list of dict
        Values or distributions to draw from for each parameter.
    n_iter, scoring, n_jobs, refit, cv, verbose, pre_dispatch, random_state, \
error_score, return_train_score
        As in `sklearn.model_selection.RandomizedSearchCV`.
    checkpoint : str, path-like or None, default=None
        As in `PackedGridSearchCV`; it needs a `random_state`.

    See Also
    --------
    PackedGridSearchCV : All candidates of a grid.

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

    _parameter_constraints = RandomizedSearchCV._parameter_constraints | CHECKPOINT

    def __init__(
        self,
        estimator: Any,
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
