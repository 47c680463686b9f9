"""The R2 score of the validation set equals scikit-learn's, without its checks."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from skmlp.neural_network._base.regressor import _r2_score

rng = np.random.RandomState(0)
ONE, MANY = rng.normal(size=(50, 1)), rng.normal(size=(50, 3))
CONSTANT = np.column_stack([np.ones((50, 2)), MANY[:, 0]])


@pytest.mark.parametrize(
    "weight", [None, rng.uniform(size=50)], ids=["unweighted", "weighted"]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("y", [ONE, MANY, CONSTANT], ids=["one", "many", "constant"])
def test_r2_score_equals_sklearn(y, dtype, weight):
    predicted = (y + 0.1 * rng.normal(size=y.shape)).astype(dtype)
    predicted[:, 0] = y[:, 0]
    expected = r2_score(y, predicted, sample_weight=weight)
    assert _r2_score(y, predicted, weight) == expected
    worse = predicted + np.float32(1.0)
    assert _r2_score(y, worse, weight) == r2_score(y, worse, sample_weight=weight)


@pytest.mark.filterwarnings("ignore:R.2 score is not well-defined")
def test_r2_score_of_one_sample_is_nan():
    assert np.isnan(_r2_score(ONE[:1], ONE[:1], None))
