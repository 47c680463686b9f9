"""Members of an ensemble, trained together, in turn or in jobs."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from skmlp.neural_network._base.network import BaseNetwork
from skmlp.neural_network._fit.checkpoint import set_checkpoint
from skmlp.neural_network._packs.packed_fit import FitJob, fit_jobs
from skmlp.training.compute.threads import single_threaded


def fit_members(
    members: list[Any],
    X: Any,
    y: Any,
    fit_params: list[dict[str, Any]],
    n_jobs: int | None,
    checkpoint: str | os.PathLike[str] | None,
) -> list[Any]:
    """Train members, each with its own parameters of `fit`, and return them.

    Each has a checkpoint of its own in the folder `checkpoint`, if there is one.
    """
    if checkpoint is None:
        return _fit_members(members, X, y, fit_params, n_jobs)
    folder = Path(checkpoint)
    folder.mkdir(exist_ok=True)
    for i, member in enumerate(members):
        set_checkpoint(member, folder / f"member-{i}")
    members = _fit_members(members, X, y, fit_params, n_jobs)
    for member in members:
        set_checkpoint(member, None)
    return members


def _fit_members(
    members: list[Any],
    X: Any,
    y: Any,
    fit_params: list[dict[str, Any]],
    n_jobs: int | None,
) -> list[Any]:
    in_turn = n_jobs is None and effective_n_jobs(n_jobs) == 1
    if in_turn and all(isinstance(member, BaseNetwork) for member in members):
        return _fit_together(members, X, y, fit_params)
    threads = nullcontext if in_turn else single_threaded
    # Members in other processes share X's pages; torch takes only those it may write
    # to without a copy, and these are copied on write.
    parallel = Parallel(n_jobs, mmap_mode="c")
    with threads():
        return parallel(
            delayed(_fit_member)(member, X, y, params, threads)
            for member, params in zip(members, fit_params, strict=True)
        )


def _fit_member(
    member: Any, X: Any, y: Any, fit_params: dict[str, Any], threads: Any
) -> Any:
    """Train one member, maybe in another process, which counts its own threads."""
    with threads():
        return member.fit(X, y, **fit_params)


def _fit_together(
    members: list[Any], X: Any, y: Any, fit_params: list[dict[str, Any]]
) -> list[Any]:
    """Train networks as packs where they can be."""
    jobs = [
        # Members with the same weights share what is made of the rows.
        FitJob(member, X, y, params, tuple(map(id, params.values())))
        for member, params in zip(members, fit_params, strict=True)
    ]
    for _ in fit_jobs(jobs):
        pass
    for job in jobs:
        if job.error is not None:
            raise job.error
    return members
