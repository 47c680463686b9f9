"""Fit and score tasks, in packs or one by one.

``evaluate_in_packs`` makes one fit job of every task. `fit_jobs` trains the jobs in
packs and yields each job when its network is fitted. The network is then scored, and
the outcomes of a pack are stored before the next pack is trained.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from traceback import format_exception
from typing import Any

from sklearn.base import clone

from skmlp._sklearn_compat import fit_and_score, score_estimator
from skmlp.model_selection._fold_data import FoldData, data_key
from skmlp.model_selection._search_checkpoint import OutcomeStore
from skmlp.model_selection._tasks import Outcome, Task
from skmlp.neural_network._fit.checkpoint import MemoryCheckpoint
from skmlp.neural_network._packs.fit_job import FitJob
from skmlp.neural_network._packs.packed_fit import fit_jobs
from skmlp.training.compute.interrupts import raise_lost_interrupt
from skmlp.training.run import ProgressCallback, ignore_progress


@dataclass(frozen=True)
class TaskEvaluator:
    """Fits and scores tasks.

    It holds the data and the options of the search. joblib sends a copy to every
    worker.

    Parameters
    ----------
    X, y, scorer, fit_params, score_params, return_train_score, return_estimator, \
error_score, verbose
        As in scikit-learn's `_fit_and_score`.
    store : OutcomeStore or None
        Files with finished outcomes; None without a checkpoint.
    """

    X: Any
    y: Any
    scorer: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]
    return_train_score: bool
    return_estimator: bool
    error_score: Any
    verbose: int
    store: OutcomeStore | None = None

    def evaluate_alone(self, task: Task) -> dict[int, Outcome]:
        """Fit and score one task with scikit-learn's `_fit_and_score`.

        Returns
        -------
        outcomes : dict
            Maps the number of the task to its outcome.
        """
        outcome: Outcome = fit_and_score(
            task.estimator,
            self.X,
            self.y,
            scorer=self.scorer,
            train=task.train,
            test=task.test,
            verbose=self.verbose,
            parameters=task.parameters,
            fit_params=self.fit_params,
            score_params=self.score_params,
            return_train_score=self.return_train_score,
            return_n_test_samples=True,
            return_times=True,
            return_estimator=self.return_estimator,
            error_score=self.error_score,
        )
        outcome |= {"packed": 1, "reason": None}
        outcomes = {task.number: outcome}
        self._write_outcomes(outcomes)
        return outcomes

    def evaluate_in_packs(
        self,
        tasks: list[Task],
        progress_callback: ProgressCallback = ignore_progress,
        packs_only: bool = False,
    ) -> dict[int, Outcome]:
        """Fit the networks of the tasks in packs, and score them.

        Parameters
        ----------
        tasks : list of Task
            The list is changed. When a task is scored, its estimator is set to None,
            because fitted networks need more memory than their scores.
        progress_callback : callable
            Called with the number of epochs that ended.
        packs_only : bool
            Whether to leave out the networks that no pack trains. Their tasks remain.

        Returns
        -------
        outcomes : dict
            Maps the numbers of the tasks to their outcomes.
        """
        stored = self.read_outcomes()
        if all(task.number in stored for task in tasks):
            return {task.number: stored[task.number] for task in tasks}
        # If only some tasks are finished, the finished ones become jobs, too. So the
        # packs are the same as in the interrupted search.
        folds: dict[tuple[int, bool], FoldData] = {}

        def make_jobs() -> Iterator[FitJob]:
            for index, task in enumerate(tasks):
                key = data_key(task)
                if key not in folds:
                    folds[key] = FoldData(
                        self.X, self.y, task, self.fit_params, self.score_params
                    )
                job = folds[key].make_job(task, index)
                if task.training_states is not None:
                    job.checkpoint = MemoryCheckpoint(task.training_states)
                job.skip_training = task.number in stored
                job.repeatable = self.store is not None
                job.may_train_alone = not packs_only
                yield job

        outcomes: dict[int, Outcome] = {}
        outcomes_of_pack: dict[int, Outcome] = {}  # by number of the task
        # `fit_jobs` reads the jobs while it trains, so the data of a fold are cut when
        # they are needed.
        for job in fit_jobs(make_jobs(), progress_callback):
            task = tasks[job.index]
            if job.skip_training:
                outcomes[task.number] = stored[task.number]
                continue
            if job.postponed:  # its preparation has set attributes
                unfitted = clone(task.estimator)
                tasks[job.index] = task._replace(estimator=unfitted)
                continue
            # A network that trains alone returns after Ctrl-C. The search has to end.
            if job.interrupted:
                raise KeyboardInterrupt
            outcome = self._score(task, job, folds[data_key(task)])
            raise_lost_interrupt()  # Python may have dropped Ctrl-C in the scorer
            outcomes[task.number] = outcome
            outcomes_of_pack[task.number] = outcome
            # `fit_jobs` yields the members of a pack one after the other.
            if len(outcomes_of_pack) == job.pack_size:
                self._write_outcomes(outcomes_of_pack)
                outcomes_of_pack = {}
            if not self.return_estimator:
                tasks[job.index] = task._replace(estimator=None, training_states=None)
                # These references would keep the network in memory while the next pack
                # is trained.
                del job, task
        return outcomes

    def read_outcomes(self) -> dict[int, Outcome]:
        """Return a dict from task number to outcome, for the stored outcomes."""
        return {} if self.store is None else self.store.read()

    def _write_outcomes(self, outcomes: dict[int, Outcome]) -> None:
        """Store the outcomes of one pack, if there is a store."""
        if self.store is not None:
            self.store.write(outcomes)

    def _score(self, task: Task, job: FitJob, fold: FoldData) -> Outcome:
        """Score a fitted network and return its outcome.

        If the fit failed, all scores are `error_score`.
        """
        outcome: Outcome = {
            "fit_error": None,
            "n_test_samples": len(task.test),
            "fit_time": job.seconds,
            "score_time": 0.0,
            "packed": job.pack_size,
            "reason": job.reason,
        }
        if self.return_estimator:
            outcome["estimator"] = task.estimator
        if job.checkpoint is not None:
            outcome["stages"] = job.checkpoint.stages
        if job.error is not None:
            if self.error_score == "raise":
                raise job.error
            outcome["fit_error"] = "".join(format_exception(job.error))
        sample_sets = {"test_scores": fold.test}
        if self.return_train_score:
            sample_sets["train_scores"] = fold.train
        for name, (X, y, params) in sample_sets.items():
            if job.error is not None:
                outcome[name] = self._scores_of_error()
                continue
            start = time.perf_counter()
            outcome[name] = score_estimator(
                task.estimator, X, y, self.scorer, params, self.error_score
            )
            if name == "test_scores":  # as in scikit-learn
                outcome["score_time"] = time.perf_counter() - start
        return outcome

    def _scores_of_error(self) -> Any:
        """Return `error_score`, or a dict from metric name to `error_score`."""
        metrics = getattr(self.scorer, "_scorers", None)
        if metrics is None:
            return self.error_score
        return dict.fromkeys(metrics, self.error_score)
