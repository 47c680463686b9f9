"""The loss of an epoch, against a sum in float64."""

import numpy as np
import pytest
import torch

from skmlp.training import epoch_loss
from skmlp.training.epoch_loss import EpochLoss


@pytest.mark.parametrize("n", [0, 1, epoch_loss._MANY, 2 * epoch_loss._MANY + 1])
def test_it_is_the_weighted_sum(n):
    rng = np.random.default_rng(0)
    losses = rng.exponential(size=n).astype(np.float32)
    weights = rng.integers(0, 50, n)
    epoch = EpochLoss()
    for loss, weight in zip(torch.from_numpy(losses), weights.tolist(), strict=True):
        epoch.add(loss, float(weight))
    assert epoch.sum() == pytest.approx(losses.astype(float) @ weights, rel=1e-12)
    assert epoch.sum() == epoch.sum()
    assert epoch.whole == weights.sum()


def test_what_is_not_finite_stays_so():
    epoch = EpochLoss()
    epoch.add(torch.tensor(torch.inf), 1.0)
    epoch.add(torch.tensor(1.0), 1.0)
    assert epoch.sum() == np.inf
