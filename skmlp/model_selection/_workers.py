"""Distribute tasks to workers, and return the outcomes in the order of the tasks.

On one machine, the tasks that end in a known network (see ``_known_classes``) are first
trained in packs by this process, because a pack uses all threads. Every worker receives
an equal number of the networks that no pack trains. On several machines or GPUs, every
worker receives an equal number of all networks and trains them in packs. Each of the
other tasks is a separate joblib job.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from numbers import Number
from typing import Any

import joblib
import torch
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

# Subclasses, such as Ray's backend, have workers on other machines.
_LOCAL_BACKENDS = (
    joblib.parallel.LokyBackend,
    joblib.parallel.MultiprocessingBackend,
    joblib.parallel.SequentialBackend,
    joblib.parallel.ThreadingBackend,
)


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
    networks = [task for task in tasks if ends_in_known_network(task.estimator)]
    network_numbers = {task.number for task in networks}
    others = [task for task in tasks if task.number not in network_numbers]
    n_tasks = len(tasks)
    # `evaluate_in_packs` removes scored networks from its list. Another list of the
    # tasks would keep the networks in memory.
    del tasks
    if evaluator.verbose > 0:
        _print_overrides(others)
    n_workers = min(joblib.effective_n_jobs(n_jobs), len(networks))
    outcomes = evaluator.read_outcomes() if others else {}
    others = [task for task in others if task.number not in outcomes]
    if networks and (n_workers == 1 or _workers_share_processor()):
        # A pack uses the threads that workers would have.
        with _show_progress(networks, evaluator.verbose) as progress_callback:
            outcomes |= evaluator.evaluate_in_packs(
                networks, progress_callback, packs_only=n_workers > 1
            )
        networks = [task for task in networks if task.number not in outcomes]
        n_workers = min(n_workers, len(networks))
    if not networks and not others:
        return [outcomes[number] for number in range(n_tasks)]

    # The tasks are dealt to the workers in turn. The folds of a candidate have about
    # the same cost, so all workers have about the same amount of work.
    job_arguments: list[tuple[Callable[..., dict[int, Outcome]], Any]] = [
        (evaluator.evaluate_in_packs, networks[i::n_workers]) for i in range(n_workers)
    ]
    job_arguments += [(evaluator.evaluate_alone, task) for task in others]
    n_at_once = min(joblib.effective_n_jobs(n_jobs), len(job_arguments))
    calls = [
        delayed(_evaluate_on_device_of_job)(i, n_at_once, *arguments)
        for i, arguments in enumerate(job_arguments)
    ]
    for of_job in Parallel(n_jobs=n_jobs, pre_dispatch=pre_dispatch)(calls):
        outcomes |= of_job
    return [outcomes[number] for number in range(n_tasks)]


def _workers_share_processor() -> bool:
    """Return whether the workers compute on this machine, and not on several GPUs."""
    backend, _ = joblib.parallel.get_active_backend()
    return type(backend) in _LOCAL_BACKENDS and torch.cuda.device_count() < 2


def _evaluate_on_device_of_job(
    number: int,
    n_at_once: int,
    evaluate: Callable[[Any], dict[int, Outcome]],
    tasks: Any,
) -> dict[int, Outcome]:
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
