"""Which estimators may be taken apart: those whose methods are all known.

A pack trains networks without calling their `fit`, and a packed search calls the steps
of a Pipeline itself. Both are right only if `fit` does nothing else. A subclass that
overrides any method is therefore fitted, predicted and scored by its own methods.
"""

from functools import lru_cache
from typing import Any

from sklearn.pipeline import Pipeline

from skmlp.neural_network._base.network import BaseNetwork
from skmlp.neural_network._pipelines import final_estimator

# Modules of the Pipelines whose `fit` passes the output of each step to the next one.
_PIPELINE_MODULES = ("sklearn.pipeline", "imblearn.pipeline")

# Attributes that every subclass sets, or whose values the methods read.
_NOT_FINGERPRINTED = frozenset({"_abc_impl", "_parameter_constraints"})

# Special methods that change what other methods do.
_SPECIAL_METHODS = ("__getattribute__", "__setattr__", "__getstate__", "__setstate__")


def is_known_network(estimator: Any) -> bool:
    """Return whether it is a network of skmlp that overrides none of its methods."""
    return isinstance(estimator, BaseNetwork) and has_known_class(estimator)


def ends_in_known_network(estimator: Any) -> bool:
    """Return whether it is a known network, or a known Pipeline that ends in one."""
    return has_known_class(estimator) and is_known_network(final_estimator(estimator))


def has_known_class(estimator: Any) -> bool:
    """Return whether it is a network or a Pipeline that overrides no method."""
    cls: Any = type(estimator)
    return issubclass(cls, BaseNetwork | Pipeline) and _find_override(cls) is None


def describe_override(estimator: Any) -> str | None:
    """Return which method a Pipeline or its network overrides; None without one.

    The text is for example 'Upsampled overrides MLPClassifier.fit'.
    """
    classes: list[Any] = [type(estimator), type(final_estimator(estimator))]
    for cls in classes:
        if issubclass(cls, BaseNetwork | Pipeline) and (name := _find_override(cls)):
            return f"{cls.__name__} overrides {_known_base(cls).__name__}.{name}"
    return None


@lru_cache(maxsize=256)
def _find_override(cls: Any) -> str | None:
    """Return the name of a method that is not the one of the known base."""
    base = _known_base(cls)
    if cls is base:
        return None
    # `fit` and `predict` are named before the methods that they call.
    for name in sorted(dir(base), key=lambda name: (name.startswith("_"), name)):
        if _has_effect(name, base) and _lookup(cls, name) is not _lookup(base, name):
            return name
    return None


def _known_base(cls: Any) -> Any:
    """Return the first base that is a class of skmlp or a known Pipeline."""
    return next(
        base
        for base in cls.__mro__
        if base.__module__.startswith("skmlp.") or base.__module__ in _PIPELINE_MODULES
    )


def _has_effect(name: str, base: type) -> bool:
    """Return whether overriding an attribute can change what an estimator does."""
    if name in _NOT_FINGERPRINTED:
        return False
    if name.startswith("set_") and name.endswith("_request"):
        return False  # scikit-learn adds them to every subclass
    if name == "__init__":
        return issubclass(base, Pipeline)  # a search builds Pipelines of other steps
    if name.startswith("__") and name.endswith("__"):
        return name in _SPECIAL_METHODS or name.startswith("__sklearn_")
    return True


def _lookup(cls: type, name: str) -> Any:
    """Return an attribute of a class without calling descriptors."""
    return next(vars(k)[name] for k in cls.__mro__ if name in vars(k))
