"""Parameters and gradients as views of two vectors."""

import pytest
import torch
from torch import nn

from skmlp.training.modules.convolution import build_cnn
from skmlp.training.modules.layers import build_mlp
from skmlp.training.optimizers.flat_parameters import FlatParameters


def filled(network):
    with torch.no_grad():
        for i, parameter in enumerate(network.parameters()):
            parameter.copy_(torch.arange(parameter.numel()).view_as(parameter) + i)
    return network


@pytest.fixture(params=["mlp", "cnn"])
def network(request):
    if request.param == "mlp":
        return filled(build_mlp(5, [4, 3], 2, activation="prelu", batch_norm=True))
    return filled(build_cnn((4, 4, 1), 3, conv_channels=(2,), hidden_layer_sizes=(5,)))


def test_parameters_become_views_with_their_values(network):
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    flat = FlatParameters(network)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter, before[name], rtol=0, atol=0)
    flat.values.mul_(2)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter, 2 * before[name], rtol=0, atol=0)


def test_gradients_arrive_in_the_vector(network):
    flat = FlatParameters(network)
    n_inputs = 5 if isinstance(network[0], nn.Linear) else 16
    network(torch.ones(3, n_inputs)).square().sum().backward()
    total = sum(p.grad.square().sum() for p in network.parameters())
    torch.testing.assert_close(flat.gradients.square().sum(), total)
    assert flat.values.grad is flat.gradients
    for parameter in network.parameters():
        view = flat.gradient_of(parameter)
        assert view.data_ptr() == parameter.grad.data_ptr()


def test_every_parameter_is_aligned(network):
    FlatParameters(network)
    assert all(p.data_ptr() % 64 == 0 for p in network.parameters())


def test_gaps_between_parameters_stay_zero(network):
    flat = FlatParameters(network)
    n_parameters = sum(p.numel() for p in network.parameters())
    assert (flat.values != 0).sum() <= n_parameters <= flat.values.numel()


def test_kernels_keep_their_layout():
    network = build_cnn((4, 4, 3), 2, conv_channels=(2,))
    FlatParameters(network)
    assert network.conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_frozen_parameters_are_not_in_the_vector():
    network = filled(build_mlp(5, [4], 2))
    network.dense1.weight.requires_grad_(False)
    before = network.dense1.weight.detach().clone()
    flat = FlatParameters(network)
    flat.values.zero_()
    torch.testing.assert_close(network.dense1.weight.detach(), before, rtol=0, atol=0)
    assert flat.gradient_of(network.dense1.weight) is None
    assert network.dense1.weight.grad is None


def penalized(flat, alpha):
    """Return the sum of penalized squares, each times its strength."""
    return sum(
        strength * flat.values[place].dot(flat.values[place]).item()
        for place, strength in flat.weight_slices_by_strength(alpha)
    )


def test_penalized_slices_hold_weights_only(network):
    flat = FlatParameters(network)
    layers = [m for m in network.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    squares = [layer.weight.detach().square().sum().item() for layer in layers]
    assert penalized(flat, 0.5) == pytest.approx(0.5 * sum(squares))
    alphas = [0.1 * (i + 1) for i in range(len(layers))]
    expected = sum(a * s for a, s in zip(alphas, squares, strict=True))
    assert penalized(flat, alphas) == pytest.approx(expected)


def test_zero_penalty_has_no_slices(network):
    assert FlatParameters(network).weight_slices_by_strength(0.0) == []
