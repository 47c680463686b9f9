"""Robust scaling with a smooth bound."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import RobustScaler

from skmlp.preprocessing import SmoothClipScaler


@pytest.fixture
def X():
    """Two columns with outliers."""
    return np.random.default_rng(0).standard_t(2, size=(300, 2))


def test_scaling_is_the_robust_one_with_a_smooth_clip(X):
    z = RobustScaler().fit_transform(X)
    expected = z / np.sqrt(1.0 + (z / 3.0) ** 2)
    assert_allclose(SmoothClipScaler().fit_transform(X), expected)


def test_inverse_restores_the_numbers(X):
    scaler = SmoothClipScaler().fit(X)
    assert_allclose(scaler.inverse_transform(scaler.transform(X)), X, rtol=1e-6)


def test_outliers_stay_within_the_bound(X):
    scaler = SmoothClipScaler(bound=2.0).fit(X)
    scaled = scaler.transform([[1e300, -1e300]])
    assert_allclose(scaled, [[2.0, -2.0]])
    assert np.isfinite(scaler.inverse_transform(scaled)).all()


def test_range_of_mostly_equal_values_is_half_of_the_full_range():
    X = np.array([[0.0]] * 9 + [[8.0]])
    assert_array_equal(SmoothClipScaler().fit(X).scale_, [4.0])


def test_constant_and_empty_columns_have_scale_one():
    X = np.array([[5.0, np.nan], [5.0, np.nan]])
    scaler = SmoothClipScaler().fit(X)
    assert_array_equal(scaler.scale_, [1.0, 1.0])
    assert_array_equal(scaler.transform(X), [[0.0, np.nan], [0.0, np.nan]])


@pytest.mark.parametrize("quantile_range", [(75, 25), (1,), (0, 200), ("a", "b")])
def test_wrong_quantile_range_raises(X, quantile_range):
    with pytest.raises(ValueError, match="must be two percentiles"):
        SmoothClipScaler(quantile_range=quantile_range).fit(X)
