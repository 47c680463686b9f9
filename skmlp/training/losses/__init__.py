"""Losses of logits, with handwritten gradients."""

from skmlp.training.losses.base import OUTPUT_ACTIVATIONS, Loss
from skmlp.training.losses.classification import (
    CLASSIFICATION_LOSSES,
    Hinge,
    KullbackLeibler,
    LogisticCrossEntropy,
    SoftmaxCrossEntropy,
    classification_loss,
)
from skmlp.training.losses.regression import (
    REGRESSION_LOSSES,
    AbsoluteError,
    Huber,
    LogCosh,
    Poisson,
    SquaredError,
)

__all__ = [
    "CLASSIFICATION_LOSSES",
    "OUTPUT_ACTIVATIONS",
    "REGRESSION_LOSSES",
    "AbsoluteError",
    "Hinge",
    "Huber",
    "KullbackLeibler",
    "LogCosh",
    "LogisticCrossEntropy",
    "Loss",
    "Poisson",
    "SoftmaxCrossEntropy",
    "SquaredError",
    "classification_loss",
]
