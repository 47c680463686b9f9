"""Evaluate the candidates of a packed search, and collect the results."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from skmlp._sklearn_bases import BaseSearchCV
from skmlp._sklearn_compat import insert_error_scores, warn_or_raise_about_fit_failures
from skmlp.model_selection._evaluation import TaskEvaluator
from skmlp.model_selection._halving_warm_start import HalvingWarmStart
from skmlp.model_selection._search_checkpoint import SearchCheckpoint
from skmlp.model_selection._tasks import Candidate, Outcome, Split, make_tasks
from skmlp.model_selection._workers import run_tasks


class CandidateEvaluator:
    """Evaluates the candidates that scikit-learn's `_run_search` chooses.

    `_run_search` calls `evaluate_candidates` once. In a halving search it calls it once
    for every iteration. A call is a round, so a halving iteration is a round, too.

    Parameters
    ----------
    search : BaseSearchCV
        The search that is fitted.
    evaluator : TaskEvaluator
        Fits and scores tasks.
    split_params : dict
        Further arguments of the splitter's `split`.
    checkpoint : SearchCheckpoint or None
        Stores outcomes.
    warm_start : HalvingWarmStart or None
        Keeps the training states from which candidates continue in the next round.

    Attributes
    ----------
    outcomes : list of dict
        Outcomes of all rounds. The fold varies fastest, then the candidate, then the
        round.
    results : dict
        ``cv_results_`` of all rounds.
    """

    def __init__(
        self,
        search: BaseSearchCV,
        evaluator: TaskEvaluator,
        split_params: dict[str, Any],
        checkpoint: SearchCheckpoint | None,
        warm_start: HalvingWarmStart | None,
    ) -> None:
        self.search = search
        self.evaluator = evaluator
        self.split_params = split_params
        self.checkpoint = checkpoint
        self.warm_start = warm_start
        self.outcomes: list[Outcome] = []
        self.results: dict[str, Any] = {}
        self._all_candidates: list[Candidate] = []
        self._more_results: dict[str, list[Any]] = {}

    def evaluate_candidates(
        self,
        candidate_params: Iterable[Candidate],
        cv: Any = None,
        more_results: Mapping[str, Iterable[Any]] | None = None,
        callback_ctx: Any = None,
    ) -> dict[str, Any]:
        """Fit and score the candidates of one round on every fold.

        Parameters
        ----------
        candidate_params : iterable of dict
            Parameters of the candidates of this round.
        cv : cross-validation generator, default=None
            Splitter of this round; None is the splitter of the search.
        more_results : dict of str to iterable, default=None
            Further columns of the results, with a value for every candidate.
        callback_ctx : object, default=None
            Not used. scikit-learn passes it.

        Returns
        -------
        results : dict
            ``cv_results_`` of all rounds so far.
        """
        candidates = list(candidate_params)
        cv = self.search._checked_cv_orig if cv is None else cv
        splits = self._make_splits(cv)
        if self.warm_start is not None:
            splits = self.warm_start.reuse_first_splits(candidates, splits)
        outcomes = self._evaluate(candidates, splits)
        if not outcomes:
            raise ValueError(
                "No fits were performed. Was the CV iterator empty? Were there no "
                "candidates?"
            )
        warn_or_raise_about_fit_failures(outcomes, self.search.error_score)
        # If `scoring` is a callable, the names of the metrics are known only after a
        # score. So failed fits get their error scores here.
        if callable(self.search.scoring):
            insert_error_scores(outcomes, self.search.error_score)
        self._all_candidates += candidates
        self.outcomes += outcomes
        for name, values in (more_results or {}).items():
            self._more_results.setdefault(name, []).extend(values)
        self.results = self.search._format_results(
            self._all_candidates,
            self.search.n_splits_,
            self.outcomes,
            self._more_results,
        )
        if self.warm_start is not None:
            self.warm_start.select_survivors(outcomes, self.results)
        return self.results

    def _make_splits(self, cv: Any) -> list[Split]:
        """Return the indices of all folds."""
        splits = list(cv.split(self.evaluator.X, self.evaluator.y, **self.split_params))
        if len(splits) != self.search.n_splits_:
            raise ValueError(
                "cv.split and cv.get_n_splits return inconsistent results. "
                f"Expected {self.search.n_splits_} splits, got {len(splits)}"
            )
        return splits

    def _evaluate(
        self, candidates: list[Candidate], splits: list[Split]
    ) -> list[Outcome]:
        """Make and run the tasks of one round."""
        search = self.search
        n_fits = len(candidates) * len(splits)
        if search.verbose > 0:
            print(  # noqa: T201
                f"Fitting {len(splits)} folds for each of {len(candidates)} candidates,"
                f" totalling {n_fits} fits"
            )
        evaluator = self.evaluator
        if self.checkpoint is not None:
            store = self.checkpoint.start_round(candidates, splits)
            evaluator = replace(evaluator, store=store)
        # Not a list: this function would keep a reference to every fitted network.
        tasks = make_tasks(search.estimator, candidates, splits)
        if self.warm_start is not None:
            tasks = self.warm_start.add_training_states(tasks)
        return run_tasks(tasks, evaluator, search.n_jobs, search.pre_dispatch)
