"""The base of all packed searches: scikit-learn's `fit`, with training in packs."""

import os
import time
from typing import Any, Generic, Self, TypeVar

from sklearn.base import is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import indexable

from skmlp._sklearn_bases import BaseSearchCV, fit_context
from skmlp._sklearn_compat import (
    check_method_params,
    check_resources,
    has_callbacks,
    make_search_arguments,
)
from skmlp.model_selection._candidate_evaluation import CandidateEvaluator
from skmlp.model_selection._evaluation import TaskEvaluator
from skmlp.model_selection._halving_warm_start import HalvingWarmStart
from skmlp.model_selection._search_checkpoint import SearchCheckpoint, can_resume_fit
from skmlp.model_selection._tasks import clone_with
from skmlp.neural_network._base.rollback import restore_attributes_on_error
from skmlp.neural_network._fit.checkpoint import (
    refuse_shared_checkpoint,
    set_checkpoint,
)
from skmlp.neural_network._fit.cross_validation import (
    refuse_checkpoint_in_cross_validation,
)

# Entry of `_parameter_constraints` for the parameter `checkpoint`.
CHECKPOINT_CONSTRAINT: dict[str, list[Any]] = {"checkpoint": [str, os.PathLike, None]}

EstimatorT = TypeVar("EstimatorT")


class BasePackedSearch(BaseSearchCV, Generic[EstimatorT]):
    """Mixin that replaces `BaseSearchCV.fit` and trains candidates in packs.

    A subclass also inherits from a search of scikit-learn, whose `_run_search` chooses
    the candidates. In a halving search, scikit-learn's `fit` runs first and calls this
    `fit` by ``super()``.
    """

    estimator: EstimatorT
    best_estimator_: EstimatorT
    checkpoint: str | os.PathLike[str] | None
    warm_start: bool = False  # only halving searches have this parameter

    @restore_attributes_on_error
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Evaluate all candidates, then refit the best one on all samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            Samples to train on and to score.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        **params : dict
            Further arguments of the estimator's `fit`, the splitter and the scorer.
            Arrays of length `n_samples` are split like X.

        Returns
        -------
        self : object
            The fitted search.

        Raises
        ------
        ValueError
            If scikit-learn's search would raise it, and in these cases:

            - `checkpoint` belongs to another search, or the candidates or splits are
              random without a seed, so that a later fit could not continue.
            - A file in `checkpoint` is damaged. The error is then a
              `skmlp.persistence.ModelFileError`.
            - `warm_start` is set, and the training of a candidate cannot continue in
              the next iteration.
            - `checkpoint` or `warm_start` is set together with scikit-learn's
              callbacks.
        TypeError
            If `warm_start` is set, and the estimator is not a network of skmlp.
        OSError
            If a file in `checkpoint` cannot be read or written.
        """
        # Clones of the network would share one checkpoint file.
        refuse_shared_checkpoint(self.estimator)
        # Clones of this search would share one checkpoint folder.
        refuse_checkpoint_in_cross_validation(self.checkpoint, type(self).__name__)
        if has_callbacks(self):
            self._check_parameters_with_callbacks()
            # Nothing is trained in packs, because scikit-learn's callbacks expect one
            # fit after the other.
            return super().fit(X, y, **params)
        scorers, refit_metric = self._get_scorers()
        X, y = indexable(X, y)
        params = check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        # scikit-learn's halving searches read this attribute.
        self._checked_cv_orig = check_cv(
            self.cv, y, classifier=is_classifier(self.estimator)
        )
        check_resources(self, X, y, routed.splitter.split)
        self.n_splits_ = self._checked_cv_orig.get_n_splits(
            X, y, **routed.splitter.split
        )
        halving_warm_start = self._make_warm_start()
        checkpoint = None
        if self.checkpoint is not None:
            checkpoint = SearchCheckpoint(
                self.checkpoint,
                self,
                X,
                y,
                fit_params=params,
                cv=self._checked_cv_orig,
                split_params=routed.splitter.split,
            )
        evaluator = TaskEvaluator(
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
        candidate_evaluator = CandidateEvaluator(
            self, evaluator, routed.splitter.split, checkpoint, halving_warm_start
        )
        self._run_search(
            candidate_evaluator.evaluate_candidates, **make_search_arguments(self)
        )
        self._set_best_candidate(candidate_evaluator, refit_metric)
        if self.refit:
            self._refit_best_candidate(X, y, routed.estimator.fit, checkpoint)
        # A multimetric scorer holds its scorers in `_scorers`.
        self.scorer_ = getattr(scorers, "_scorers", scorers)
        self.cv_results_ = candidate_evaluator.results
        return self

    def _check_parameters_with_callbacks(self) -> None:
        """Raise a ValueError if `checkpoint` or `warm_start` is set.

        scikit-learn's callbacks do not support them.
        """
        if self.checkpoint is not None:
            raise ValueError(
                "checkpoint cannot be used with scikit-learn's callbacks, because "
                "finished fits are skipped when the search continues; set "
                "checkpoint=None."
            )
        if self.warm_start:
            raise ValueError(
                "warm_start cannot be used with scikit-learn's callbacks, because they "
                "expect complete fits; set warm_start=False."
            )

    def _make_warm_start(self) -> HalvingWarmStart | None:
        """Return None; halving searches return their warm start if it is set."""
        return None

    def _set_best_candidate(
        self, candidate_evaluator: CandidateEvaluator, refit_metric: Any
    ) -> None:
        """Set `best_index_`, `best_score_`, `best_params_` and `multimetric_`."""
        first_scores = candidate_evaluator.outcomes[0]["test_scores"]
        self.multimetric_ = isinstance(first_scores, dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(first_scores)
            refit_metric = self.refit
        if self.multimetric_ and not self.refit:
            return
        self.best_index_ = self._select_best_index(
            self.refit, refit_metric, candidate_evaluator.results
        )
        if not callable(self.refit):
            mean_scores = candidate_evaluator.results[f"mean_test_{refit_metric}"]
            self.best_score_ = mean_scores[self.best_index_]
        self.best_params_ = candidate_evaluator.results["params"][self.best_index_]

    def _refit_best_candidate(
        self,
        X: Any,
        y: Any,
        fit_params: dict[str, Any],
        checkpoint: SearchCheckpoint | None,
    ) -> None:
        """Fit the best candidate to all samples, or continue from its checkpoint."""
        best: Any = clone_with(self.estimator, self.best_params_)
        self.best_estimator_ = best
        path = None
        if checkpoint is not None and can_resume_fit(best):
            path = checkpoint.refit_path
            set_checkpoint(best, path)
        start = time.time()
        if y is None:
            best.fit(X, **fit_params)
        else:
            best.fit(X, y, **fit_params)
        self.refit_time_ = time.time() - start
        if path is not None:
            set_checkpoint(best, None)
        if hasattr(best, "feature_names_in_"):
            self.feature_names_in_ = best.feature_names_in_
