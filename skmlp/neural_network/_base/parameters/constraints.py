"""The form of a parameter's description, and constraints that many of them have."""

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, NamedTuple

from skmlp._sklearn_compat import Interval

POSITIVE_INT = Interval(Integral, 1, None, closed="left")
NON_NEGATIVE = Interval(Real, 0, None, closed="left")
POSITIVE = Interval(Real, 0, None, closed="neither")
FROM_0_BELOW_1 = Interval(Real, 0, 1, closed="left")


class Parameter(NamedTuple):
    """Description and constraint of one parameter."""

    type: str  # the type and the default, in the form of numpydoc
    text: str  # the description in the docstring
    constraints: list[Any] | str  # for scikit-learn's validation of parameters


def list_choices(names: Iterable[str]) -> str:
    """Return names in the form of numpydoc, such as ``{'a', 'b'}``."""
    return "{" + ", ".join(f"'{name}'" for name in names) + "}"
