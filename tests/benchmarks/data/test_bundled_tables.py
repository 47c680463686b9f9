import numpy as np
import pytest

from benchmarks.data.bundled_tables import TABLES, california_like


def test_california_like_districts_match_their_description():
    X, y = california_like(2_000)
    again, _ = california_like(2_000)
    np.testing.assert_array_equal(X, again)
    assert X.shape == (2_000, 8)
    assert np.bincount(y).tolist() == [1_000, 1_000]
    assert ((X[:, 6] >= 32.5) & (X[:, 6] <= 42)).all()
    # Expensive districts have higher incomes and lie further west for their latitude.
    assert X[y == 1, 0].mean() > X[y == 0, 0].mean() + 0.5


@pytest.mark.parametrize("name", TABLES)
def test_bundled_table_has_only_finite_numbers(name):
    X, y = TABLES[name]()
    assert len(X) == len(y)
    assert np.isfinite(X).all()
