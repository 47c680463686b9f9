"""Checkpoints of a fit: in memory, or in a file from which a killed fit continues."""

import copy
import math
import os
import secrets
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from skmlp._warnings import warn
from skmlp.neural_network._fit.fit_data import FitData, FitInputs
from skmlp.neural_network._fit.images import ImageShape
from skmlp.neural_network._pipelines import final_estimator, final_prefix
from skmlp.storage.atomic_files import remove_part_files
from skmlp.storage.checkpoint import read_checkpoint, write_checkpoint
from skmlp.storage.container import ModelFileError
from skmlp.storage.fingerprints import (
    check_fingerprints,
    fingerprint,
    fingerprint_array,
    fingerprint_class,
)
from skmlp.training.compute.devices import resolve_device
from skmlp.training.data.sources import Source
from skmlp.training.run import TrainingRun
from skmlp.training.state_dicts.runs import (
    load_callback_states,
    load_training_state_dict,
    training_state_dict,
)

# Parameters that are not part of the fingerprints, because no result of a fit with a
# checkpoint depends on them. `warm_start` needs a fitted estimator: without one it has
# no effect, and with a checkpoint file it raises an error.
_NOT_FINGERPRINTED = frozenset(
    {"callbacks", "checkpoint", "checkpoint_interval", "verbose", "warm_start"}
)


class MemoryCheckpoint:
    """In-memory checkpoint of a fit, with one state for each stage.

    A fit with ``refit_full=True`` has two stages, "fit" and "refit". Any other fit has
    the stage "fit" only.

    Parameters
    ----------
    stages : dict of str to dict
        The state of each stage of an earlier fit of the same network, as plain values
        and arrays. Training updates the dict in place.
    """

    # Minimum number of seconds between two saves. With inf, only the last epoch is
    # saved.
    interval = math.inf

    def __init__(self, stages: dict[str, dict[str, Any]]) -> None:
        self.stages = stages

    def begin_stage(self, name: str, random_state: np.random.RandomState) -> None:
        """Begin a stage.

        If the stage has begun before, `random_state` is reset to its state at that
        time. Otherwise its state is recorded.
        """
        if name in self.stages:
            random_state.set_state(self.stages[name]["start"].get_state())
            return
        # "start" holds the random state before the stage. "state" holds the training
        # state (see `training_state_dict`), and None before the first saved epoch.
        self.stages[name] = {"start": copy.deepcopy(random_state), "state": None}
        self.write()

    def stage(self, name: str) -> "StageCheckpoint":
        """Return the checkpoint of a stage that has begun, for its training run.

        It implements the protocol `skmlp.training.run.RunCheckpoint`.
        """
        return StageCheckpoint(self, name)

    def write(self) -> None:
        """Do nothing: the stages are in memory."""

    def make_error(self, reason: Exception) -> ValueError:
        """Return the error to raise if a stage cannot continue."""
        return ValueError(f"Training cannot continue: {reason}.")


class FileCheckpoint(MemoryCheckpoint):
    """Checkpoint of a fit in a file, with one state for each stage.

    Parameters
    ----------
    path : str or path-like
        The file. If it exists, the fit continues from it.
    interval : float
        Minimum number of seconds between two writes.
    fingerprints : dict of str to str
        Identify the data and parameters of the fit.

    Raises
    ------
    ValueError
        If the file belongs to another fit.
    ModelFileError
        If the file is not a complete checkpoint.
    OSError
        If the file cannot be read.

    Notes
    -----
    If another fit writes the file during this fit, `write` raises a ValueError and does
    not change the file.
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
        self._writer = secrets.token_hex(8)
        # Who wrote the file that is on the disk now, and its version when this fit last
        # read or wrote it.
        self._last_writer: Any = None
        self._version = _file_version(self.path)
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        """Read the stages from the file, if it belongs to the same fit."""
        content = read_checkpoint(self.path)
        self._last_writer = content.get("writer")  # None in a file of an older version
        try:
            fingerprints, stages = content["facts"], content["stages"]
            trained = any(stage["state"] is not None for stage in stages.values())
            for stage in stages.values():
                if not isinstance(stage["start"], np.random.RandomState):
                    raise TypeError("a stage starts from no generator")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{self.path} is no checkpoint of a fit.") from error
        # A file without a trained epoch is replaced, even if it belongs to another fit.
        if trained or fingerprints == self.fingerprints:
            check_fingerprints("checkpoint", self.path, fingerprints, self.fingerprints)
            self.stages = stages

    def write(self) -> None:
        """Write all stages to the disk.

        `begin_stage` writes too, so that a file that cannot be written raises before
        the training.
        """
        self._refuse_other_writer()
        content = {
            "facts": self.fingerprints,  # the key of older versions
            "stages": self.stages,
            "writer": self._writer,
        }
        try:
            write_checkpoint(self.path, content)
        except FileNotFoundError as error:
            if not self.path.parent.is_dir():
                raise
            # The part file of this fit is missing: another fit with this path has begun
            # and removed it.
            raise self._other_writer_error() from error
        self._version, self._last_writer = _file_version(self.path), self._writer

    def _refuse_other_writer(self) -> None:
        """Raise ValueError if another fit has written the file in the meantime."""
        version = _file_version(self.path)
        if version in (None, self._version):
            return  # no fit deletes the file
        # The numbers of a file can change without a writer. Reading takes longer.
        if read_checkpoint(self.path).get("writer") != self._last_writer:
            raise self._other_writer_error()

    def _other_writer_error(self) -> ValueError:
        return ValueError(
            f"checkpoint={os.fspath(self.path)!r} was written by another fit while "
            "this one was training, but one file serves one fit; give each fit its own "
            "file."
        )

    def make_error(self, reason: Exception) -> ValueError:
        """Return the error to raise if a stage cannot continue."""
        return ModelFileError(f"Training cannot continue from {self.path}: {reason}.")


def _file_version(path: Path) -> tuple[int, ...] | None:
    """Return numbers that change if the file is replaced; None without a file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


class StageCheckpoint:
    """Stores the training run of one stage of a fit, and loads it.

    Parameters
    ----------
    checkpoint : MemoryCheckpoint
        Holds the state; the stage has begun.
    name : str
        Name of the stage.
    """

    def __init__(self, checkpoint: MemoryCheckpoint, name: str) -> None:
        self.checkpoint = checkpoint
        self.name = name
        self.last_write_time = time.monotonic()

    def load(self, run: TrainingRun) -> None:
        """Load the stored state, if there is one, into a run before its training."""
        state = self.checkpoint.stages[self.name]["state"]
        if state is None:
            return
        try:
            load_training_state_dict(run, copy.deepcopy(state))
            restarted = load_callback_states(run.net, state)
        except Exception as error:
            # A damaged file or a file of another network can raise any exception.
            raise self.checkpoint.make_error(error) from error
        if restarted and not run.net.converged_:
            warn(
                f"Training goes on after epoch {run.net.epochs_}, where "
                f"{', '.join(restarted)} starts again: a callback without state_dict "
                "and load_state_dict is not in a checkpoint."
            )

    def save(self, run: TrainingRun, last: bool) -> None:
        """Store the run after its last epoch, or `interval` seconds after a save."""
        now = time.monotonic()
        if not last and now - self.last_write_time < self.checkpoint.interval:
            return
        self.last_write_time = now
        self.checkpoint.stages[self.name]["state"] = training_state_dict(run)
        self.checkpoint.write()


def set_checkpoint(estimator: Any, path: str | os.PathLike[str] | None) -> None:
    """Set the parameter of a network, or of the network at the end of a Pipeline.

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
    """Raise an error if an estimator that is fitted several times has a checkpoint.

    Raises
    ------
    ValueError
        If the network has a checkpoint file. The message names the file.
    """
    network = final_estimator(estimator)
    path = getattr(network, "checkpoint", None)
    if path is not None:
        raise ValueError(
            f"checkpoint={os.fspath(path)!r} of {type(network).__name__} is one file, "
            "but several are to be fitted; set it to None, and give a folder as the "
            "checkpoint of what fits them."
        )


def fit_fingerprints(
    estimator: Any, inputs: FitInputs, image_shape: ImageShape | None
) -> dict[str, str]:
    """Return a fingerprint of each input that determines the result of a fit.

    The keys are the names of the parameters and of the arguments of `fit`.

    Parameters
    ----------
    estimator : BaseEstimator
        An estimator of skmlp.
    inputs : FitInputs
        The checked data.
    image_shape : tuple of int or None
        Shape of the images in X, if X held images.
    """
    params = estimator.get_params(deep=False)
    data, valid = inputs
    fingerprints = {"estimator": fingerprint_class(type(estimator))}
    fingerprints |= {
        k: fingerprint(v) for k, v in params.items() if k not in _NOT_FINGERPRINTED
    }
    # A subclass may have fewer parameters.
    fingerprints["init_from"] = fingerprint(estimator.init_from) + weights_fingerprint(
        estimator.init_from
    )
    fingerprints["device"] = repr(resolve_device(estimator.device).type)
    fingerprints["X"] = fingerprint_array(data.X)
    # A Source is shuffled by blocks, so equal values give other results.
    if isinstance(data.X, Source):
        fingerprints["X"] = f"source {fingerprints['X']}"
    if image_shape is not None:
        fingerprints["X"] = f"images {image_shape} in {fingerprints['X']}"
    fingerprints["y"] = _targets_fingerprint(data) + fingerprint(
        getattr(estimator, "classes_", None)
    )
    fingerprints["sample_weight"] = fingerprint(data.weight)
    fingerprints["X_val"] = "None" if valid is None else fingerprint_array(valid.X)
    fingerprints["y_val"] = "None" if valid is None else _targets_fingerprint(valid)
    # Checkpoints of older versions have no such entry.
    if valid is not None and valid.weight is not None:
        fingerprints["sample_weight_val"] = fingerprint_array(valid.weight)
    return fingerprints


def _targets_fingerprint(data: FitData) -> str:
    """Return the fingerprint of the targets, which an autoencoder does not have."""
    return "None" if data.targets is None else fingerprint_array(data.targets)


def weights_fingerprint(fitted: Any) -> str:
    """Return a fingerprint of the weights from which another network starts."""
    if isinstance(fitted, FrozenEstimator):
        fitted = fitted.estimator
    if "net_" not in getattr(fitted, "__dict__", {}):
        return ""  # None, or a value for which `copy_shared_layers` raises an error
    tensors = fitted.net_.module_.state_dict().items()
    return fingerprint(
        {name: fingerprint_array(tensor.cpu().numpy()) for name, tensor in tensors}
    )
