"""Names, shapes and costs of the layers of a network."""

import pytest
import torch
from torch import nn

from skmlp.training.modules.convolution import build_cnn
from skmlp.training.modules.introspection import (
    count_parameters,
    iterate_modules,
    layer_multiply_adds,
    layer_of_module,
    max_values_per_sample,
    module_outputs,
    modules_of_layer,
    multiply_adds,
    named_weight_layers,
    output_shapes,
)
from skmlp.training.modules.layers import BatchNorm1d, build_mlp

EXTRAS = {"dropout": 0.5, "batch_norm": True}


def make_cnn(**params):
    return build_cnn((5, 5, 1), 2, conv_channels=(3, 4), hidden_layer_sizes=6, **params)


def test_widest_layer_counts_values_of_a_sample():
    assert max_values_per_sample(build_mlp(4, [7, 3], 2), 4) == 7
    assert max_values_per_sample(build_mlp(9, [7, 3], 2), 9) == 9
    cnn = build_cnn((4, 4, 1), 2, conv_channels=(5,), hidden_layer_sizes=(6,))
    assert max_values_per_sample(cnn, 16) == 4 * 4 * 5


def test_multiply_adds_count_weights_at_every_position():
    assert multiply_adds(build_mlp(4, [7], 2), 4) == 4 * 7 + 7 * 2
    cnn = make_cnn(padding="valid", pool=None)
    first, second = (3 * 3) * 3 * 9, (1 * 1) * 4 * 9 * 3
    assert multiply_adds(cnn, 25) == first + second + 4 * 6 + 6 * 2


def test_layer_costs_add_up_to_the_network():
    for block in ("plain", "residual"):
        cnn = make_cnn(block=block)
        shapes = output_shapes(cnn, 25)
        costs = [layer_multiply_adds(layer, shape) for layer, shape in shapes.items()]
        assert sum(costs) == multiply_adds(cnn, 25)


def test_weight_layers_have_names_in_the_order_of_computation():
    names = [name for name, _ in named_weight_layers(make_cnn(block="residual"))]
    assert names == [
        "conv1",
        "block2.body.conv1",
        "block2.body.conv2",
        "block2.shortcut.conv",
        "dense1",
        "output",
    ]


@pytest.mark.parametrize("kernel_size", [2, 3])  # even kernels need a padding module
def test_every_module_with_a_suffix_belongs_to_a_layer(kernel_size):
    network = make_cnn(kernel_size=kernel_size, conv_dropout=0.5, **EXTRAS)
    names = [name for name, _ in network.named_children()]
    owners = {layer_of_module(name) for name in names}
    assert owners == {"image", "conv1", "conv2", "flatten", "dense1", "output"}
    for layer in ("conv1", "dense1"):
        for suffix, module in modules_of_layer(network, layer).items():
            assert network.get_submodule(f"{layer}_{suffix}") is module
    assert set(modules_of_layer(network, "dense1")) == {"norm", "activation", "dropout"}


def test_parameters_are_counted_with_or_without_frozen_ones():
    network = build_mlp(4, [3], 2)
    network.dense1.requires_grad_(False)
    assert count_parameters(network) == 15 + 8
    assert count_parameters(network, trainable=True) == 8


def test_layer_outputs_restore_modes_and_remove_hooks():
    network = build_mlp(4, [3], 2, **EXTRAS)
    network.dense1_dropout.eval()
    statistics = network.dense1_norm.running_mean.clone()
    outputs = {
        name: output for name, _, output in module_outputs(network, torch.ones(5, 4))
    }
    assert outputs["dense1_norm"].shape == (5, 3)
    assert network.training
    assert isinstance(network.dense1_norm, BatchNorm1d)
    assert network.dense1_norm.training
    assert not network.dense1_dropout.training
    assert torch.equal(network.dense1_norm.running_mean, statistics)
    assert not any(layer._forward_hooks for layer in network.modules())
    assert not any(layer._forward_pre_hooks for layer in network.modules())


def test_layer_outputs_remove_hooks_when_the_network_fails():
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(2, 1))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        module_outputs(network, torch.ones(5, 4))
    assert not any(layer._forward_hooks for layer in network.modules())


def test_modules_are_visited_in_the_order_of_torch():
    shared = nn.ReLU()
    network = nn.Sequential(
        nn.Linear(2, 3), nn.Sequential(shared, nn.Linear(3, 3), shared), nn.Linear(3, 1)
    )
    network.add_module("missing", None)
    assert list(iterate_modules(network)) == list(network.modules())
