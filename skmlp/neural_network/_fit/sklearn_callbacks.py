"""scikit-learn's callbacks (`sklearn.callback`, since 1.9) around a fit and its epochs.

Without them, on an older scikit-learn or because none were set, nothing is done.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skorch.callbacks import Callback

from skmlp._sklearn_compat import has_callbacks, make_callback_context
from skmlp.training.net import Net


class FitTasks(Callback):
    """The task of one fit and, as its subtasks, the epochs.

    Parameters
    ----------
    estimator : BaseNetwork
        What is fitted.
    X, y, sample_weight : object
        As the caller gave them to `fit`, and as callbacks get them.
    incremental : bool
        Whether this is `partial_fit`, of which callbacks are not told.
    """

    def __init__(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any, incremental: bool
    ) -> None:
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.facts = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.context: Any = None
        self.epoch: Any = None
        if not incremental:
            iterates = estimator.solver != "lbfgs"
            self.context = make_callback_context(
                estimator, max_subtasks=estimator.max_iter if iterates else 0
            )
        if self.context is not None:
            self.context.call_on_fit_task_begin(**self.facts)

    @contextmanager
    def around(self, net: Net) -> Iterator[None]:
        """Make a subtask of every epoch that the net trains."""
        if self.context is None or not has_callbacks(self.facts["estimator"]):
            yield
            return
        net.callbacks_.append(("fit_tasks", self))
        try:
            yield
        finally:
            # It holds the rows, which the net must not.
            net.callbacks_.pop()

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: tasks are not gone on with, but made anew."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Know nothing of epochs before."""

    def on_epoch_begin(self, net: Net, **kwargs: Any) -> None:
        """Begin the subtask."""
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self.facts)

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        """End it, and training with it if a callback wants that."""
        stop = self.epoch.call_on_fit_task_end(
            **self.facts, reconstruction_attributes=lambda: self._fitted(net)
        )
        if stop:
            raise KeyboardInterrupt  # which the net takes as the end of training

    def end(self) -> None:
        """End the task of the fit."""
        if self.context is not None:
            self.context.call_on_fit_task_end(
                **self.facts, reconstruction_attributes={}
            )

    def _fitted(self, net: Net) -> dict[str, Any]:
        """Return the attributes that fit would set if it ended now."""
        fitted = copy.copy(self.facts["estimator"])
        fitted._keep(net.snapshot(), net.flat_.values.device, release=True)
        fitted.n_iter_ = net.epochs_
        return {
            name: value for name, value in vars(fitted).items() if name.endswith("_")
        } | {"_monitor": fitted._monitor}
