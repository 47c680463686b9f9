"""scikit-learn's estimator checks, for every estimator and several parameters."""

import warnings
from inspect import signature

import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from skmlp.neural_network import (
    CNNClassifier,
    CNNRegressor,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
    TorchClassifier,
    TorchRegressor,
)

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
    ),
    # The checks fit convolutions to tables of a few columns.
    pytest.mark.filterwarnings("ignore::skmlp.exceptions.DataShapeWarning"),
]


class Perceptron(nn.Module):
    """A small module of a user."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.dense = nn.Linear(n_features, 30)
        self.output = nn.Linear(30, n_outputs)

    def forward(self, x):
        return self.output(self.dense(x).relu())


class TwoLogits(nn.Sequential):
    """A perceptron with a logit for each of two classes."""

    def __init__(self, n_features, n_classes):
        super().__init__(nn.Linear(n_features, 30), nn.ReLU(), nn.Linear(30, n_classes))


DEFAULT = [
    CNNClassifier(),
    CNNRegressor(),
    MLPClassifier(),
    MLPRegressor(),
    SoftmaxRegression(),
    TorchClassifier(Perceptron),
    TorchClassifier(TwoLogits),
    TorchRegressor(Perceptron),
]

OPTIONS = [
    CNNClassifier(early_stopping=True),
    CNNClassifier(dropout=0.5),
    CNNClassifier(conv_dropout=0.1, dropout=0.5),
    CNNClassifier(batch_norm=True),
    CNNClassifier(conv_dims=1),
    CNNRegressor(conv_dims=1, early_stopping=True),
    MLPClassifier(early_stopping=True),
    MLPClassifier(dropout=0.5),
    MLPClassifier(batch_norm=True),
    MLPRegressor(early_stopping=True),
    MLPRegressor(dropout=0.5),
    MLPRegressor(batch_norm=True),
    SoftmaxRegression(early_stopping=True),
]

SAMPLE_WEIGHT = (
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
)

# check_estimator does not run these.
FURTHER_CHECKS = [
    estimator_checks.check_dataframe_column_names_consistency,
    estimator_checks.check_n_features_in_after_fitting,
    estimator_checks.check_param_validation,
]


def expected_failed_checks(estimator):
    """Return the checks that the estimator cannot pass, with the reasons."""
    expected = {}
    if estimator.early_stopping:
        reason = (
            "the validation split cannot separate a sample of weight 2, "
            "but can separate two samples"
        )
        expected |= dict.fromkeys(SAMPLE_WEIGHT, reason)
    elif getattr(estimator, "dropout", 0):
        reason = "dropout treats two copies of a sample differently"
        expected |= dict.fromkeys(SAMPLE_WEIGHT, reason)
    elif getattr(estimator, "batch_norm", False):
        reason = "batch norm's mean and variance ignore sample weights"
        expected |= dict.fromkeys(SAMPLE_WEIGHT, reason)
    return expected


@pytest.mark.sklearn_checks
@parametrize_with_checks(
    [*DEFAULT, *OPTIONS],
    expected_failed_checks=expected_failed_checks,
    # scikit-learn 1.7 has no strict expected failures.
    **(
        {"xfail_strict": True}
        if "xfail_strict" in signature(parametrize_with_checks).parameters
        else {}
    ),
)
def test_estimator_passes_sklearn_check(estimator, check):
    check(estimator)


@pytest.mark.sklearn_checks
@pytest.mark.parametrize("check", FURTHER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", DEFAULT, ids=lambda e: type(e).__name__)
def test_estimator_passes_further_sklearn_check(estimator, check):
    with warnings.catch_warnings():
        # The checks fit with feature names and predict without them, on purpose.
        warnings.filterwarnings("ignore", message="X (has|does not have valid) feature")
        check(type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("estimator", DEFAULT, ids=lambda e: type(e).__name__)
def test_default_estimators_have_no_expected_failures(estimator):
    assert expected_failed_checks(estimator) == {}
