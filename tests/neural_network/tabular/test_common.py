"""scikit-learn's checks of the estimators for tables."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmlp.neural_network import TabularClassifier, TabularRegressor

# Small, because the checks fit hundreds of times.
SIZE = {"n_estimators": 2, "max_iter": 30, "hidden_layer_sizes": (16,)}

SAMPLE_WEIGHT = (
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
)


def expected_failed_checks(estimator):
    """Return the checks that the estimators cannot pass, with the reason."""
    reason = (
        "the folds and the dropout cannot separate a sample of weight 2, but can "
        "separate two samples"
    )
    return dict.fromkeys(SAMPLE_WEIGHT, reason)


@pytest.mark.sklearn_checks
@parametrize_with_checks(
    [TabularClassifier(**SIZE), TabularRegressor(**SIZE)],
    expected_failed_checks=expected_failed_checks,
)
def test_estimator_passes_sklearn_check(estimator, check):
    check(estimator)
