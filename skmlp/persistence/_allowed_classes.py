"""The classes that a model file may name; loading creates no other objects."""

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skmlp import augmentation, neural_network, preprocessing
from skmlp._sklearn_bases import BaseEstimator

_PUBLIC_CLASSES: list[type] = [
    getattr(package, name)
    for package in (augmentation, neural_network, preprocessing)
    for name in package.__all__
]

ALLOWED_CLASSES: dict[str, type] = {
    **{
        f"skmlp.{cls.__name__}": cls
        for cls in _PUBLIC_CLASSES
        if issubclass(cls, BaseEstimator)
    },
    "sklearn.FrozenEstimator": FrozenEstimator,
    "sklearn.Pipeline": Pipeline,
}

CLASS_NAMES = {cls: name for name, cls in ALLOWED_CLASSES.items()}
