"""Batches of a pack whose targets are its features."""

import numpy as np
import torch

from skmlp.training.data.batches import BatchLoader
from skmlp.training.data.device_data import DeviceData
from skmlp.training.packs.batches import PackBatches, batch_stream_key

CPU = torch.device("cpu")


def loaders_of(X, seeds):
    """Return a loader for each seed, all of the same data without targets."""
    data = DeviceData(X, None, None, torch.float64, CPU)
    return [BatchLoader(data, 4, np.random.RandomState(seed)) for seed in seeds]


def steps_of(loaders):
    """Return features and targets of the steps of an epoch."""
    batches = PackBatches(loaders, [batch_stream_key(loader) for loader in loaders])
    plan = batches.next_epoch(torch.float64, CPU)
    return list(batches.steps(plan, torch.float64))


def test_every_member_has_the_features_of_its_group_as_targets():
    X = np.arange(16, dtype=np.uint8).reshape(8, 2)
    for x, y in steps_of(loaders_of(X, [0, 0, 1, 1])):
        assert x.shape == (2, 4, 2)  # (groups, batch, features)
        assert y.shape == (4, 4, 2)  # (members, batch, features)
        assert torch.equal(y, x[[0, 0, 1, 1]])
        assert y.dtype == torch.float64


def test_single_members_share_features_and_targets():
    X = np.arange(16.0).reshape(8, 2)
    expected = [x for x, *_ in loaders_of(X, [1])[0]]
    steps = steps_of(loaders_of(X, [0, 1]))
    assert all(torch.equal(x, y) for x, y in steps)
    assert all(torch.equal(x[1], e) for (x, _), e in zip(steps, expected, strict=True))
