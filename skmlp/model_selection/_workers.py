"""Distribute tasks to workers, and return the outcomes in the order of the tasks.

Every worker receives an equal number of the tasks that end in a known network (see
``_known_classes``) and trains their networks in packs. Each of the other tasks is a
separate joblib job.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from numbers import Number
from typing import Any

import joblib
from sklearn.utils.parallel import Parallel, delayed

from skmlp.model_selection._evaluation import TaskEvaluator
from skmlp.model_selection._tasks import Outcome, Task
from skmlp.neural_network._fit.progress import SCREEN
from skmlp.neural_network._known_classes import (
    describe_override,
    ends_in_known_network,
)
from skmlp.neural_network._packs.fit_job import count_max_epochs
from skmlp.training.compute.devices import device_of_job
from skmlp.training.run import ignore_progress


def run_tasks(
    tasks: Iterable[Task],
    evaluator: TaskEvaluator,
    n_jobs: int | None,
    pre_dispatch: int | str,
) -> list[Outcome]:
    """Fit and score all tasks; return the outcomes in the order of the tasks.

    With `verbose`, print how many fits were trained in packs, and why the others were
    not.
    """
    _check_error_score(evaluator.error_score)
    # The list has no name here, which would keep every fitted network in memory.
    outcomes = _distribute(
        [task._replace(number=i) for i, task in enumerate(tasks)],
        evaluator,
        n_jobs,
        pre_dispatch,
    )
    if evaluator.verbose > 0:
        _print_packs(outcomes)
    return outcomes


def _distribute(
    tasks: list[Task],
    evaluator: TaskEvaluator,
    n_jobs: int | None,
    pre_dispatch: int | str,
) -> list[Outcome]:
    """Distribute the tasks to workers, and return the outcomes in their order."""
    network_numbers = [t.number for t in tasks if ends_in_known_network(t.estimator)]
    other_numbers = sorted(set(range(len(tasks))) - set(network_numbers))
    if evaluator.verbose > 0:
        _print_overrides([tasks[number] for number in other_numbers])
    n_workers = min(joblib.effective_n_jobs(n_jobs), len(network_numbers))
    if n_workers == 1 and not other_numbers:
        # `tasks` itself is passed, because `evaluate_in_packs` removes scored networks
        # from it. Another list of the tasks would keep the networks in memory.
        with _show_progress(tasks, evaluator.verbose) as progress_callback:
            return evaluator.evaluate_in_packs(tasks, progress_callback)

    # The tasks are dealt to the workers in turn. The folds of a candidate have about
    # the same cost, so all workers have about the same amount of work.
    numbers_by_worker = [network_numbers[i::n_workers] for i in range(n_workers)]
    outcomes = evaluator.read_outcomes() if other_numbers else {}
    other_numbers = [number for number in other_numbers if number not in outcomes]
    job_arguments: list[tuple[Callable[..., Any], Any]] = [
        (evaluator.evaluate_in_packs, [tasks[number] for number in numbers])
        for numbers in numbers_by_worker
    ]
    job_arguments += [(evaluator.evaluate_alone, tasks[i]) for i in other_numbers]
    n_at_once = min(joblib.effective_n_jobs(n_jobs), len(job_arguments))
    calls = [
        delayed(_evaluate_on_device_of_job)(i, n_at_once, *arguments)
        for i, arguments in enumerate(job_arguments)
    ]
    results = Parallel(n_jobs=n_jobs, pre_dispatch=pre_dispatch)(calls)

    outcomes.update(zip(other_numbers, results[n_workers:], strict=True))
    for numbers, worker_outcomes in zip(
        numbers_by_worker, results[:n_workers], strict=True
    ):
        outcomes.update(zip(numbers, worker_outcomes, strict=True))
    return [outcomes[number] for number in range(len(tasks))]


def _evaluate_on_device_of_job(
    number: int, n_at_once: int, evaluate: Callable[[Any], Any], tasks: Any
) -> Any:
    """Evaluate the tasks of one of the joblib jobs on its CUDA device."""
    with device_of_job(number, n_at_once):
        return evaluate(tasks)


def _print_packs(outcomes: list[Outcome]) -> None:
    """Print how many fits were trained in packs, and why the others were not."""
    n_packed = sum(outcome["packed"] > 1 for outcome in outcomes)
    others = ", the others one by one" if n_packed < len(outcomes) else ""
    print(  # noqa: T201
        f"{n_packed} of {len(outcomes)} fits were trained in packs{others}"
    )
    # Outcomes in the checkpoint of an earlier version may have no reason.
    reasons = {outcome.get("reason") for outcome in outcomes} - {None}
    for reason in sorted(map(str, reasons)):
        print(f"Trained one by one: {reason}")  # noqa: T201


def _print_overrides(tasks: Iterable[Task]) -> None:
    """Print which overridden methods prevent packs, each once."""
    overrides = {describe_override(task.estimator) for task in tasks} - {None}
    for override in sorted(map(str, overrides)):
        print(f"{override}: fitted and scored one by one by its own methods")  # noqa: T201


def _check_error_score(error_score: Any) -> None:
    """Raise a ValueError if `error_score` is invalid, before anything is fitted."""
    if error_score != "raise" and not isinstance(error_score, Number):
        raise ValueError(
            "error_score must be the string 'raise' or a numeric value, "
            f"got {error_score!r}."
        )


@contextmanager
def _show_progress(tasks: list[Task], verbose: int) -> Iterator[Callable[[int], None]]:
    """Show finished epochs and the time left in a terminal if `verbose` is positive."""
    if verbose <= 0:
        yield ignore_progress
        return
    n_epochs = sum(count_max_epochs(task.estimator) for task in tasks)
    with SCREEN.row(f"{len(tasks)} fits", n_epochs) as update:
        yield lambda ended: update(ended, "")
