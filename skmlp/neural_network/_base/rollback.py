"""A method that fails leaves its estimator with the attributes that it had before."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from skmlp.training.snapshot import AttributeSnapshot

_Method = TypeVar("_Method", bound=Callable[..., Any])


def restore_attributes_on_error(method: _Method) -> _Method:
    """Restore the attributes of the estimator if the method raises an exception.

    The attributes are restored by reference. A method has to restore objects that it
    changes in place. `BaseNetwork._fit` does so with a `NetSnapshot`.
    """

    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        attributes = AttributeSnapshot(self)
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            attributes.restore()
            raise

    return call  # type: ignore[return-value]
