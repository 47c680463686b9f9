"""Values that training recorded after every epoch."""

import math

import numpy as np
import pytest

from skmlp.neural_network._layers.history import values_by_epoch


@pytest.mark.parametrize(
    ("losses", "n_epochs", "expected"),
    [
        ([3.0, 2.0], 2, [3, 2]),
        ([3.0, None], 2, [3, math.nan]),
        ([2.0, 1.0], 4, [math.nan, math.nan, 2, 1]),
        ([4.0, 3.0, 2.0], 2, [3, 2]),
        ([None, None], 2, []),
        ([], 3, []),
        ([3.0], 0, []),
    ],
)
def test_values_belong_to_the_last_epochs(losses, n_epochs, expected):
    history = [{} if loss is None else {"valid_loss": loss} for loss in losses]
    values = values_by_epoch(history, "valid_loss", n_epochs)
    np.testing.assert_array_equal(values, expected)
