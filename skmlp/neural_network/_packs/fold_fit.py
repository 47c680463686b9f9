"""Fit the members of an ensemble, each validated on its own fold of the samples."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skmlp.neural_network._fit.progress import show_progress
from skmlp.neural_network._packs.fit_job import FitJob
from skmlp.neural_network._packs.preparation import Preparation, PreparedJob
from skmlp.training.compute.ambient_modes import in_default_modes
from skmlp.training.compute.threads import single_threaded
from skmlp.training.packs.joint_selection import JointSelection
from skmlp.training.packs.pack import pack_key, train_pack
from skmlp.training.run import ProgressCallback, ignore_progress


class Fold(NamedTuple):
    """Indices of the samples that a member trains on, and of its validation set."""

    train: np.ndarray
    valid: np.ndarray


def make_folds(
    strata: np.ndarray | None,
    samples: np.ndarray,
    n_members: int,
    fraction: float,
    random_state: np.random.RandomState,
) -> list[Fold]:
    """Return a fold for each member.

    The samples are divided into ``1 / fraction`` parts. Each member is validated on
    another part, as long as there are parts. Then the samples are divided again.

    Parameters
    ----------
    strata : ndarray of shape (n_samples,) or None
        Classes. All parts get about the same fraction of each class.
    samples : ndarray of int
        Indices of the samples to divide.
    n_members : int
        Number of members.
    fraction : float
        Fraction of the samples in a validation set.
    random_state : RandomState
        Divides the samples.

    Raises
    ------
    ValueError
        If there is only one sample.
    """
    n_samples = len(samples)
    if n_samples < 2:
        raise ValueError(
            "The validation of members on folds needs at least 2 samples, but "
            f"n_samples = {n_samples}."
        )
    n_parts = min(n_samples, max(2, round(1.0 / fraction)))
    folds: list[Fold] = []
    while len(folds) < n_members:
        order = samples[random_state.permutation(n_samples)]
        if strata is not None:  # neighbors of one class get into different parts
            order = order[np.argsort(strata[order], kind="stable")]
        for part in range(n_parts):
            is_valid = np.arange(n_samples) % n_parts == part
            folds.append(Fold(np.sort(order[~is_valid]), np.sort(order[is_valid])))
    return folds[:n_members]


def fit_together(
    members: Sequence[Any],
    X: Any,
    y: Any,
    fit_params: dict[str, Any],
    folds: Sequence[Fold] | None = None,
    progress_callback: ProgressCallback = ignore_progress,
) -> None:
    """Fit networks, each on the training samples of its fold.

    If all of them fit into one pack, they train together. With a validation set, they
    keep the weights of the same epoch: the one with the highest mean score. Otherwise
    each network is trained alone, and keeps the weights of its own best epoch.

    Parameters
    ----------
    members : sequence of estimators
        Known networks, not fitted yet. Fitted in place.
    X, y : object
        Arguments of `fit`, all samples.
    fit_params : dict
        Further arguments of `fit`, for example `sample_weight`, or `X_val` and `y_val`
        instead of the folds.
    folds : sequence of Fold, optional
        One for each member. Without folds, all members train on all samples.
    progress_callback : callable
        Called with the number of epochs that were trained.
    """
    preparation, prepared = Preparation(), []
    for i, member in enumerate(members):
        fold = None if folds is None else folds[i]
        job = FitJob(member, X, y, fit_params, data_key="all samples", fold=fold)
        prepared.append(preparation.prepare(job))
    keys = {pack_key(one.run) for one in prepared}
    if len(keys) == 1 and None not in keys:
        _train_jointly(prepared, progress_callback)
    else:
        for job, _, run in prepared:
            job.estimator._train(run, progress_callback)
    for job, inputs, run in prepared:
        job.estimator._finish_fit(run, inputs)


@in_default_modes
def _train_jointly(
    prepared: Sequence[PreparedJob], progress_callback: ProgressCallback
) -> None:
    """Train a pack; with a validation set, it has one best epoch."""
    runs = [one.run for one in prepared]
    is_validated = runs[0].valid_loader is not None
    selection = JointSelection(len(runs)) if is_validated else None
    shows_bar = any(one.job.estimator.verbose == "bar" for one in prepared)
    progress = show_progress(
        "bar" if shows_bar else False, f"{len(runs)} networks", runs, progress_callback
    )
    with single_threaded(), progress as show_epochs:
        train_pack(runs, show_epochs, selection=selection)
