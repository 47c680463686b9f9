"""A classifier that records what reaches its fit, and an experiment that uses it."""

import sys
from types import ModuleType

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from benchmarks.data.datasets import Data
from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.model import Component, Model, Validation
from benchmarks.definitions.request import Request


class SpyClassifier(LogisticRegression):
    """Logistic regression with a validation set in fit and a network's attributes."""

    calls: list[dict]
    warm_ups: list[dict]
    fails = ""

    def __init__(self, max_iter=50, random_state=None):
        super().__init__(max_iter=max_iter, random_state=random_state)

    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
        noted = self.warm_ups if self.max_iter == 1 else self.calls
        noted.append({"X": X, "y": y, "X_val": X_val, "y_val": y_val})
        if self.fails:
            raise ValueError(self.fails)
        super().fit(X, y)
        self.coefs_, self.intercepts_ = [self.coef_.T], [self.intercept_]
        self.n_iter_, self.best_epoch_ = 3, 2
        self.loss_curve_ = [1.0, 0.5, float("inf")]
        self.validation_scores_ = None if X_val is None else [0.1, 0.2]
        return self


@pytest.fixture
def spy(monkeypatch):
    """Make the spy importable by a definition, as ``spies.SpyClassifier``."""
    module = ModuleType("spies")
    module.SpyClassifier = SpyClassifier
    monkeypatch.setitem(sys.modules, "spies", module)
    monkeypatch.setattr(SpyClassifier, "calls", [], raising=False)
    monkeypatch.setattr(SpyClassifier, "warm_ups", [], raising=False)
    return SpyClassifier


@pytest.fixture
def experiment(spy):
    """Two models: one with a drawn validation set, one with the last samples."""
    estimator = Component("spies.SpyClassifier", {"max_iter": 200})
    return Experiment(
        name="spied",
        summary="the spy with validation rows drawn and the last",
        models=(
            Model("drawn", estimator, (), Validation(0.1, 4487), (0.8, 0.9)),
            Model("last", estimator, (), Validation(0.2)),
        ),
        dataset="digits",
        seeds=2,
        reported_for=("digits", None),
    )


@pytest.fixture
def request_(experiment):
    return Request(experiment, dataset="digits", seeds=2)


@pytest.fixture
def data():
    """Samples that encode their index and set: train 0, 1, ...; test -1, -2, ..."""
    train, test = np.arange(100.0), -1 - np.arange(40.0)
    return Data(
        "digits",
        np.column_stack([train, train % 2, train, train]),
        (train % 2).astype(int),
        np.column_stack([test, test % 2, test, test]),
        (test % 2).astype(int),
        pixel_max=255.0,
        image_shape=(2, 2),
    )


@pytest.fixture
def records(request_, data):
    from benchmarks.running.fitting import run_all

    return list(run_all(request_, data))
