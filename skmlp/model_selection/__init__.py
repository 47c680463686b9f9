"""Smaller training sets: one at a time, or a growing series as a ``cv=`` object."""

from ._subsample import subsample
from ._train_size_split import TrainSizeSplit

__all__ = ["TrainSizeSplit", "subsample"]
