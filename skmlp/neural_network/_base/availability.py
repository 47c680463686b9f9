"""`partial_fit` exists only if training can continue with one batch of samples."""

from collections.abc import Callable
from types import MethodType
from typing import Any, TypeVar, cast

_Method = TypeVar("_Method", bound=Callable[..., Any])


class NotAvailableError(AttributeError, ValueError):
    """A method that the parameters do not allow.

    An AttributeError to `hasattr`, by which scikit-learn asks what an estimator can do,
    and a ValueError to a caller, as scikit-learn's own networks raise.
    """


def available_for_batches(method: _Method) -> _Method:
    """Hide a method from solvers and settings that need all samples at once."""
    # A type checker sees the method itself.
    return cast(_Method, _AvailableForBatches(method))


class _AvailableForBatches:
    """The descriptor that looks at the estimator's parameters on every access."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self.method = method
        self.__doc__ = method.__doc__

    def __get__(self, estimator: Any, owner: type | None = None) -> Callable[..., Any]:
        """Return the bound method, if the estimator's parameters allow it."""
        if estimator is None:
            return self.method
        if estimator.solver == "lbfgs":
            raise NotAvailableError(
                f"This {type(estimator).__name__!r} has no attribute 'partial_fit': "
                "partial_fit is only available for stochastic optimizers. lbfgs is not "
                "stochastic."
            )
        if estimator.early_stopping:
            raise NotAvailableError("partial_fit does not support early_stopping=True")
        return MethodType(self.method, estimator)
