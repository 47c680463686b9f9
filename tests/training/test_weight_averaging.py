"""The exponential moving average of weights."""

import numpy as np
import torch

from skmlp.training.modules.layers import build_mlp
from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.weight_averaging import AveragedWeights


def make(decay, batch_norm=False):
    network = build_mlp(3, [2], 2, batch_norm=batch_norm)
    flat = FlatParameters(network)
    flat.values.zero_()
    return network, flat, AveragedWeights(flat, network, decay)


def test_average_follows_its_recursion():
    _, flat, averaged = make(0.5)
    expected, drawn = 0.0, np.random.RandomState(0).rand(20)
    for t, value in enumerate(drawn, start=1):
        flat.values.fill_(value)
        averaged.update(averaged.next_factor())
        decay = min(0.5, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * value
    averaged.apply()
    torch.testing.assert_close(
        flat.values, torch.full_like(flat.values, expected), rtol=1e-6, atol=0
    )


def test_trained_weights_return_after_the_averaged_block():
    network, flat, averaged = make(0.9, batch_norm=True)
    flat.values.fill_(1.0)
    averaged.update(averaged.next_factor())
    before = [flat.values.clone(), *(b.clone() for b in network.buffers())]
    with averaged.temporarily_applied():
        assert not torch.equal(flat.values, before[0])
    for now, then in zip([flat.values, *network.buffers()], before, strict=True):
        assert torch.equal(now, then)


def test_running_statistics_are_averaged_and_counts_copied():
    network, _, averaged = make(0.0, batch_norm=True)
    network.train()(torch.randn(8, 3))
    averaged.update(averaged.next_factor())
    expected = [b.clone() for b in network.buffers()]
    averaged.apply()
    for now, then in zip(network.buffers(), expected, strict=True):
        torch.testing.assert_close(now, then)
