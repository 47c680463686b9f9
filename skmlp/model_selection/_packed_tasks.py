"""Candidates on splits, fitted in packs and scored as scikit-learn scores them."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from numbers import Number
from traceback import format_exception
from typing import Any, NamedTuple, Protocol

import joblib
import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from skmlp._sklearn_compat import (
    check_method_params,
    fit_and_score,
    safe_indexing,
    score_estimator,
)
from skmlp.neural_network._base.network import BaseNetwork
from skmlp.neural_network._fit.checkpoint import FitState
from skmlp.neural_network._fit.progress import SCREEN, silent
from skmlp.neural_network._packs.packed_fit import FitJob, fit_jobs
from skmlp.neural_network._pipelines import (
    final_estimator,
    final_prefix,
    split_pipeline,
)
from skmlp.training.data.sources import as_source

Outcome = dict[str, Any]

# Where training stands, by the stages of a fit (see `FitState`).
Stages = dict[str, dict[str, Any]]


class Task(NamedTuple):
    """One candidate, its parameters set and as they were given, on one split."""

    estimator: Any
    parameters: dict[str, Any] | None
    split: int
    train: np.ndarray
    test: np.ndarray
    number: int = 0
    stages: Stages | None = None  # to go on from; None if the end need not be kept


class Keeper(Protocol):
    """Keeps outcomes by the numbers of their tasks; a worker gets a copy of it."""

    def read(self) -> dict[int, Outcome]:
        """Return the outcomes that were kept."""

    def keep(self, outcomes: dict[int, Outcome]) -> None:
        """Keep the outcomes of tasks that were fitted together."""


class Evaluation(NamedTuple):
    """How to fit and to score; by scikit-learn's names."""

    X: Any
    y: Any
    scorer: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]
    return_train_score: bool
    return_estimator: bool
    error_score: Any
    verbose: int
    keeper: Keeper | None = None

    def fit_and_score_foreign(self, task: Task) -> Outcome:
        """Leave what is none of our networks to scikit-learn."""
        kept = {} if self.keeper is None else self.keeper.read()
        if task.number in kept:
            return kept[task.number]
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
        if self.keeper is not None:
            self.keeper.keep({task.number: outcome})
        return outcome

    def fit_and_score(
        self, tasks: list[Task], advance: Callable[[int], None] = lambda epochs: None
    ) -> list[Outcome]:
        """Fit our networks together and score each; outcomes are in order."""
        kept = {} if self.keeper is None else self.keeper.read()
        if all(task.number in kept for task in tasks):
            return [kept[task.number] for task in tasks]
        splits: dict[int, _Split] = {}

        def jobs() -> Iterator[FitJob]:
            for number, task in enumerate(tasks):
                if task.split not in splits:
                    splits[task.split] = _Split(task, self)
                job = splits[task.split].job(task, number)
                if task.stages is not None:
                    job.state = FitState(task.stages)
                job.finished = task.number in kept
                job.repeatable = self.keeper is not None
                yield job

        outcomes: list[Any] = [None] * len(tasks)
        pack: dict[int, Outcome] = {}
        for job in fit_jobs(jobs(), advance):
            task = tasks[job.number]
            if job.finished:
                outcomes[job.number] = kept[task.number]
                continue
            if job.interrupted:  # by Ctrl-C: scores of some epochs are none
                raise KeyboardInterrupt
            outcome = self._outcome(task, job, splits[task.split])
            outcomes[job.number] = pack[task.number] = outcome
            if len(pack) == job.packed:
                if self.keeper is not None:
                    self.keeper.keep(pack)
                pack = {}
            if not self.return_estimator:
                # Many a fitted network takes more memory than its scores do.
                tasks[job.number] = task._replace(estimator=None, stages=None)
                del job, task
        return outcomes

    def _outcome(self, task: Task, job: FitJob, split: "_Split") -> Outcome:
        """Score a fitted task as scikit-learn does, or give it the error's score."""
        outcome: Outcome = {
            "fit_error": None,
            "n_test_samples": len(task.test),
            "fit_time": job.seconds,
            "score_time": 0.0,
            "packed": job.packed,
        }
        if self.return_estimator:
            outcome["estimator"] = task.estimator
        if job.state is not None:
            outcome["stages"] = job.state.stages
        parts = {"test_scores": (split.test_X, split.test_y, split.test_params)}
        if self.return_train_score:
            parts["train_scores"] = split.X, split.y, split.train_params
        if job.error is not None:
            if self.error_score == "raise":
                raise job.error
            outcome["fit_error"] = "".join(format_exception(job.error))
            names = getattr(self.scorer, "_scorers", None)
            for part in parts:
                outcome[part] = (
                    self.error_score
                    if names is None
                    else dict.fromkeys(names, self.error_score)
                )
            return outcome
        for part, (X, y, params) in parts.items():
            start = time.perf_counter()
            outcome[part] = score_estimator(
                task.estimator, X, y, self.scorer, params, self.error_score
            )
            if part == "test_scores":
                outcome["score_time"] = time.perf_counter() - start
        return outcome


class _Split:
    """Rows of one split, and what the steps before a network make of them."""

    def __init__(self, task: Task, how: Evaluation) -> None:
        X, y, train, test = as_source(how.X), how.y, task.train, task.test
        self.number = task.split
        self.X, self.test_X = safe_indexing(X, train), safe_indexing(X, test)
        self.y = self.test_y = None
        if y is not None:
            self.y, self.test_y = safe_indexing(y, train), safe_indexing(y, test)
        self.params, self.train_params, self.test_params = (
            check_method_params(X, params=params, indices=rows)
            for params, rows in (
                (how.fit_params, train),
                (how.score_params, train),
                (how.score_params, test),
            )
        )
        self._steps: dict[str, tuple[Any, Any]] = {}

    def job(self, task: Task, number: int) -> FitJob:
        """Return the fit of the task's last step, on what the steps before make."""
        estimator = task.estimator
        whole = FitJob(estimator, self.X, self.y, self.params, self.number, number)
        before, last = split_pipeline(estimator)
        if before is None:
            return whole
        prefix = final_prefix(estimator)
        own = {key.removeprefix(prefix): v for key, v in self.params.items()}
        if set(own) & set(self.params):
            # What goes to other steps, or is routed, is the Pipeline's to sort out.
            return whole
        try:
            key = joblib.hash(before)
        except Exception:  # noqa: BLE001  # a step that cannot be pickled
            key = f"number {number}"
        start = time.perf_counter()
        job = FitJob(last, None, self.y, own, (self.number, key), number)
        try:
            if key not in self._steps:
                self._steps[key] = before, before.fit_transform(self.X, self.y)
            fitted, job.X = self._steps[key]
            estimator.steps[:-1] = fitted.steps
        except Exception as error:  # noqa: BLE001  # the search decides
            job.error = error
        job.seconds = time.perf_counter() - start
        return job


def is_ours(estimator: Any) -> bool:
    """Whether it is one of our networks, or a Pipeline that ends in one."""
    return isinstance(final_estimator(estimator), BaseNetwork)


def has_epochs_to_keep(estimator: Any) -> bool:
    """Whether its fit can have a checkpoint."""
    if not is_ours(estimator):
        return False
    network = final_estimator(estimator)
    return network.solver != "lbfgs" and not network.warm_start


def run_tasks(
    tasks: Iterable[Task], how: Evaluation, n_jobs: int | None, pre_dispatch: Any
) -> list[Outcome]:
    """Fit and score all tasks, our networks in packs; outcomes are in order."""
    tasks = [task._replace(number=i) for i, task in enumerate(tasks)]
    if how.error_score != "raise" and not isinstance(how.error_score, Number):
        raise ValueError(
            "error_score must be the string 'raise' or a numeric value, "
            f"got {how.error_score!r}."
        )
    ours = [i for i, task in enumerate(tasks) if is_ours(task.estimator)]
    foreign = sorted(set(range(len(tasks))) - set(ours))
    n_shares = min(joblib.effective_n_jobs(n_jobs), len(ours))
    shares = [ours[i::n_shares] for i in range(n_shares)]
    outcomes: list[Any] = [None] * len(tasks)
    if not foreign and n_shares == 1:
        with _progress(tasks, how.verbose) as advance:
            return how.fit_and_score(tasks, advance)
    calls = [delayed(how.fit_and_score)([tasks[i] for i in share]) for share in shares]
    calls += [delayed(how.fit_and_score_foreign)(tasks[i]) for i in foreign]
    found = Parallel(n_jobs=n_jobs, pre_dispatch=pre_dispatch)(calls)
    for share, part in zip(shares, found, strict=False):
        for i, outcome in zip(share, part, strict=True):
            outcomes[i] = outcome
    for i, outcome in zip(foreign, found[len(shares) :], strict=True):
        outcomes[i] = outcome
    return outcomes


@contextmanager
def _progress(tasks: list[Task], verbose: int) -> Iterator[Callable[[int], None]]:
    """Show epochs done and time left, in a terminal and if that was asked for."""
    if verbose <= 0:
        yield silent
        return
    epochs = sum(_epochs(task.estimator) for task in tasks)
    with SCREEN.row(f"{len(tasks)} fits", epochs) as update:
        yield lambda ended: update(ended, "")


def _epochs(estimator: Any) -> int:
    """Return the epochs of a network or of a Pipeline's."""
    max_iter = final_estimator(estimator).max_iter
    return max_iter if isinstance(max_iter, int) else 0
