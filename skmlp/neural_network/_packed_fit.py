"""Many estimators fitted at once: as packs where they can be, else one by one."""

import os
import time
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from skmlp.neural_network._network import BaseNetwork, Plan
from skmlp.neural_network._sample import Sample
from skmlp.training.modules import widest_layer
from skmlp.training.pack import Member, pack_key, train_together
from skmlp.training.threads import multiply_adds, threads_for

# Above this many multiplications in a step of one member its arithmetic costs more than
# the calls around it, and a pack saves nothing.
_WORTH_PACKING = 4_000_000

# Share of the free memory that one pack may take.
_SHARE_OF_MEMORY = 0.2

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

    Attributes
    ----------
    error : Exception or None
        What `fit` would have raised.
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
    error: Exception | None = None
    seconds: float = 0.0
    packed: int = 1
    _checked: Any = field(default=None, repr=False)


def fit_jobs(jobs: Sequence[FitJob]) -> None:
    """Fit the estimators of all jobs; errors end up in the jobs."""
    samples: dict[Hashable, tuple[BaseNetwork, Sample, Sample | None]] = {}
    packs: dict[Hashable, list[tuple[FitJob, Plan]]] = defaultdict(list)
    for job in jobs:
        start = time.perf_counter()
        if not isinstance(job.estimator, BaseNetwork) or _has_callbacks(job.estimator):
            _fit_alone(job)
            continue
        try:
            plan = _plan(job, samples)
        except Exception as error:  # noqa: BLE001  # the search decides what to do
            job.error = error
            continue
        finally:
            job.seconds = time.perf_counter() - start
        member = Member(plan.net, plan.train, plan.valid, plan.epochs)
        key = pack_key(member) if job.estimator.solver != "lbfgs" else None
        work = _work(plan)
        if key is None or work > _WORTH_PACKING:
            key = id(job)
        packs[key].append((job, plan))
    for pack in packs.values():
        size = _largest_pack(pack[0][1])
        for first in range(0, len(pack), size):
            _fit_pack(pack[first : first + size])


def _has_callbacks(estimator: Any) -> bool:
    """Whether callbacks of scikit-learn's want to follow the fit."""
    return bool(getattr(estimator, "_skl_callbacks", ()))


def _fit_alone(job: FitJob) -> None:
    """Fit as anybody would."""
    start = time.perf_counter()
    try:
        job.estimator.fit(job.X, job.y, **job.params)
    except Exception as error:  # noqa: BLE001  # the search decides what to do
        job.error = error
    job.seconds = time.perf_counter() - start


def _plan(
    job: FitJob, samples: dict[Hashable, tuple[BaseNetwork, Sample, Sample | None]]
) -> Plan:
    """Check a job, its rows only if no job before had the same, and build its net."""
    estimator, params = job.estimator, dict(job.params)
    estimator._validate_params()
    X_val, y_val = params.pop("X_val", None), params.pop("y_val", None)
    estimator._check_together(X_val, y_val, False)
    of_data = tuple(repr(getattr(estimator, name, None)) for name in _OF_DATA)
    key = (job.data, type(estimator), of_data)
    if key not in samples:
        sample = estimator._check_sample(job.X, job.y, **_weights(params), reset=True)
        valid = None if X_val is None else estimator._check_validation(X_val, y_val)
        samples[key] = estimator, sample, valid
    first, sample, valid = samples[key]
    known = estimator.get_params(deep=False)
    for name, value in vars(first).items():
        if name not in known and name not in _OF_FIT:
            setattr(estimator, name, value)
    job._checked = sample if valid is None else (sample, valid)
    return estimator._plan(sample, valid)


# What `_keep` sets, and no estimator may take over from another.
_OF_FIT = frozenset({"net_", "_monitor", "history_", "callbacks_"})


def _weights(params: dict[str, Any]) -> dict[str, Any]:
    """Sample weights as the check takes them; other arguments of fit are refused."""
    params = {"sample_weight": None} | params
    if unknown := set(params) - {"sample_weight"}:
        raise TypeError(f"fit() got an unexpected keyword argument {unknown.pop()!r}")
    return params


def _work(plan: Plan) -> int:
    """Multiplications in one step."""
    n_features = plan.train.rows.X.shape[1]
    return multiply_adds(plan.net.module_, n_features) * plan.train.batch_size


def _largest_pack(plan: Plan) -> int:
    """Return how many members like this one fit into memory together."""
    values, rows = plan.net.flat_.values, plan.train.rows
    # Parameters, gradients, two moments, best weights; a batch with its activations and
    # their gradients; an epoch's order and weights of rows.
    widest = widest_layer(plan.net.module_, rows.X.shape[1])
    numbers = 6 * len(values) + 4 * plan.train.batch_size * widest + 4 * len(rows)
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, int(_SHARE_OF_MEMORY * free / (8 * numbers)))


def _fit_pack(pack: Sequence[tuple[FitJob, Plan]]) -> None:
    """Train nets together, or a single one alone, and keep what came of them."""
    start = time.perf_counter()
    if len(pack) == 1:
        ((job, plan),) = pack
        try:
            job.estimator._run(plan)
        except Exception as error:  # noqa: BLE001  # the search decides what to do
            job.error = error
    else:
        members = [Member(p.net, p.train, p.valid, p.epochs) for _, p in pack]
        with threads_for(_work(pack[0][1]) * len(pack)):
            train_together(members)
        for (job, plan), member in zip(pack, members, strict=True):
            try:
                if member.error is not None:
                    job.estimator._refuse_divergence(plan.train, member.error)
                job.estimator._judge(plan)
            except ValueError as error:
                job.error = error
    share = (time.perf_counter() - start) / len(pack)
    for job, plan in pack:
        job.seconds += share
        job.packed = len(pack)
        if job.error is None:
            job.estimator._keep(plan.net, plan.device, release=True)
            if job.estimator.refit_full:
                _refit(job)


def _refit(job: FitJob) -> None:
    """Train once more on all rows, as `fit` does for ``refit_full=True``."""
    checked = job._checked
    sample = checked[0].join(checked[1]) if type(checked) is tuple else checked
    try:
        job.estimator._refit(sample)
    except Exception as error:  # noqa: BLE001  # the search decides what to do
        job.error = error
