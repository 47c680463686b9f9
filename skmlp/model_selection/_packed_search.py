"""scikit-learn's searches, with candidates and folds trained as one network."""

import numbers
import time
from collections.abc import Iterable, Mapping
from itertools import product
from traceback import format_exception
from typing import Any, NamedTuple, Self

import joblib
import numpy as np
from sklearn.base import _fit_context, clone, is_classifier
from sklearn.model_selection import (
    GridSearchCV,
    ParameterGrid,
    ParameterSampler,
    RandomizedSearchCV,
    check_cv,
)
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _insert_error_scores,
    _score,
    _warn_or_raise_about_fit_failures,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.validation import _check_method_params

from skmlp.neural_network._packed_fit import FitJob, fit_jobs


class _Task(NamedTuple):
    """One candidate on one split."""

    estimator: Any
    split: int
    train: np.ndarray
    test: np.ndarray


class PackedSearch(BaseSearchCV):
    """Base of the packed searches: `fit` as scikit-learn's, but for how it trains."""

    @_fit_context(prefer_skip_nested_validation=False)
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
        """
        scorers, refit_metric = self._get_scorers()
        X, y = indexable(X, y)
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        self._checked_cv_orig = check_cv(
            self.cv, y, classifier=is_classifier(self.estimator)
        )
        n_splits = self._checked_cv_orig.get_n_splits(X, y, **routed.splitter.split)
        candidates: list[dict[str, Any]] = []
        outcomes: list[dict[str, Any]] = []
        more: dict[str, list[Any]] = {}
        results: dict[str, Any] = {}

        def evaluate(
            candidate_params: Iterable[dict[str, Any]],
            cv: Any = None,
            more_results: Mapping[str, Iterable[Any]] | None = None,
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
            found = self._evaluate(new, splits, X, y, scorers, routed)
            if not found:
                raise ValueError(
                    "No fits were performed. Was the CV iterator empty? Were there no "
                    "candidates?"
                )
            _warn_or_raise_about_fit_failures(found, self.error_score)
            if callable(self.scoring):
                _insert_error_scores(found, self.error_score)
            candidates.extend(new)
            outcomes.extend(found)
            for key, values in (more_results or {}).items():
                more.setdefault(key, []).extend(values)
            results = self._format_results(candidates, n_splits, outcomes, more)
            return results

        self._run_search(evaluate)
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
            self._refit_best(X, y, routed.estimator.fit)
        self.scorer_ = getattr(scorers, "_scorers", scorers)
        self.cv_results_ = results
        self.n_splits_ = n_splits
        return self

    def _refit_best(self, X: Any, y: Any, fit_params: dict[str, Any]) -> None:
        """Fit the best candidate on all rows."""
        self.best_estimator_ = clone(self.estimator).set_params(
            **clone(self.best_params_, safe=False)
        )
        start = time.time()
        if y is None:
            self.best_estimator_.fit(X, **fit_params)
        else:
            self.best_estimator_.fit(X, y, **fit_params)
        self.refit_time_ = time.time() - start
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_

    def _evaluate(
        self,
        candidates: list[dict[str, Any]],
        splits: list[tuple[np.ndarray, np.ndarray]],
        X: Any,
        y: Any,
        scorers: Any,
        routed: Any,
    ) -> list[dict[str, Any]]:
        """Fit and score every candidate on every split, in scikit-learn's order."""
        if self.verbose > 0:
            n_fits = len(candidates) * len(splits)
            print(  # noqa: T201
                f"Fitting {len(splits)} folds for each of {len(candidates)} candidates,"
                f" totalling {n_fits} fits"
            )
        tasks = [
            _Task(
                clone(self.estimator).set_params(**clone(parameters, safe=False)),
                split,
                *splits[split],
            )
            for parameters, split in product(candidates, range(len(splits)))
        ]
        n_workers = joblib.effective_n_jobs(self.n_jobs)
        shares = [tasks[i::n_workers] for i in range(min(n_workers, len(tasks)))]
        found = joblib.Parallel(n_jobs=self.n_jobs, pre_dispatch=self.pre_dispatch)(
            joblib.delayed(fit_and_score_tasks)(
                share,
                X,
                y,
                scorers,
                routed.estimator.fit,
                routed.scorer.score,
                self.return_train_score,
                self.error_score,
            )
            for share in shares
        )
        outcomes: list[Any] = [None] * len(tasks)
        for i, share in enumerate(found):
            outcomes[i::n_workers] = share
        if self.verbose > 0:
            packed = sum(outcome["packed"] > 1 for outcome in outcomes)
            print(  # noqa: T201
                f"{packed} of {len(outcomes)} fits were trained in packs, the others "
                "one by one"
            )
        return outcomes


def fit_and_score_tasks(
    tasks: list[_Task],
    X: Any,
    y: Any,
    scorers: Any,
    fit_params: dict[str, Any],
    score_params: dict[str, Any],
    return_train_score: bool,
    error_score: Any,
) -> list[dict[str, Any]]:
    """Fit tasks together and score each; return what scikit-learn records of a fit."""
    splits: dict[int, _Split] = {}
    jobs: list[FitJob] = []
    for task in tasks:
        if task.split not in splits:
            splits[task.split] = _Split(task, X, y, fit_params)
        jobs.append(splits[task.split].job(task))
    fit_jobs([job for job in jobs if job.error is None])
    return [
        _outcome(
            task,
            job,
            splits[task.split],
            (X, y),
            scorers,
            score_params,
            return_train_score,
            error_score,
        )
        for task, job in zip(tasks, jobs, strict=True)
    ]


class _Split:
    """Training rows of one split, and what the steps before a network make of them."""

    def __init__(self, task: _Task, X: Any, y: Any, fit_params: dict[str, Any]) -> None:
        self.number = task.split
        self.X = _safe_indexing(X, task.train)
        self.y = None if y is None else _safe_indexing(y, task.train)
        self.params = _check_method_params(X, params=fit_params, indices=task.train)
        self._steps: dict[str, tuple[Any, Any]] = {}

    def job(self, task: _Task) -> FitJob:
        """Return the fit of the task's last step, on what the steps before make."""
        estimator = task.estimator
        if not isinstance(estimator, Pipeline) or len(estimator.steps) < 2:
            return FitJob(estimator, self.X, self.y, self.params, self.number)
        name, last = estimator.steps[-1]
        own = {key.removeprefix(f"{name}__"): v for key, v in self.params.items()}
        if isinstance(last, Pipeline) or set(own) & set(self.params):
            # What goes to other steps, or is routed, is the Pipeline's to sort out.
            return FitJob(estimator, self.X, self.y, self.params, self.number)
        before = estimator[:-1]
        key = joblib.hash(before)
        start = time.perf_counter()
        if key not in self._steps:
            try:
                self._steps[key] = before, before.fit_transform(self.X, self.y)
            except Exception as error:  # noqa: BLE001  # the search decides
                return FitJob(last, self.X, self.y, own, key, error=error)
        fitted, transformed = self._steps[key]
        estimator.steps[:-1] = fitted.steps
        seconds = time.perf_counter() - start
        data = (self.number, key)
        return FitJob(last, transformed, self.y, own, data, seconds=seconds)


def _outcome(
    task: _Task,
    job: FitJob,
    split: _Split,
    data: tuple[Any, Any],
    scorers: Any,
    score_params: dict[str, Any],
    return_train_score: bool,
    error_score: Any,
) -> dict[str, Any]:
    """Score a task as scikit-learn does, or give it the error's score."""
    X, y = data
    X_test = _safe_indexing(X, task.test)
    y_test = None if y is None else _safe_indexing(y, task.test)
    outcome = {
        "fit_error": None,
        "n_test_samples": len(task.test),
        "fit_time": job.seconds,
        "score_time": 0.0,
        "packed": job.packed,
    }
    if job.error is not None:
        if error_score == "raise":
            raise job.error
        if not isinstance(error_score, numbers.Number):
            raise ValueError(
                "error_score must be the string 'raise' or a numeric value."
            )
        outcome["fit_error"] = "".join(format_exception(job.error))
        names = getattr(scorers, "_scorers", None)
        scores = error_score if names is None else dict.fromkeys(names, error_score)
        outcome["test_scores"] = scores
        if return_train_score:
            outcome["train_scores"] = scores
        return outcome
    start = time.perf_counter()
    of_test = _check_method_params(X, params=score_params, indices=task.test)
    outcome["test_scores"] = _score(
        task.estimator, X_test, y_test, scorers, of_test, error_score
    )
    outcome["score_time"] = time.perf_counter() - start
    if return_train_score:
        of_train = _check_method_params(X, params=score_params, indices=task.train)
        outcome["train_scores"] = _score(
            task.estimator, split.X, split.y, scorers, of_train, error_score
        )
    return outcome


class PackedGridSearchCV(GridSearchCV, PackedSearch):
    """scikit-learn's grid search, with candidates and folds trained as one network.

    A drop-in replacement of `sklearn.model_selection.GridSearchCV`: the constructor,
    the attributes and the scores are its own. Candidates that differ only in learning
    rate, penalty, momentum, Adam's numbers, seed or `max_iter` train together with
    their folds, as one network with a leading dimension of models; the steps of a
    Pipeline before the network are fitted once a fold and distinct setting. What cannot
    be packed (other estimators, convolutions, callbacks, ...) is fitted one by one, and
    ``verbose=1`` says how many were.

    Parameters
    ----------
    estimator : estimator object
        One of ours, or a Pipeline that ends in one; any other works, without packs.
    param_grid : dict or list of dict
        Values to try for each parameter.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As in `sklearn.model_selection.GridSearchCV`. Every job gets a share of the
        candidates and packs it.

    See Also
    --------
    PackedRandomizedSearchCV : Candidates drawn at random.

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

    def _run_search(self, evaluate_candidates: Any) -> None:  # type: ignore[override]
        evaluate_candidates(ParameterGrid(self.param_grid))


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

    def _run_search(self, evaluate_candidates: Any) -> None:  # type: ignore[override]
        evaluate_candidates(
            ParameterSampler(
                self.param_distributions, self.n_iter, random_state=self.random_state
            )
        )
