"""Networks are fitted in packs and scored as scikit-learn scores them.

``evaluate_in_packs`` makes one fit job of every task. `fit_jobs` trains the jobs in
packs and yields each job when its network is fitted. The network is then scored, and
the outcomes of a pack are stored before the next pack is trained.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from traceback import format_exception
from typing import Any

from skmlp._sklearn_compat import fit_and_score, score_estimator
from skmlp.model_selection._fold_data import FoldData, data_key
from skmlp.model_selection._search_checkpoint import OutcomeStore
from skmlp.model_selection._tasks import Outcome, Task
from skmlp.neural_network._fit.checkpoint import MemoryCheckpoint
from skmlp.neural_network._packs.packed_fit import FitJob, fit_jobs
from skmlp.training.run import ignore_progress


@dataclass(frozen=True)
class Evaluator:
    """Fits and scores tasks; every worker receives a copy.

    Parameters
    ----------
    X, y, scorer, fit_params, score_params, return_train_score, return_estimator, \
error_score, verbose
        As in scikit-learn's `_fit_and_score`.
    store : OutcomeStore or None
        Stores outcomes on the disk and returns the outcomes of an interrupted search.
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

    def evaluate_alone(self, task: Task) -> Outcome:
        """Fit and score one task with scikit-learn's function."""
        stored = self._read_outcomes()
        if task.number in stored:
            return stored[task.number]
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
        outcome["packed"] = 1
        self._write_outcomes({task.number: outcome})
        return outcome

    def evaluate_in_packs(
        self, tasks: list[Task], on_epochs: Callable[[int], None] = ignore_progress
    ) -> list[Outcome]:
        """Fit tasks that end in networks in packs and score each of them.

        Parameters
        ----------
        tasks : list of Task
            Entries are replaced by tasks without an estimator as soon as they are
            scored, because fitted networks need more memory than their scores.
        on_epochs : callable
            Progress callback.

        Returns
        -------
        outcomes : list of dict
            In the order of the tasks.
        """
        stored = self._read_outcomes()
        if all(task.number in stored for task in tasks):
            return [stored[task.number] for task in tasks]
        folds: dict[tuple[int, bool], FoldData] = {}

        def make_jobs() -> Iterator[FitJob]:
            for index, task in enumerate(tasks):
                key = data_key(task)
                if key not in folds:
                    folds[key] = FoldData(
                        self.X, self.y, task, self.fit_params, self.score_params
                    )
                job = folds[key].make_job(task, index)
                if task.stages is not None:
                    job.checkpoint = MemoryCheckpoint(task.stages)
                job.skip_training = task.number in stored
                job.repeatable = self.store is not None
                yield job

        outcomes: dict[int, Outcome] = {}  # by the index in `tasks`
        pack: dict[int, Outcome] = {}  # by the number of the task
        for job in fit_jobs(make_jobs(), on_epochs):
            task = tasks[job.index]
            if job.skip_training:
                outcomes[job.index] = stored[task.number]
                continue
            if job.interrupted:  # by Ctrl-C; a half-trained network has no score
                raise KeyboardInterrupt
            outcome = self._score(task, job, folds[data_key(task)])
            outcomes[job.index] = pack[task.number] = outcome
            if len(pack) == job.pack_size:  # the pack is complete
                self._write_outcomes(pack)
                pack = {}
            if not self.return_estimator:
                tasks[job.index] = task._replace(estimator=None, stages=None)
                del job, task
        return [outcomes[index] for index in range(len(tasks))]

    def _read_outcomes(self) -> dict[int, Outcome]:
        """Return the stored outcomes by the numbers of their tasks."""
        return {} if self.store is None else self.store.read()

    def _write_outcomes(self, outcomes: dict[int, Outcome]) -> None:
        """Store the outcomes of one pack, if there is a store."""
        if self.store is not None:
            self.store.write(outcomes)

    def _score(self, task: Task, job: FitJob, fold: FoldData) -> Outcome:
        """Return the outcome of a fitted job, or of its error."""
        outcome: Outcome = {
            "fit_error": None,
            "n_test_samples": len(task.test),
            "fit_time": job.seconds,
            "score_time": 0.0,
            "packed": job.pack_size,
        }
        if self.return_estimator:
            outcome["estimator"] = task.estimator
        if job.checkpoint is not None:
            outcome["stages"] = job.checkpoint.stages
        if job.error is not None:
            if self.error_score == "raise":
                raise job.error
            outcome["fit_error"] = "".join(format_exception(job.error))
        scored = {"test_scores": fold.test}
        if self.return_train_score:
            scored["train_scores"] = fold.train
        for name, (X, y, params) in scored.items():
            if job.error is not None:
                outcome[name] = self._scores_of_error()
                continue
            start = time.perf_counter()
            outcome[name] = score_estimator(
                task.estimator, X, y, self.scorer, params, self.error_score
            )
            if name == "test_scores":
                outcome["score_time"] = time.perf_counter() - start
        return outcome

    def _scores_of_error(self) -> Any:
        """Return the error score, by the names of the metrics if there are several."""
        metrics = getattr(self.scorer, "_scorers", None)
        if metrics is None:
            return self.error_score
        return dict.fromkeys(metrics, self.error_score)
