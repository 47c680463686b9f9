"""The classes that a file may name; nothing else is ever made from one."""

from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skmlp import augmentation, neural_network, preprocessing

_OURS: list[type] = [
    getattr(package, name)
    for package in (augmentation, neural_network, preprocessing)
    for name in package.__all__
]

CLASSES: dict[str, type] = {
    **{f"skmlp.{cls.__name__}": cls for cls in _OURS if issubclass(cls, BaseEstimator)},
    "sklearn.FrozenEstimator": FrozenEstimator,
    "sklearn.Pipeline": Pipeline,
}

NAMES = {cls: name for name, cls in CLASSES.items()}
