"""The piecewise-linear encoding of numeric columns."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmlp.preprocessing import PiecewiseLinearEncoder


@pytest.fixture
def X():
    """Two columns, of a normal and of a skewed distribution."""
    rng = np.random.default_rng(0)
    return np.column_stack([rng.normal(size=200), rng.exponential(size=200)])


def test_encoding_follows_the_formula_of_the_paper(X):
    encoder = PiecewiseLinearEncoder(4).fit(X)
    encoded = encoder.transform(X)
    for i, x in enumerate(X):
        values = []
        for column, edges in zip(x, encoder.bin_edges_, strict=True):
            for low, high in pairwise(edges):
                if column >= high:
                    values.append(1.0)
                elif column < low:
                    values.append(0.0)
                else:
                    values.append((column - low) / (high - low))
        assert_allclose(encoded[i], values)


def test_inverse_restores_the_numbers(X):
    encoder = PiecewiseLinearEncoder(5).fit(X)
    assert_allclose(encoder.inverse_transform(encoder.transform(X)), X)


def test_numbers_outside_the_range_are_clipped_or_extrapolated(X):
    outside = np.array([X.min(axis=0) - 1.0, X.max(axis=0) + 1.0])
    clipped = PiecewiseLinearEncoder(3).fit(X)
    assert_array_equal(clipped.transform(outside), [[0.0] * 6, [1.0] * 6])
    open_ended = PiecewiseLinearEncoder(3, clip=False).fit(X)
    assert open_ended.transform(outside)[0, 0] < 0.0
    assert open_ended.transform(outside)[1, -1] > 1.0
    restored = open_ended.inverse_transform(open_ended.transform(outside))
    assert_allclose(restored, outside)


def test_columns_of_few_values_have_fewer_bins():
    X = np.array([[0.0, 7.0], [1.0, 7.0], [1.0, 7.0], [2.0, 7.0]])
    encoder = PiecewiseLinearEncoder(24).fit(X)
    assert encoder.n_bins_[0] <= 24
    assert encoder.n_bins_[1] == 1
    encoded = encoder.transform(X)
    assert_array_equal(encoded[:, -1], 0.0)
    assert_allclose(encoder.inverse_transform(encoded), X)


def test_missing_values_stay_missing(X):
    X[3, 1] = np.nan
    encoder = PiecewiseLinearEncoder(4).fit(X)
    encoded = encoder.transform(X)
    assert_array_equal(np.isnan(encoded[3]), [False] * 4 + [True] * 4)
    assert not np.isnan(np.delete(encoded, 3, axis=0)).any()


def test_a_column_without_numbers_is_encoded_as_missing():
    X = np.array([[np.nan, 1.0], [np.nan, 2.0]])
    encoded = PiecewiseLinearEncoder(2).fit_transform(X)
    assert np.isnan(encoded[:, 0]).all()


def test_columns_are_named_after_their_bins(X):
    encoder = PiecewiseLinearEncoder(2).fit(X)
    names = ["a_bin0", "a_bin1", "b_bin0", "b_bin1"]
    assert_array_equal(encoder.get_feature_names_out(["a", "b"]), names)


def test_float32_stays_float32(X):
    encoder = PiecewiseLinearEncoder(4).fit(X.astype(np.float32))
    encoded = encoder.transform(X.astype(np.float32))
    assert encoded.dtype == np.float32
    assert encoder.inverse_transform(encoded).dtype == np.float32


def test_inverse_rejects_another_number_of_columns(X):
    encoder = PiecewiseLinearEncoder(4).fit(X)
    with pytest.raises(ValueError, match="the encoding has 8 columns"):
        encoder.inverse_transform(X)
