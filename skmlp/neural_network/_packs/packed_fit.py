"""Many estimators fitted at once: as packs where they can be, else one by one."""

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sklearn.utils import gen_even_slices

from skmlp._sklearn_compat import has_callbacks
from skmlp.neural_network._base.network import BaseNetwork, Plan
from skmlp.neural_network._fit.checkpoint import FitState
from skmlp.neural_network._fit.progress import print_line, prints_line, training_shown
from skmlp.neural_network._fit.sample import FitData
from skmlp.neural_network._packs.pack_size import (
    choose_pack_size,
    group_by_width,
    max_pack_size,
    memory_budget,
    pack_thread_count,
)
from skmlp.training.compute.threads import single_threaded
from skmlp.training.packs.pack import PackMember, pack_key, train_pack

# Parameters that decide how rows and targets are checked and encoded.
_OF_DATA = ("loss", "class_weight", "image_shape", "augmentation")


@dataclass
class FitJob:
    """One estimator to be fitted, and what becomes of it.

    Parameters
    ----------
    estimator : BaseNetwork
        Not fitted yet; fitted in place.
    X, y : object
        As `fit` takes them.
    params : dict
        Further arguments of `fit`.
    data : hashable
        Equal for jobs with the same X, y and params, which are then checked once.
    number : int
        For the caller, to tell jobs by.
    finished : bool
        Whether its outcome is known. It has its place in a pack, so that packs are as
        they would be without it, but is not trained.
    repeatable : bool
        Whether a later call has to train the same networks together.
    state : FitState or None
        Where the fit goes on from, and where it leaves its end.

    Attributes
    ----------
    error : Exception or None
        What `fit` would have raised. A job that comes with one is not fitted.
    seconds : float
        Time it took; an equal share for every member of a pack.
    packed : int
        Number of members trained together with it, itself included.
    """

    estimator: Any
    X: Any
    y: Any
    params: dict[str, Any]
    data: Hashable
    number: int = 0
    finished: bool = False
    repeatable: bool = False
    state: FitState | None = None
    error: Exception | None = None
    seconds: float = 0.0
    packed: int = 1
    _checked: Any = field(default=None, repr=False)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended its training."""
        net = vars(self.estimator).get("net_")
        return net is not None and net.interrupted_


class _Checked:
    """What jobs have in common that need be checked but once.

    Attributes
    ----------
    params : dict of type to dict
        For each class the parameters of the estimator that was checked last.
    rows : dict of hashable to tuple
        Learnt attributes, rows to train on and to validate on.
    """

    def __init__(self) -> None:
        self.params: dict[type, dict[str, Any]] = {}
        self.rows: dict[Hashable, tuple[dict[str, Any], FitData, FitData | None]] = {}

    def check_params(self, estimator: Any) -> None:
        """Check parameters, unless they are those that were checked last."""
        params = estimator.get_params(deep=False)
        known = self.params.get(type(estimator), {})
        if any(name not in known or known[name] is not v for name, v in params.items()):
            estimator._validate_params()
            self.params[type(estimator)] = params


def fit_jobs(
    jobs: Iterable[FitJob], advance: Callable[[int], None] = lambda epochs: None
) -> Iterator[FitJob]:
    """Fit the estimators of all jobs; yield each job when it is done, in any order.

    Errors end up in the jobs. Networks wait for others to be packed with only as long
    as memory allows, so `jobs` may be many more than fit into it. `advance` is told of
    epochs as they end or are left out: ``max_iter`` altogether for every job.
    """
    checked = _Checked()
    waiting: dict[Hashable, list[tuple[FitJob, Plan]]] = {}
    # Of a pack, and bytes of all that wait, by the memory there was when it began.
    limits: dict[Hashable, tuple[int, float]] = {}
    for job in jobs:
        alone = not _can_be_planned(job.estimator)
        if alone and job.error is None and not job.finished:
            _fit_alone(job)
        if alone or job.error is not None:
            advance(_epochs(job))
            yield job
            continue
        start = time.perf_counter()
        try:
            plan = _plan(job, checked)
        except Exception as error:  # noqa: BLE001  # the caller decides what to do
            job.error = error
            advance(_epochs(job))
            yield job
            continue
        finally:
            job.seconds += time.perf_counter() - start
        key = pack_key(PackMember(plan.net, plan.train, plan.valid, plan.epochs))
        if key is None:
            yield from _fit_pack([(job, plan)], advance)
            continue
        if key not in waiting:
            waiting[key] = []
            limits[key] = max_pack_size(plan), memory_budget(plan.device)
        largest, room = limits[key]
        waiting[key].append((job, plan))
        if len(waiting[key]) >= largest:
            yield from _fit_packs(key, waiting.pop(key), advance)
        while sum(_bytes_waiting(p) for p in waiting.values()) > room:
            biggest = max(waiting, key=lambda k: _bytes_waiting(waiting[k]))
            yield from _fit_packs(biggest, waiting.pop(biggest), advance)
    while waiting:
        yield from _fit_packs(*waiting.popitem(), advance)


def _can_be_planned(estimator: Any) -> bool:
    """Whether it is a network that nothing but its own fit follows."""
    if not isinstance(estimator, BaseNetwork) or estimator.solver == "lbfgs":
        return False
    if estimator.checkpoint is not None:
        return False
    return not has_callbacks(estimator)


def _epochs(job: FitJob) -> int:
    """Epochs of a job that may not be valid."""
    epochs = getattr(job.estimator, "max_iter", 0)
    return epochs if isinstance(epochs, int) else 0


def _fit_alone(job: FitJob) -> None:
    """Fit as anybody would."""
    start = time.perf_counter()
    try:
        job.estimator.fit(job.X, job.y, **job.params)
    except Exception as error:  # noqa: BLE001  # the caller decides what to do
        job.error = error
    job.seconds += time.perf_counter() - start


def _plan(job: FitJob, checked: _Checked) -> Plan:
    """Check a job, as far as none before it was the same, and build its net."""
    estimator, params = job.estimator, dict(job.params)
    checked.check_params(estimator)
    X_val, y_val = params.pop("X_val", None), params.pop("y_val", None)
    estimator._check_together(X_val, y_val, False)
    of_data = tuple(repr(getattr(estimator, name, None)) for name in _OF_DATA)
    key = (job.data, type(estimator), of_data)
    if key not in checked.rows:
        before = set(vars(estimator))
        sample = estimator._check_sample(job.X, job.y, **_weights(params), reset=True)
        sample = sample._replace(tensors={})
        valid = None if X_val is None else estimator._check_validation(X_val, y_val)
        learned = {k: v for k, v in vars(estimator).items() if k not in before}
        checked.rows[key] = learned, sample, valid
    learned, sample, valid = checked.rows[key]
    vars(estimator).update(learned)
    job._checked = sample if valid is None else (sample, valid)
    return estimator._plan(sample, valid, state=job.state)


def _weights(params: dict[str, Any]) -> dict[str, Any]:
    """Sample weights as the check takes them; other arguments of fit are refused."""
    params = {"sample_weight": None} | params
    if unknown := set(params) - {"sample_weight"}:
        raise TypeError(f"fit() got an unexpected keyword argument {unknown.pop()!r}")
    return params


def _bytes_waiting(pack: Sequence[tuple[FitJob, Plan]]) -> int:
    """Bytes of the parameters and gradients of nets that wait for their pack."""
    values = pack[0][1].net.flat_.values
    return 2 * len(pack) * values.numel() * values.element_size()


def _fit_packs(
    key: Hashable,
    waiting: Sequence[tuple[FitJob, Plan]],
    advance: Callable[[int], None],
) -> Iterator[FitJob]:
    """Divide what waited into packs of a good size, equal ones, and train these."""
    repeatable = any(job.repeatable for job, _ in waiting)
    for places in group_by_width([plan for _, plan in waiting]):
        alike = [waiting[i] for i in places]
        size = choose_pack_size(
            key, [plan for _, plan in alike], measured=not repeatable
        )
        for part in gen_even_slices(len(alike), -(-len(alike) // size)):
            yield from _fit_pack(alike[part], advance)


def _fit_pack(
    pack: Sequence[tuple[FitJob, Plan]], advance: Callable[[int], None]
) -> Iterator[FitJob]:
    """Train nets together, or a single one alone, and keep what came of them."""
    for job, plan in pack:
        if job.finished:
            advance(plan.epochs)
            yield job
    pack = [(job, plan) for job, plan in pack if not job.finished]
    start = time.perf_counter()
    if not pack:
        return
    if len(pack) == 1:
        ((job, plan),) = pack
        try:
            job.estimator._run(plan, advance)
        except Exception as error:  # noqa: BLE001  # the caller decides what to do
            job.error = error
    else:
        members = [
            PackMember(p.net, p.train, p.valid, p.epochs, p.stage) for _, p in pack
        ]
        n_threads = pack_thread_count(pack[-1][1], len(pack))
        shown = training_shown(
            "bar" if any(job.estimator.verbose == "bar" for job, _ in pack) else False,
            f"{len(pack)} networks",
            [plan.net for _, plan in pack],
            sum(plan.epochs for _, plan in pack),
            advance,
        )
        try:
            with single_threaded(), shown as ended:
                train_pack(members, ended, n_threads)
        except Exception:  # noqa: BLE001  # of one of them: which, they show alone
            for job, _ in pack:
                _fit_alone(job)
                advance(_epochs(job))
                yield job
            return
        for (job, plan), member in zip(pack, members, strict=True):
            try:
                if member.error is not None:
                    job.estimator._refuse_divergence(plan.train, member.error)
                job.estimator._judge(plan)
            except Exception as error:  # noqa: BLE001  # a warning may be an error
                job.error = error
    advance(sum(plan.epochs - plan.net.epochs_ for _, plan in pack))
    share = (time.perf_counter() - start) / len(pack)
    for job, plan in pack:
        job.seconds += share
        job.packed = len(pack)
        if job.error is None:
            job.estimator._keep(plan.net, plan.device, release=True)
            if job.estimator.refit_full:
                _refit(job)
        if job.error is None and prints_line(job.estimator.verbose):
            print_line(job.estimator, job.seconds)
        yield job


def _refit(job: FitJob) -> None:
    """Train once more on all rows, as `fit` does for ``refit_full=True``."""
    checked = job._checked
    start = time.perf_counter()
    sample = checked[0].join(checked[1]) if type(checked) is tuple else checked
    try:
        job.estimator._refit(sample, job.state)
    except Exception as error:  # noqa: BLE001  # the caller decides what to do
        job.error = error
    job.seconds += time.perf_counter() - start
