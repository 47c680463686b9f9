"""Updates of parameters: weight decay, clipping, frozen parameters."""

import pytest
import torch
from torch.testing import assert_close

from skmlp.training.modules.layers import build_mlp
from skmlp.training.optimizers.flat_optimizers import SGD
from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.optimizers.update import ParameterUpdater

DECAY = (0.3, 0.7)


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = build_mlp(4, [3], 2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network


@pytest.fixture
def flat(network):
    flat = FlatParameters(network)
    flat.gradients.normal_()
    return flat


def update(flat, decay=0.0, max_grad_norm=None):
    optimizer = SGD([flat.values], lr=0.1, momentum=0.0, nesterov=False)
    with torch.no_grad():
        return ParameterUpdater(flat, optimizer, decay, max_grad_norm)


def test_decay_shrinks_weights_and_keeps_gradients(flat):
    gradients, values = flat.gradients.clone(), flat.values.clone()
    with torch.no_grad():
        update(flat, DECAY).decay_and_clip()
    assert torch.equal(flat.gradients, gradients)
    factors = [1 - 0.1 * decay for decay in DECAY] + [1.0, 1.0]  # biases stay
    for parameter, factor in zip(flat.parameters, factors, strict=True):
        place = flat.slice_of(parameter)
        assert_close(flat.values[place], values[place] * factor)


def test_only_long_gradients_are_clipped(flat):
    flat.gradients.mul_(10.0 / flat.gradients.norm())
    long = flat.gradients.clone()
    with torch.no_grad():
        clipped = update(flat, max_grad_norm=2.0)
        clipped.decay_and_clip()
        assert_close(flat.gradients, long / 5.0)
        clipped.max_grad_norm = 3.0
        short = flat.gradients.clone()
        clipped.decay_and_clip()
    assert torch.equal(flat.gradients, short)


def test_step_changes_trainable_parameters_only(network, flat):
    moving = update(flat)
    first, second = network[0], network[-1]
    for parameter in second.parameters():
        parameter.requires_grad_(False)
    before = flat.values.clone()
    with torch.no_grad():
        moving.begin_epoch()
        moving.step()
    for layer, factor in ((first, 0.1), (second, 0.0)):
        place = flat.slice_of(layer.weight)
        expected = before[place] - factor * flat.gradients[place]
        assert_close(flat.values[place], expected)


def test_frozen_parameters_do_not_count_in_the_gradient_norm(network, flat):
    flat.gradients.zero_()  # the gaps between parameters too
    for parameter in network.parameters():
        parameter.grad.fill_(1.0)
    network.dense1.requires_grad_(False)
    with torch.no_grad():
        clipped = update(flat, max_grad_norm=0.5)
        clipped.begin_epoch()
        clipped.decay_and_clip()
    assert not network.dense1.weight.grad.any()
    trained = [network.output.weight.grad, network.output.bias.grad]
    norm = torch.cat([gradient.flatten() for gradient in trained]).norm()
    assert_close(norm, torch.tensor(0.5))
