"""scikit-learn's checks of every transformer with several parameters."""

import warnings

import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmlp.preprocessing import (
    PiecewiseLinearEncoder,
    PixelScaler,
    PixelStandardizer,
    SmoothClipScaler,
)

TRANSFORMERS = [
    PiecewiseLinearEncoder(),
    PiecewiseLinearEncoder(n_bins=3, clip=False),
    SmoothClipScaler(),
    PixelScaler(),
    PixelScaler(feature_range=(-1, 1)),
    *(
        PixelStandardizer(scope=scope, with_mean=with_mean, with_std=with_std)
        for scope in ("feature", "channel", "global", "image")
        for with_mean, with_std in [(True, True), (False, True), (True, False)]
    ),
]

# Checks that check_estimator does not run.
FURTHER_CHECKS = [
    estimator_checks.check_set_output_transform,
    estimator_checks.check_set_output_transform_pandas,
    estimator_checks.check_global_output_transform_pandas,
    estimator_checks.check_transformer_get_feature_names_out,
    estimator_checks.check_transformer_get_feature_names_out_pandas,
    estimator_checks.check_dataframe_column_names_consistency,
    estimator_checks.check_param_validation,
]


@pytest.mark.sklearn_checks
@parametrize_with_checks(TRANSFORMERS)
def test_transformer_passes_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.sklearn_checks
@pytest.mark.parametrize("check", FURTHER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=repr)
def test_transformer_passes_further_check(transformer, check):
    with warnings.catch_warnings():
        # The checks fit with names and transform without, on purpose.
        warnings.filterwarnings("ignore", message="X (has|does not have valid) feature")
        check(type(transformer).__name__, clone(transformer))
