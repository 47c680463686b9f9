"""Hide `partial_fit` with L-BFGS and with early stopping."""

from collections.abc import Callable
from types import MethodType
from typing import Any, TypeVar, cast

_Method = TypeVar("_Method", bound=Callable[..., Any])


class NotAvailableError(AttributeError, ValueError):
    """Raised for a method that is not available with the parameters of the estimator.

    It is an AttributeError, so that `hasattr` returns False. It is a ValueError too,
    because scikit-learn's networks raise one.
    """


def partial_fit_if_available(method: _Method) -> _Method:
    """Make `partial_fit` unavailable with 'lbfgs' and with early stopping.

    `sklearn.utils.metaestimators.available_if` raises an AttributeError only.
    """
    # The cast keeps the signature of the method for type checkers.
    return cast(_Method, _AvailableForBatches(method))


class _AvailableForBatches:
    """A descriptor that checks the parameters of the estimator on every access."""

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
