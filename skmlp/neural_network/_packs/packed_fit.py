"""Many estimators fitted at once: in packs where possible, else one by one."""

import time
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from sklearn.utils import gen_even_slices

from skmlp._sklearn_compat import has_callbacks
from skmlp._warnings import warn
from skmlp.neural_network._fit.checkpoint import MemoryCheckpoint
from skmlp.neural_network._fit.fit_data import FitInputs
from skmlp.neural_network._fit.progress import print_line, prints_line, show_progress
from skmlp.neural_network._known_classes import is_known_network
from skmlp.neural_network._packs.pack_size import (
    choose_pack_size,
    group_by_width,
    max_pack_size,
    memory_budget,
    pack_thread_count,
)
from skmlp.training.compute.threads import single_threaded
from skmlp.training.packs.pack import pack_key, train_pack
from skmlp.training.run import ProgressCallback, TrainingRun, ignore_progress

# Parameters that decide how data are checked and encoded.
_DATA_PARAMETERS = ("loss", "class_weight", "image_shape", "augmentation")


@dataclass
class FitJob:
    """An estimator to fit, and the outcome.

    Parameters
    ----------
    estimator : estimator object
        Not fitted yet; fitted in place. Only known networks are packed; any other
        estimator is fitted by its own `fit`.
    X, y : object
        As `fit` takes them.
    params : dict
        Further arguments of `fit`.
    data : hashable
        Equal for jobs with the same X, y and params, which are then checked once.
    number : int
        Identifies the job for the caller.
    finished : bool
        Whether the caller has the outcome already. The job is not trained, but counts
        as a member, so that the other packs do not change.
    repeatable : bool
        Whether a later call has to train the same networks together.
    checkpoint : MemoryCheckpoint or None
        The fit continues from it and stores its end there.

    Attributes
    ----------
    error : Exception or None
        The exception that `fit` would have raised. A job that already has one is not
        fitted.
    seconds : float
        Time of the fit; members of a pack have equal parts of the pack's time.
    packed : int
        Number of networks that were trained together, this one included.
    """

    estimator: Any
    X: Any
    y: Any
    params: dict[str, Any]
    data: Hashable
    number: int = 0
    finished: bool = False
    repeatable: bool = False
    checkpoint: MemoryCheckpoint | None = None
    error: Exception | None = None
    seconds: float = 0.0
    packed: int = 1

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the training."""
        net = vars(self.estimator).get("net_")
        return net is not None and net.interrupted_

    @property
    def max_epochs(self) -> int:
        """Largest number of epochs; 0 if the parameter is not valid."""
        epochs = getattr(self.estimator, "max_iter", 0)
        return epochs if isinstance(epochs, int) else 0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Add the time of a block to the seconds, and catch its exception."""
        start = time.perf_counter()
        try:
            yield
        except Exception as error:  # noqa: BLE001  # the caller decides what to do
            self.error = error
        self.seconds += time.perf_counter() - start

    def fit_alone(self) -> None:
        """Call the estimator's own `fit`."""
        with self.measured():
            self.estimator.fit(self.X, self.y, **self.params)


class _Prepared(NamedTuple):
    """A job whose network is ready to be trained."""

    job: FitJob
    inputs: FitInputs
    run: TrainingRun


class _CheckedData(NamedTuple):
    """Checked data, and the attributes that the check gave the estimator."""

    attributes: dict[str, Any]
    inputs: FitInputs


class _Preparation:
    """Prepares jobs, and checks only once what they have in common."""

    def __init__(self) -> None:
        self._params: dict[type, dict[str, Any]] = {}  # the last that were checked
        self._data: dict[Hashable, _CheckedData] = {}

    def prepare(self, job: FitJob) -> _Prepared:
        """Check parameters and data of a job, and build its network."""
        estimator, params = job.estimator, dict(job.params)
        self._check_params(estimator)
        validation = params.pop("X_val", None), params.pop("y_val", None)
        estimator._check_parameter_combinations(*validation)
        values = tuple(repr(getattr(estimator, k, None)) for k in _DATA_PARAMETERS)
        key = (job.data, type(estimator), values)
        if key not in self._data:
            before = set(vars(estimator))
            weight = _sample_weight(params)
            inputs = estimator._check_fit_inputs(job.X, job.y, weight, *validation)
            attributes = {k: v for k, v in vars(estimator).items() if k not in before}
            self._data[key] = _CheckedData(attributes, inputs.for_several_networks())
        attributes, inputs = self._data[key]
        vars(estimator).update(attributes)
        run = estimator._prepare_training(inputs, checkpoint=job.checkpoint)
        return _Prepared(job, inputs, run)

    def _check_params(self, estimator: Any) -> None:
        """Check parameters, unless they are those of the estimator before."""
        params = estimator.get_params(deep=False)
        known = self._params.get(type(estimator), {})
        if any(name not in known or known[name] is not v for name, v in params.items()):
            estimator._validate_params()
            self._params[type(estimator)] = params


def _sample_weight(params: dict[str, Any]) -> Any:
    """Return the sample weights; other arguments of `fit` are refused."""
    if unknown := set(params) - {"sample_weight"}:
        raise TypeError(f"fit() got an unexpected keyword argument {unknown.pop()!r}")
    return params.get("sample_weight")


def fit_jobs(
    jobs: Iterable[FitJob], progress_callback: ProgressCallback = ignore_progress
) -> Iterator[FitJob]:
    """Fit the estimators of all jobs; yield each job when it is done, in any order.

    Exceptions end up in the jobs. Networks wait for others of their pack only as long
    as memory allows, so `jobs` may hold many more than fit into memory.

    Parameters
    ----------
    jobs : iterable of FitJob
        Read while others are trained.
    progress_callback : callable
        Called with numbers of epochs that ended or are left out. The numbers of a job
        add up to its ``max_iter``.

    Yields
    ------
    job : FitJob
    """
    preparation = _Preparation()
    waiting: dict[Hashable, list[_Prepared]] = {}
    limits: dict[Hashable, _Limits] = {}
    for job in jobs:
        prepared = _prepare_or_fit_alone(job, preparation)
        if prepared is None:
            progress_callback(job.max_epochs)
            yield job
            continue
        key = pack_key(prepared.run)
        if key is None:
            yield from _fit_pack([prepared], progress_callback)
            continue
        if key not in waiting:
            waiting[key] = []
            limits[key] = _Limits(
                max_pack_size(prepared.run), memory_budget(prepared.run.device)
            )
        waiting[key].append(prepared)
        if len(waiting[key]) >= limits[key].pack_size:
            yield from _fit_packs(key, waiting.pop(key), progress_callback)
        while sum(map(_bytes_waiting, waiting.values())) > limits[key].bytes_waiting:
            biggest = max(waiting, key=lambda k: _bytes_waiting(waiting[k]))
            yield from _fit_packs(biggest, waiting.pop(biggest), progress_callback)
    while waiting:
        yield from _fit_packs(*waiting.popitem(), progress_callback)


class _Limits(NamedTuple):
    """Largest pack, and largest memory of all waiting networks.

    Both follow from the free memory when the first network of a key was prepared.
    """

    pack_size: int
    bytes_waiting: float


def _prepare_or_fit_alone(job: FitJob, preparation: _Preparation) -> _Prepared | None:
    """Prepare the network of a job; return None if the job is done already."""
    if job.error is not None:
        return None
    if not _can_be_prepared(job.estimator):
        if not job.finished:
            job.fit_alone()
        return None
    with job.measured():
        return preparation.prepare(job)
    return None


def _can_be_prepared(estimator: Any) -> bool:
    """Return whether nothing but its own training depends on the fit of a network."""
    if not is_known_network(estimator) or estimator.solver == "lbfgs":
        return False
    return estimator.checkpoint is None and not has_callbacks(estimator)


def _bytes_waiting(pack: Sequence[_Prepared]) -> int:
    """Return the bytes of parameters and gradients of networks that wait."""
    values = pack[0].run.flat.values
    return 2 * len(pack) * values.numel() * values.element_size()


def _fit_packs(
    key: Hashable, waiting: Sequence[_Prepared], progress_callback: ProgressCallback
) -> Iterator[FitJob]:
    """Divide networks of one key into packs of equal size and train the packs."""
    repeatable = any(prepared.job.repeatable for prepared in waiting)
    for positions in group_by_width([prepared.run for prepared in waiting]):
        group = [waiting[i] for i in positions]
        runs = [prepared.run for prepared in group]
        size = choose_pack_size(key, runs, may_measure=not repeatable)
        for pack in gen_even_slices(len(group), -(-len(group) // size)):
            yield from _fit_pack(group[pack], progress_callback)


def _fit_pack(
    pack: Sequence[_Prepared], progress_callback: ProgressCallback
) -> Iterator[FitJob]:
    """Train networks together, or a single one alone, and finish their fits."""
    for job, _, run in pack:
        if job.finished:
            progress_callback(run.max_epochs)
            yield job
    pack = [prepared for prepared in pack if not prepared.job.finished]
    if not pack:
        return
    start = time.perf_counter()
    try:
        _train(pack, progress_callback)
    except Exception as error:  # noqa: BLE001  # each fit shows which one failed
        if len(pack) == 1:
            pack[0].job.error = error
        else:
            yield from _fit_one_by_one(pack, error, progress_callback)
            return
    progress_callback(sum(run.max_epochs - run.net.epochs_ for _, _, run in pack))
    seconds = (time.perf_counter() - start) / len(pack)
    for job, inputs, run in pack:
        job.seconds += seconds
        job.packed = len(pack)
        if job.error is None:
            with job.measured():
                job.estimator._finish_fit(run, inputs, checkpoint=job.checkpoint)
        if job.error is None and prints_line(job.estimator.verbose):
            print_line(job.estimator, job.seconds)
        yield job


def _train(pack: Sequence[_Prepared], progress_callback: ProgressCallback) -> None:
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
    with single_threaded(), progress as show_epochs:
        train_pack(runs, show_epochs, pack_thread_count(runs[-1], len(runs)))


def _fit_one_by_one(
    pack: Sequence[_Prepared], error: Exception, progress_callback: ProgressCallback
) -> Iterator[FitJob]:
    """Fit the networks of a pack that failed by their own `fit`, with a warning."""
    warn(
        f"A pack of {len(pack)} networks failed with {type(error).__name__}: {error}. "
        "Its networks are fitted one by one.",
        RuntimeWarning,
    )
    for job, _, _ in pack:
        job.fit_alone()
        progress_callback(job.max_epochs)
        yield job
