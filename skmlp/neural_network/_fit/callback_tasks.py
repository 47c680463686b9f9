"""scikit-learn's callbacks (`sklearn.callback`, since 1.9) during a fit.

Nothing happens on an older scikit-learn, or if no callbacks were set.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from skorch.callbacks import Callback

from skmlp._sklearn_compat import has_callbacks, make_callback_context
from skmlp.training.net import Net


class FitTask(Callback):
    """A skorch callback that calls the callbacks of scikit-learn.

    For scikit-learn's callbacks a fit is a task, and its epochs are subtasks.

    Parameters
    ----------
    estimator : BaseNetwork
        The estimator that is fitted.
    X, y, sample_weight : object
        Data as the caller gave them to `fit`, for the callbacks.
    fitted_attributes : callable
        Function that takes the net and returns the fitted attributes for the current
        weights.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: Any,
        fitted_attributes: Callable[[Net], dict[str, Any]],
    ) -> None:
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.arguments = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.fitted_attributes = fitted_attributes
        self.epoch_context: Any = None
        n_epochs = 0 if estimator.solver == "lbfgs" else estimator.max_iter
        self.context = make_callback_context(estimator, max_subtasks=n_epochs)
        if self.context is not None:
            self.context.call_on_fit_task_begin(**self.arguments)

    @contextmanager
    def watch_epochs(self, net: Net) -> Iterator[None]:
        """Make every epoch of the net a subtask."""
        if self.context is None or not has_callbacks(self.arguments["estimator"]):
            yield
            return
        net.callbacks_.append(("fit_task", self))
        try:
            yield
        finally:
            # This object refers to X and y, which would stay in memory with the net.
            net.callbacks_.pop()

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: a fit that continues from a checkpoint is a new task."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Do nothing."""

    def on_epoch_begin(self, net: Net, **kwargs: Any) -> None:
        """Begin the subtask."""
        self.epoch_context = self.context.subcontext(task_name="epoch")
        self.epoch_context.call_on_fit_task_begin(**self.arguments)

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        """End the subtask, and training too if a callback wants that."""
        stop = self.epoch_context.call_on_fit_task_end(
            **self.arguments,
            reconstruction_attributes=lambda: self.fitted_attributes(net),
        )
        if stop:
            raise KeyboardInterrupt  # the trainer then ends the training

    def end(self) -> None:
        """End the task of the fit."""
        if self.context is not None:
            self.context.call_on_fit_task_end(
                **self.arguments, reconstruction_attributes={}
            )
