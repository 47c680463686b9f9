"""Fit many estimators: in packs if possible, otherwise one by one.

A fit is first a `FitJob`. Its preparation adds a `TrainingRun`; `PreparedJob` holds
both. Runs with equal `pack_key` can train in one pack. In a pack, a run is called a
member.

`fit_jobs` lists the rules that decide which networks train in packs.
"""

import time
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sklearn.utils import gen_even_slices

from skmlp._sklearn_compat import has_callbacks
from skmlp._warnings import warn
from skmlp.neural_network._fit.progress import print_line, prints_line, show_progress
from skmlp.neural_network._known_classes import is_known_network
from skmlp.neural_network._packs.fit_job import FitJob
from skmlp.neural_network._packs.pack_size import (
    choose_pack_size,
    group_by_width,
    max_pack_size,
    memory_budget,
    pack_thread_count,
)
from skmlp.neural_network._packs.preparation import Preparation, PreparedJob
from skmlp.training.compute.ambient_modes import in_default_modes
from skmlp.training.compute.threads import single_threaded
from skmlp.training.packs.obstacles import find_obstacle
from skmlp.training.packs.pack import pack_key, train_pack
from skmlp.training.run import ProgressCallback, ignore_progress


def fit_jobs(
    jobs: Iterable[FitJob], progress_callback: ProgressCallback = ignore_progress
) -> Iterator[FitJob]:
    """Fit the estimators of all jobs; yield each job when its fit has ended.

    The jobs of a pack are yielded one after the other. An exception of a fit is stored
    in `job.error`. Networks wait until their pack is complete or the memory for waiting
    networks is used up. So `jobs` may be a generator of more networks than fit into
    memory.

    Networks train in packs according to these rules:

    - Their fit has separate steps: preparation, training and end
      (`_find_whole_fit`). Other estimators are fitted by their own `fit`.
    - Their `pack_key` is equal. Networks without a key are trained one by one.
    - The widths of their layers are similar (`group_by_width`).
    - A pack is faster than single networks (`choose_pack_size`).

    Parameters
    ----------
    jobs : iterable of FitJob
        A generator is read step by step, while earlier jobs are trained.
    progress_callback : callable
        Called with the number of epochs that were trained or skipped at an early end.
        The sum for a job is its `max_iter`.

    Yields
    ------
    job : FitJob
    """
    preparation = Preparation()
    waiting: dict[Hashable, list[PreparedJob]] = {}
    limits: dict[Hashable, _Limits] = {}
    for job in jobs:
        prepared = _prepare_or_fit_alone(job, preparation)
        if prepared is None:
            progress_callback(job.max_epochs)
            yield job
            continue
        network_key = job.estimator._network_key()
        key = pack_key(prepared.run, network_key)
        if key is None:
            job.reason = find_obstacle(prepared.run, network_key)
            yield from _fit_pack(deque([prepared]), progress_callback)
            continue
        if key not in waiting:
            waiting[key] = []
            limits[key] = _Limits(
                max_pack_size(prepared.run), memory_budget(prepared.run.device)
            )
        waiting[key].append(prepared)
        if len(waiting[key]) >= limits[key].pack_size:
            yield from _fit_waiting(key, waiting.pop(key), progress_callback)
        # The limit is for all waiting networks. The largest group is trained first.
        while sum(map(_count_bytes, waiting.values())) > limits[key].waiting_bytes:
            largest = max(waiting, key=lambda k: _count_bytes(waiting[k]))
            yield from _fit_waiting(largest, waiting.pop(largest), progress_callback)
    while waiting:
        yield from _fit_waiting(*waiting.popitem(), progress_callback)


class _Limits(NamedTuple):
    """Largest number of networks in a pack, and of bytes of all waiting networks.

    Both are computed from the free memory when a network begins to wait and no other
    network with its pack key is waiting. `waiting_bytes` is a limit for the waiting
    networks of all keys together.
    """

    pack_size: int
    waiting_bytes: float


def _prepare_or_fit_alone(job: FitJob, preparation: Preparation) -> PreparedJob | None:
    """Prepare the network of a job; return None if the job has ended."""
    if job.error is not None:
        return None
    job.reason = _find_whole_fit(job.estimator)
    if job.reason is not None:
        job.postponed = not job.may_train_alone and not job.skip_training
        if not job.postponed and not job.skip_training:
            job.fit_alone()
        return None
    with job.record_time_and_error():
        return preparation.prepare(job)
    return None  # `prepare` failed, and the error is in the job


def _find_whole_fit(estimator: Any) -> str | None:
    """Return why preparation, training and end cannot be called separately, or None."""
    if not is_known_network(estimator):
        return f"packs cannot train {type(estimator).__name__}"
    if estimator.solver == "lbfgs":
        return "packs have no update of solver='lbfgs'"
    if estimator.checkpoint is not None:
        return "packs have no checkpoint"
    return "packs have no callbacks" if has_callbacks(estimator) else None


def _count_bytes(waiting: Sequence[PreparedJob]) -> int:
    """Return the bytes of parameters and gradients of waiting networks of one key."""
    values = waiting[0].run.flat.values
    return 2 * len(waiting) * values.numel() * values.element_size()


def _fit_waiting(
    key: Hashable, waiting: Sequence[PreparedJob], progress_callback: ProgressCallback
) -> Iterator[FitJob]:
    """Divide networks with equal pack key into packs of equal size; fit the packs."""
    packs = _divide_into_packs(key, waiting)
    del waiting  # `_fit_pack` drops the networks that have been scored
    while packs:
        yield from _fit_pack(packs.popleft(), progress_callback)


def _divide_into_packs(
    key: Hashable, waiting: Sequence[PreparedJob]
) -> deque[deque[PreparedJob]]:
    """Divide networks with equal pack key into packs of about equal size."""
    packs: deque[deque[PreparedJob]] = deque()
    repeatable = any(prepared.job.repeatable for prepared in waiting)
    for positions in group_by_width([prepared.run for prepared in waiting]):
        group = [waiting[i] for i in positions]
        runs = [prepared.run for prepared in group]
        size = choose_pack_size(key, runs, may_measure=not repeatable)
        reason = "packs of networks of this size are not faster"
        if size > 1 or len(group) == 1:
            reason = "no other network is left to share a pack with"
        for positions_of_pack in gen_even_slices(len(group), -(-len(group) // size)):
            pack = deque(group[positions_of_pack])
            if len(pack) == 1:
                pack[0].job.reason = reason
            packs.append(pack)
    return packs


def _fit_pack(
    pack: deque[PreparedJob], progress_callback: ProgressCallback
) -> Iterator[FitJob]:
    """Train the networks of a pack, and complete their fits.

    The jobs with `skip_training` are only yielded. A job is removed from `pack` before
    it is yielded. So the caller decides how long the fitted network exists.
    """
    for _ in range(len(pack)):
        prepared = pack.popleft()
        if not prepared.job.skip_training:
            pack.append(prepared)
            continue
        progress_callback(prepared.run.max_epochs)
        yield prepared.job
    if not pack:
        return
    if len(pack) == 1 and not pack[0].job.may_train_alone:
        job, _, run = pack.popleft()
        job.postponed = True
        progress_callback(run.max_epochs)
        yield job
        return
    start = time.perf_counter()
    try:
        _train_networks(pack, progress_callback)
    except Exception as error:  # noqa: BLE001
        if len(pack) == 1:
            pack[0].job.error = error
        else:
            # So that only the fit that fails has an error.
            yield from _fit_one_by_one(pack, error, progress_callback)
            return
    n_skipped_epochs = sum(run.max_epochs - run.net.epochs_ for _, _, run in pack)
    progress_callback(n_skipped_epochs)
    pack_size = len(pack)
    seconds = (time.perf_counter() - start) / pack_size
    while pack:
        job, inputs, run = pack.popleft()
        job.seconds += seconds
        job.pack_size = pack_size
        if job.error is None:
            with job.record_time_and_error():
                job.estimator._finish_fit(run, inputs, checkpoint=job.checkpoint)
        if job.error is None and prints_line(job.estimator.verbose):
            print_line(job.estimator, job.seconds)
        yield job


@in_default_modes
def _train_networks(
    pack: Sequence[PreparedJob], progress_callback: ProgressCallback
) -> None:
    """Train the runs of a pack until all have ended."""
    if len(pack) == 1:
        job, _, run = pack[0]
        job.estimator._train(run, progress_callback)
        return
    runs = [prepared.run for prepared in pack]
    shows_bar = any(prepared.job.estimator.verbose == "bar" for prepared in pack)
    progress = show_progress(
        "bar" if shows_bar else False, f"{len(pack)} networks", runs, progress_callback
    )
    # Before `single_threaded`, because it reads the number of torch's threads.
    n_threads = pack_thread_count(runs[-1], len(runs))
    with single_threaded(), progress as show_epochs:
        train_pack(runs, show_epochs, n_threads)


def _fit_one_by_one(
    pack: Sequence[PreparedJob], error: Exception, progress_callback: ProgressCallback
) -> Iterator[FitJob]:
    """Warn that the training of a pack failed, and call `fit` of every estimator."""
    warn(
        f"A pack of {len(pack)} networks failed with {type(error).__name__}: {error}. "
        "Its networks are fitted one by one.",
        RuntimeWarning,
    )
    for job, _, _ in pack:
        job.reason = f"their pack failed with {type(error).__name__}"
        job.fit_alone()
        progress_callback(job.max_epochs)
        yield job
