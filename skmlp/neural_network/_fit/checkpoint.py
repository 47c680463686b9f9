"""How far a fit has come: in memory, or in the file from which it goes on if killed."""

import copy
import math
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator

from skmlp.neural_network._fit.sample import FitData
from skmlp.neural_network._pipelines import final_estimator, final_prefix
from skmlp.storage.atomic_files import remove_part_files
from skmlp.storage.checkpoint import read_checkpoint, write_checkpoint
from skmlp.storage.container import ModelFileError
from skmlp.storage.fingerprints import (
    check_fingerprints,
    fingerprint,
    fingerprint_array,
)
from skmlp.training.compute.devices import resolve_device
from skmlp.training.data.batches import BatchLoader
from skmlp.training.data.sources import Source
from skmlp.training.net import Net
from skmlp.training.state import restore_callbacks, restore_training, training_state

# Parameters that a fit may change when it goes on; no result depends on them.
_WITHOUT_EFFECT = frozenset(
    {"callbacks", "checkpoint", "checkpoint_interval", "verbose", "warm_start"}
)


class FitState:
    """How far the stages of a fit have come, in memory.

    A fit with ``refit_full=True`` has two stages, any other one.

    Parameters
    ----------
    stages : dict of str to dict
        Where the stages of an earlier fit of the same ended, of plain values and
        arrays; one that goes on puts its new end there.
    """

    # Seconds between two epochs to be kept: only the last one is.
    interval = math.inf

    def __init__(self, stages: dict[str, dict[str, Any]]) -> None:
        self.stages = stages

    def begin(self, stage: str, random_state: np.random.RandomState) -> None:
        """Let a stage draw from the generator as it did when it first began."""
        if stage in self.stages:
            random_state.set_state(self.stages[stage]["start"].get_state())
            return
        self.stages[stage] = {"start": copy.deepcopy(random_state), "state": None}
        self.write()

    def write(self) -> None:
        """Do nothing: memory is where the stages are."""

    def refusal(self, reason: Exception) -> ValueError:
        """Return what to raise if a stage cannot be gone on with."""
        return ValueError(f"Training cannot be gone on with: {reason}.")


class Checkpoint(FitState):
    """The same in a file, from which a fit that was killed goes on.

    Parameters
    ----------
    path : str or path-like
        The file; one that is there is gone on from.
    interval : float
        Fewest seconds between two writings.
    facts : dict of str to str
        What the fit is of.

    Raises
    ------
    ValueError
        If the file is of something else.
    ModelFileError
        If it is no whole checkpoint.
    OSError
        If it cannot be read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        interval: float,
        fingerprints: dict[str, str],
    ) -> None:
        self.path = Path(path)
        self.interval = interval
        self.fingerprints = fingerprints
        super().__init__({})
        remove_part_files(self.path)
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        """Take the stages from the file, if it is of the same fit."""
        content = read_checkpoint(self.path)
        try:
            fingerprints, stages = content["facts"], content["stages"]
            trained = any(stage["state"] is not None for stage in stages.values())
            for stage in stages.values():
                if not isinstance(stage["start"], np.random.RandomState):
                    raise TypeError("a stage starts from no generator")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{self.path} is no checkpoint of a fit.") from error
        if trained or fingerprints == self.fingerprints:
            check_fingerprints("checkpoint", self.path, fingerprints, self.fingerprints)
            self.stages = stages

    def write(self) -> None:
        """Bring all stages to the disk; if it cannot be, that shows when one begins."""
        write_checkpoint(self.path, {"facts": self.fingerprints, "stages": self.stages})

    def refusal(self, reason: Exception) -> ValueError:
        """Return what to raise if a stage cannot be gone on with."""
        return ModelFileError(f"{self.path} cannot be gone on from: {reason}.")


class Stage:
    """Keeps how far one stage of a fit has come.

    Parameters
    ----------
    fit : FitState
        Where to; the stage has begun.
    name : str
        Name of the stage.
    generator : Generator or None
        That of dropout and augmentation.
    """

    def __init__(
        self, fit: FitState, name: str, generator: torch.Generator | None
    ) -> None:
        self.fit = fit
        self.name = name
        self.generator = generator
        self.written = time.monotonic()

    def resume(self, net: Net, train: BatchLoader) -> None:
        """Put the net where it was when it was kept, if it ever was."""
        state = self.fit.stages[self.name]["state"]
        if state is None:
            return
        try:
            restore_training(net, train, self.generator, copy.deepcopy(state))
            anew = restore_callbacks(net, state)
        except Exception as error:
            # What a file can contradict is without number.
            raise self.fit.refusal(error) from error
        if anew and not net.converged_:
            warnings.warn(
                f"Training goes on after epoch {net.epochs_}, where {', '.join(anew)} "
                "begins anew: a callback without state_dict and load_state_dict is not "
                "in a checkpoint.",
                stacklevel=7,
            )

    def keep(self, net: Net, train: BatchLoader, last: bool) -> None:
        """Write what an epoch has changed, if it is time to."""
        now = time.monotonic()
        if not last and now - self.written < self.fit.interval:
            return
        self.written = now
        state = training_state(net, train, self.generator)
        self.fit.stages[self.name]["state"] = state
        self.fit.write()


def open_checkpoint(
    estimator: Any, sample: FitData, valid: FitData | None
) -> Checkpoint | None:
    """Return the checkpoint of a fit to checked rows, if there is to be one."""
    if estimator.checkpoint is None:
        return None
    fingerprints = _facts(estimator, sample, valid)
    return Checkpoint(estimator.checkpoint, estimator.checkpoint_interval, fingerprints)


def set_checkpoint(estimator: Any, path: str | os.PathLike[str] | None) -> None:
    """Set the parameter of a network, or of the one at the end of a Pipeline.

    Raises
    ------
    TypeError
        If there is no such network.
    """
    network = final_estimator(estimator)
    if "checkpoint" not in network.get_params(deep=False):
        raise TypeError(
            f"checkpoint needs a network of skmlp, which {type(network).__name__} is "
            "not; set it to None."
        )
    estimator.set_params(**{f"{final_prefix(estimator)}checkpoint": path})


def refuse_shared_checkpoint(estimator: Any) -> None:
    """Refuse a network with a file, if it is to be cloned and fitted several times.

    Raises
    ------
    ValueError
        Naming the file.
    """
    network = final_estimator(estimator)
    path = getattr(network, "checkpoint", None)
    if path is not None:
        raise ValueError(
            f"checkpoint={os.fspath(path)!r} of {type(network).__name__} is one file, "
            "but several are to be fitted; set it to None, and give a folder as the "
            "checkpoint of what fits them."
        )


def _facts(estimator: Any, sample: FitData, valid: FitData | None) -> dict[str, str]:
    """Return all that decides what comes of a fit, by names that users know."""
    params = estimator.get_params(deep=False)
    fingerprints = {"estimator": type(estimator).__name__}
    fingerprints |= {
        k: fingerprint(v) for k, v in params.items() if k not in _WITHOUT_EFFECT
    }
    fingerprints["init_from"] += weights_fingerprint(estimator.init_from)
    fingerprints["device"] = repr(resolve_device(estimator.device).type)
    fingerprints["X"] = fingerprint_array(sample.X)
    if isinstance(sample.X, Source):  # whose rows come in an order of their own
        fingerprints["X"] = f"source {fingerprints['X']}"
    if estimator._data_shape is not None:
        fingerprints["X"] = f"images {estimator._data_shape} in {fingerprints['X']}"
    fingerprints["y"] = fingerprint_array(sample.encoded) + fingerprint(
        getattr(estimator, "classes_", None)
    )
    fingerprints["sample_weight"] = fingerprint(sample.weight)
    fingerprints["X_val"] = "None" if valid is None else fingerprint_array(valid.X)
    fingerprints["y_val"] = (
        "None" if valid is None else fingerprint_array(valid.encoded)
    )
    return fingerprints


def weights_fingerprint(fitted: Any) -> str:
    """Return a text for the weights of a network that another starts from."""
    if isinstance(fitted, FrozenEstimator):
        fitted = fitted.estimator
    if "net_" not in getattr(fitted, "__dict__", {}):
        return ""  # None, or refused later
    tensors = fitted.net_.module_.state_dict().items()
    return fingerprint(
        {name: fingerprint_array(tensor.cpu().numpy()) for name, tensor in tensors}
    )
