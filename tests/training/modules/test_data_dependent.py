"""Initial weights that are fitted to samples."""

import numpy as np
import pytest
import torch
from torch import nn

from skmlp.training.modules.data_dependent import initialize_from_data
from skmlp.training.modules.introspection import module_outputs
from skmlp.training.modules.layers import build_mlp, initialize


@pytest.fixture
def x():
    """Samples whose columns have very different scales."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 4, generator=generator, dtype=torch.float64)
    return x * torch.tensor([1.0, 100.0, 0.01, 5.0]) + 3.0


@pytest.fixture
def network(x):
    """A perceptron of two hidden layers, fitted to the samples."""
    network = build_mlp(4, (6, 5), 2, activation="tanh", dropout=0.5).double()
    random_state = np.random.RandomState(0)
    initialize(network, "data_dependent", "tanh", random_state)
    initialize_from_data(network, x, random_state)
    return network


def test_outputs_before_the_activation_have_deviation_one(network, x):
    for name, layer, output in module_outputs(network, x):
        if isinstance(layer, nn.Linear) and name != "output":
            deviation = output.std(dim=0, correction=0)
            torch.testing.assert_close(deviation, torch.ones_like(deviation))


def test_outputs_before_the_activation_have_both_signs(network, x):
    for name, layer, output in module_outputs(network, x):
        if isinstance(layer, nn.Linear) and name != "output":
            positive = (output > 0).double().mean(dim=0)
            assert ((positive > 0.05) & (positive < 0.95)).all()


def test_last_layer_keeps_its_initial_weights(network):
    assert (network.output.bias == 0).all()


def test_constant_inputs_keep_finite_weights():
    network = build_mlp(2, (3,), 1).double()
    random_state = np.random.RandomState(0)
    initialize(network, "data_dependent", "relu", random_state)
    initialize_from_data(network, torch.ones(9, 2, dtype=torch.float64), random_state)
    assert all(torch.isfinite(p).all() for p in network.parameters())
