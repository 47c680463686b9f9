"""A data set, and the models of `compare` that are trained on it for the pictures."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline, make_pipeline

from benchmarks.data.datasets import Data
from benchmarks.definitions.model import Model
from benchmarks.definitions.request import Request
from benchmarks.running import preparation


@dataclass
class TrainedModels:
    """Models of `compare`, each trained when it is first needed.

    Parameters
    ----------
    full_data : Data
        All images.
    request : Request
        Train size, device, and whether this is a trial.
    seed : int
        Seed of all weights and draws.
    """

    full_data: Data
    request: Request
    seed: int = 0
    _fitted: dict[str, Pipeline] = field(default_factory=dict)

    @cached_property
    def data(self) -> Data:
        """The samples of the requested train size."""
        return preparation.reduce_data(self.full_data, self.request)

    @property
    def images(self) -> np.ndarray:
        """Training images of shape (n, height, width[, 3])."""
        return self.as_images(self.data.X_train)

    def as_images(self, X: np.ndarray) -> np.ndarray:
        """Return flat samples as images with pixels in [0, 1]."""
        assert self.data.image_shape is not None
        assert self.data.pixel_max is not None
        return X.reshape(len(X), *self.data.image_shape) / self.data.pixel_max

    def model(self, name: str) -> Model:
        """Return the definition of a model."""
        (found,) = self.request.experiment.select((name,))
        return found

    def unfitted(self, name: str) -> Any:
        """Return the unfitted network of a model."""
        return preparation.build_estimator(
            self.model(name), self.data, self.request, self.seed
        )

    def fitted(self, name: str) -> Pipeline:
        """Return a model with its preprocessing, trained by the protocol."""
        if name not in self._fitted:
            rows = preparation.prepare_data(self.model(name), self.data)
            network = self.unfitted(name).set_params(record_train_score=True)
            held_out = rows.validation and dict(
                zip(("X_val", "y_val"), rows.validation, strict=True)
            )
            with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
                network.fit(*rows.train, **(held_out or {}))
            self._fitted[name] = make_pipeline(*rows.steps, network)
        return self._fitted[name]

    def accuracy(self, name: str) -> str:
        """Write the test accuracy of a model."""
        score = self.fitted(name).score(self.data.X_test, self.data.y_test)
        return f"{score:.4f}"
