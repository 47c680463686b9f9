"""Losses of logits: with handwritten gradients, or given by the user."""

from skmlp.training.losses.base import OUTPUT_ACTIVATIONS, Loss, join_losses
from skmlp.training.losses.classification import (
    CLASSIFICATION_LOSSES,
    Hinge,
    KullbackLeibler,
    LogisticCrossEntropy,
    LogisticFocal,
    SoftmaxCrossEntropy,
    SoftmaxFocal,
    classification_loss,
)
from skmlp.training.losses.regression import (
    REGRESSION_LOSSES,
    AbsoluteError,
    Huber,
    LogCosh,
    Poisson,
    Quantile,
    SquaredError,
    regression_loss,
)
from skmlp.training.losses.user_loss import UserLoss, check_user_loss, try_user_loss

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
    "LogisticFocal",
    "Loss",
    "Poisson",
    "Quantile",
    "SoftmaxCrossEntropy",
    "SoftmaxFocal",
    "SquaredError",
    "UserLoss",
    "check_user_loss",
    "classification_loss",
    "join_losses",
    "regression_loss",
    "try_user_loss",
]
