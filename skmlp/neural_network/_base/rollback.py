"""A method that fails leaves its estimator with the attributes that it had before."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from skmlp.neural_network._fit.interruption import is_started_by_user
from skmlp.training.compute.ambient_modes import restore_settings
from skmlp.training.compute.interrupts import InterruptWatch
from skmlp.training.run import warn_interrupted
from skmlp.training.snapshot import AttributeSnapshot

_Method = TypeVar("_Method", bound=Callable[..., Any])


def restore_attributes_on_error(method: _Method) -> _Method:
    """Restore the attributes of the estimator if the method raises an exception.

    The attributes are restored by reference. A method has to restore objects that it
    changes in place. `BaseNetwork._fit` does so with a `NetSnapshot`.

    The settings of torch, BLAS and scikit-learn are restored too, after Ctrl-C for
    example.
    """
    inner = restore_settings(method)

    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        attributes, watch = AttributeSnapshot(self), InterruptWatch()
        try:
            watch.begin()
            result = inner(self, *args, **kwargs)
            if watch.seen and not _was_interrupted(self):
                _handle_late_interrupt(self)
            return result
        except BaseException:
            attributes.restore()
            raise
        finally:
            watch.end()

    return call  # type: ignore[return-value]


def _was_interrupted(estimator: Any) -> bool:
    """Return whether Ctrl-C has ended the training of a network."""
    net = vars(estimator).get("net_")
    return net is not None and net.interrupted_


def _handle_late_interrupt(estimator: Any) -> None:
    """Warn about Ctrl-C that did not end a fit; raise it in an ensemble or search.

    The user pressed Ctrl-C after the last epoch, or Python dropped the exception while
    it deleted an object.
    """
    net = vars(estimator).get("net_")
    if net is None or not is_started_by_user(estimator):
        raise KeyboardInterrupt
    warn_interrupted()
    net.interrupted_ = True
