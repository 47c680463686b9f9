"""Training of the members of an ensemble: in packs, one by one, or in parallel jobs."""

import os
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn import get_config
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import has_fit_parameter

from skmlp.exceptions import DataScaleWarning
from skmlp.neural_network._base.inputs import ravel_column, validate_arrays
from skmlp.neural_network._fit.checkpoint import (
    refuse_shared_checkpoint,
    set_checkpoint,
)
from skmlp.neural_network._fit.cross_validation import (
    refuse_checkpoint_in_cross_validation,
)
from skmlp.neural_network._fit.images import flatten_images
from skmlp.neural_network._known_classes import is_known_network
from skmlp.neural_network._packs.fit_job import FitJob
from skmlp.neural_network._packs.packed_fit import fit_jobs
from skmlp.neural_network._pipelines import final_estimator, final_prefix
from skmlp.training.compute.devices import device_of_job
from skmlp.training.compute.threads import single_threaded
from skmlp.training.data.sources import Source


def members_have_partial_fit(ensemble: Any) -> bool:
    """Return True if the members have `partial_fit`; else raise an AttributeError."""
    if ensemble.bootstrap:
        raise AttributeError("partial_fit is only available with bootstrap=False.")
    return callable(ensemble._get_estimator().partial_fit)


def check_checkpoint(ensemble: Any) -> None:
    """Raise a ValueError if an interrupted fit could not continue from `checkpoint`.

    This is so if the members have a checkpoint of their own, or if there is no
    `random_state`.
    """
    checkpoint = ensemble.checkpoint
    refuse_shared_checkpoint(ensemble._get_estimator())
    refuse_checkpoint_in_cross_validation(checkpoint, type(ensemble).__name__)
    if checkpoint is not None and ensemble.random_state is None:
        raise ValueError(
            "checkpoint needs a random_state, from which a later fit would draw "
            "the same seeds of members; give an int."
        )


def count_draws(drawn: np.ndarray, n_samples: int) -> np.ndarray:
    """Return how often each sample was drawn, which is its weight in a bootstrap."""
    return np.bincount(drawn, minlength=n_samples).astype(float)


def make_fit_params(
    member: Any, bootstrap: bool, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Check the fit parameters, and return those to pass to `fit` of the member.

    - Parameters that are None are omitted.
    - For a Pipeline, the names have the prefix of the network.

    Raises
    ------
    TypeError
        If `fit` of the member has no such parameter.
    ValueError
        If `X_val` is given for a Pipeline without metadata routing, because the
        Pipeline would not transform `X_val`.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if isinstance(member, Pipeline):
        if get_config()["enable_metadata_routing"]:
            return given
        if "X_val" in given:
            raise ValueError(
                "X_val would not be transformed, because it goes past the other steps "
                "of the Pipeline; put the ensemble at the end of a Pipeline, or enable "
                "metadata routing and set transform_input=['X_val']."
            )
    estimator, prefix = final_estimator(member), final_prefix(member)
    for name in given:
        if not has_fit_parameter(estimator, name):
            is_for_bootstrap = bootstrap and name == "sample_weight"
            why = ", which bootstrap=True needs" if is_for_bootstrap else ""
            raise TypeError(f"{type(estimator).__name__}.fit takes no {name}{why}.")
    return {prefix + name: value for name, value in given.items()}


def check_arrays(ensemble: Any, X: Any, *y: Any, reset: bool) -> Any:
    """Validate X, and y if given; images and signals keep their shape."""
    given = X
    X, image_shape = flatten_images(X)
    tags = get_tags(ensemble._get_estimator()).input_tags
    checked = validate_arrays(
        ensemble,
        X,
        *y,
        **(ensemble._target_checks if y else {}),
        accept_sparse="csr" if tags.sparse else False,
        ensure_all_finite=not tags.allow_nan,
        reset=reset,
    )
    X = checked[0] if y else checked
    if image_shape is not None and not isinstance(X, Source):
        X = X.reshape(np.shape(given))
    if not y:
        return X
    labels = checked[1]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = ravel_column(labels)
    return X, labels


def fit_members(
    members: list[Any],
    X: Any,
    y: Any,
    fit_params: list[dict[str, Any]],
    n_jobs: int | None,
    checkpoint: str | os.PathLike[str] | None,
) -> list[Any]:
    """Train members, each with its own parameters of `fit`, and return them.

    If `checkpoint` is a folder, each member has its own checkpoint file in it.
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
    """Train the members and return them.

    - Without parallel jobs, networks are trained in packs.
    - Without parallel jobs, other estimators are trained one by one, with all threads.
    - With `n_jobs`, each member is a joblib job that uses one thread.
    """
    sequential = n_jobs is None and effective_n_jobs(n_jobs) == 1
    if sequential and all(map(is_known_network, members)):
        return _fit_in_packs(members, X, y, fit_params)
    thread_context = nullcontext if sequential else single_threaded
    # joblib maps X into the other processes. torch needs writable memory, so the mode
    # is copy-on-write. Nothing writes to X, so nothing is copied.
    parallel = Parallel(n_jobs, mmap_mode="c")
    n_at_once = min(effective_n_jobs(n_jobs), len(members))
    with thread_context():
        return parallel(
            delayed(_fit_member)(
                member, X, y, params, thread_context, number=i, n_at_once=n_at_once
            )
            for i, (member, params) in enumerate(zip(members, fit_params, strict=True))
        )


def _fit_member(
    member: Any,
    X: Any,
    y: Any,
    fit_params: dict[str, Any],
    thread_context: Any,
    number: int,
    n_at_once: int,
) -> Any:
    """Train one member on its device; the worker limits the number of threads too.

    Only the first member warns about the scales of the data, because all have the same
    data.
    """
    with (
        thread_context(),
        device_of_job(number, n_at_once),
        warnings.catch_warnings(),
    ):
        if number:
            warnings.simplefilter("ignore", DataScaleWarning)
        return member.fit(X, y, **fit_params)


def _fit_in_packs(
    members: list[Any], X: Any, y: Any, fit_params: list[dict[str, Any]]
) -> list[Any]:
    """Train networks in packs where possible."""
    jobs = [
        # Members with the same array of sample weights have the same data.
        FitJob(member, X, y, params, data_key=tuple(map(id, params.values())))
        for member, params in zip(members, fit_params, strict=True)
    ]
    for _ in fit_jobs(jobs):
        pass
    for job in jobs:
        if job.error is not None:
            raise job.error
    return members


def update_members(members: list[Any], estimator: Any, n_estimators: int) -> None:
    """Give fitted networks the present parameters of the ensemble's estimator."""
    if len(members) != n_estimators:
        raise ValueError(
            f"n_estimators={n_estimators} was {len(members)} in the fit before. "
            "partial_fit continues that fit and cannot take the new value; set it back "
            "or fit a new ensemble."
        )
    network = final_estimator(estimator)
    for member in members:
        fitted = final_estimator(member)
        if type(fitted) is not type(network):
            raise ValueError(
                f"estimator is now a {type(network).__name__}, but the members of the "
                f"fit before are {type(fitted).__name__}s; fit a new ensemble."
            )
        if is_known_network(network):
            params = network.get_params(deep=False)
            for own in ("random_state", "checkpoint"):
                del params[own]
            fitted.set_params(**params)
