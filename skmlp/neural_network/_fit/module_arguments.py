"""Parameters ``module__name``: the arguments of a user's module."""

from typing import Any

PREFIX = "module__"


def is_module_argument(name: str) -> bool:
    """Return whether a parameter of an estimator is an argument of its module."""
    return name.startswith(PREFIX)


def module_arguments(estimator: Any) -> dict[str, Any]:
    """Return the given arguments of the module, by their names without the prefix."""
    return {
        name.removeprefix(PREFIX): value
        for name, value in vars(estimator).items()
        if is_module_argument(name)
    }
