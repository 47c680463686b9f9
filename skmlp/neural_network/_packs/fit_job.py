"""One fit of an estimator that may train in a pack."""

import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from skmlp.neural_network._fit.checkpoint import MemoryCheckpoint
from skmlp.neural_network._pipelines import final_estimator


@dataclass
class FitJob:
    """An estimator to fit; `fit_jobs` adds error, time and pack size.

    Parameters
    ----------
    estimator : estimator object
        Not fitted yet; fitted in place. Only known networks are packed. Any other
        estimator is fitted by its own `fit`.
    X, y : object
        Arguments of `fit`.
    params : dict
        Further arguments of `fit`.
    data_key : hashable
        Equal for jobs with the same X, y and params. Their data are checked only once.
    index : int
        Set by the caller. `fit_jobs` does not use it.
    skip_training : bool
        If True, the network is prepared but not trained, because the caller has the
        result. It still has its position when packs are formed. So all packs are the
        same as in the interrupted search.
    repeatable : bool
        If True, pack sizes of all jobs with its `pack_key` are chosen without timing,
        so that a later call forms the same packs.
    may_train_alone : bool
        If False, the job is only prepared if no pack trains its network.
    checkpoint : MemoryCheckpoint or None
        The fit continues from this checkpoint, and stores its last training state in
        it.
    fold : tuple of ndarray or None
        Indices of the samples to train on, and of those for the validation. Only for
        networks with separate steps.

    Attributes
    ----------
    error : Exception or None
        The exception that `fit` would have raised. A job that already has one is not
        fitted.
    seconds : float
        Time of the fit. The time of a pack is divided equally among its members.
    pack_size : int
        Number of networks that were trained together, including this one.
    reason : str or None
        Why the network cannot train in a pack, or should not.
    postponed : bool
        Whether the estimator is not fitted, because `may_train_alone` is False.
    """

    estimator: Any
    X: Any
    y: Any
    params: dict[str, Any]
    data_key: Hashable
    index: int = 0
    skip_training: bool = False
    repeatable: bool = False
    may_train_alone: bool = True
    checkpoint: MemoryCheckpoint | None = None
    fold: tuple[np.ndarray, np.ndarray] | None = None
    error: Exception | None = None
    seconds: float = 0.0
    pack_size: int = 1
    reason: str | None = None
    postponed: bool = False

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the training."""
        net = vars(self.estimator).get("net_")  # None if the fit failed
        return net is not None and net.interrupted_

    @property
    def max_epochs(self) -> int:
        """Largest number of epochs; 0 if the parameter is not valid."""
        return count_max_epochs(self.estimator)

    @contextmanager
    def record_time_and_error(self) -> Iterator[None]:
        """Add the time of a block to `seconds`, and store its exception in `error`."""
        start = time.perf_counter()
        try:
            yield
        except Exception as error:  # noqa: BLE001  # the caller decides what to do
            self.error = error
        self.seconds += time.perf_counter() - start

    def fit_alone(self) -> None:
        """Call the estimator's own `fit`."""
        with self.record_time_and_error():
            self.estimator.fit(self.X, self.y, **self.params)


def count_max_epochs(estimator: Any) -> int:
    """Return `max_iter` of a network, or of the network at the end of a Pipeline.

    An invalid value counts as 0, because the fit will raise an error.
    """
    max_iter = getattr(final_estimator(estimator), "max_iter", 0)
    return int(max_iter) if isinstance(max_iter, Integral) else 0
