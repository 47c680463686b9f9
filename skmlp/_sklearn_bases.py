"""The base classes and decorators of scikit-learn that carry types.

scikit-learn ships no types. A type checker therefore takes its base classes for `Any`,
and then every attribute of a subclass as well, misspelt ones included. An untyped
decorator turns a method into `Any` in the same way.

This module only imports the names. The stub file next to it declares their types, with
the attributes and methods that skmlp or its users call. A stub costs nothing at run
time, and `mypy.stubtest` compares it with scikit-learn in the tests.
"""

from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    OneToOneFeatureMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.ensemble import BaseEnsemble
from sklearn.model_selection import (
    BaseCrossValidator,
    GridSearchCV,
    RandomizedSearchCV,
)
from sklearn.utils import Bunch
from sklearn.utils.metaestimators import available_if

from skmlp._sklearn_compat import (
    BaseSearchCV,
    CallbackSupportMixin,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    fit_context,
    validate_params,
)

__all__ = [
    "BaseCrossValidator",
    "BaseEnsemble",
    "BaseEstimator",
    "BaseSearchCV",
    "Bunch",
    "CallbackSupportMixin",
    "ClassNamePrefixFeaturesOutMixin",
    "ClassifierMixin",
    "GridSearchCV",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
    "OneToOneFeatureMixin",
    "RandomizedSearchCV",
    "RegressorMixin",
    "TransformerMixin",
    "available_if",
    "fit_context",
    "validate_params",
]
