"""What gradients do to parameters, against autograd and by hand."""

import pytest
import torch
from torch.testing import assert_close

from skmlp.training.flat import FlatParameters
from skmlp.training.modules import build_mlp
from skmlp.training.optimizers import SGD
from skmlp.training.update import Update

ALPHA, TOTAL = (0.3, 0.7), 5.0


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


def update(flat, **options):
    defaults = {"alpha": ALPHA, "decoupled": False, "max_grad_norm": None}
    optimizer = SGD([flat.values], lr=0.1, momentum=0.0, nesterov=False)
    with torch.no_grad():
        return Update(flat, optimizer, **(defaults | options))


def test_the_penalty_is_what_autograd_makes_of_it(network, flat):
    copies = [p.detach().clone().requires_grad_() for p in flat.parameters]
    penalty = sum(
        0.5 * alpha / TOTAL * weight.square().sum()
        for alpha, weight in zip(ALPHA, copies, strict=False)
    )
    penalty.backward()
    before = flat.gradients.clone()
    with torch.no_grad():
        loss = update(flat).prepare(torch.tensor(2.0), TOTAL)
    assert_close(loss, 2.0 + penalty.detach())
    for parameter, copied in zip(flat.parameters, copies, strict=True):
        place = flat.place_of(parameter)
        added = flat.gradients[place] - before[place]
        own = torch.zeros_like(copied) if copied.grad is None else copied.grad
        assert_close(added.view(own.shape), own, rtol=1e-5, atol=1e-6)


def test_a_decoupled_penalty_shrinks_weights_and_leaves_loss_and_gradients(flat):
    gradients, values = flat.gradients.clone(), flat.values.clone()
    with torch.no_grad():
        loss = update(flat, decoupled=True).prepare(torch.tensor(2.0), TOTAL)
    assert loss == 2.0
    assert torch.equal(flat.gradients, gradients)
    factors = [1 - 0.1 * alpha for alpha in ALPHA] + [1.0, 1.0]  # biases stay
    for parameter, factor in zip(flat.parameters, factors, strict=True):
        place = flat.place_of(parameter)
        assert_close(flat.values[place], values[place] * factor)


def test_a_long_gradient_is_scaled_down_and_a_short_one_is_not(flat):
    flat.gradients.mul_(10.0 / flat.gradients.norm())
    long = flat.gradients.clone()
    with torch.no_grad():
        clipped = update(flat, alpha=0.0, max_grad_norm=2.0)
        clipped.prepare(torch.tensor(0.0), TOTAL)
        assert_close(flat.gradients, long / 5.0)
        clipped.max_grad_norm = 3.0
        short = flat.gradients.clone()
        clipped.prepare(torch.tensor(0.0), TOTAL)
    assert torch.equal(flat.gradients, short)


def test_a_step_moves_what_is_not_frozen(network, flat):
    moving = update(flat, alpha=0.0)
    first, second = network[0], network[-1]
    for parameter in second.parameters():
        parameter.requires_grad_(False)
    before = flat.values.clone()
    with torch.no_grad():
        moving.begin_epoch()
        moving.step()
    for layer, factor in ((first, 0.1), (second, 0.0)):
        place = flat.place_of(layer.weight)
        expected = before[place] - factor * flat.gradients[place]
        assert_close(flat.values[place], expected)
