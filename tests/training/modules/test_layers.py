"""Dropout, batch normalization, and the layers and weights of perceptrons."""

import numpy as np
import pytest
import torch
from torch import nn

from skmlp.training.modules.convolution import build_cnn
from skmlp.training.modules.introspection import weight_layers
from skmlp.training.modules.layers import (
    BatchNorm1d,
    Dropout,
    build_mlp,
    initialize,
    per_layer,
    set_dropout_generator,
    to_coefs_shape,
)


def names(network):
    return [name for name, _ in network.named_children()]


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_zeroes_a_fraction_and_keeps_the_mean(p):
    dropout = Dropout(p)
    dropout.generator = torch.Generator().manual_seed(0)
    y = dropout(torch.ones(200, 100, dtype=torch.float64))
    deviation = np.sqrt(p * (1 - p) / y.numel())
    assert abs((y == 0).double().mean() - p) < 4 * deviation
    assert abs(y.mean() - 1) < 4 * deviation / (1 - p)
    kept = y[y != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)))


def test_dropout_is_the_identity_in_evaluation_mode():
    x = torch.ones(3, 4)
    assert torch.equal(Dropout(0.5).eval()(x), x)


def test_dropout_draws_only_from_its_generator():
    dropout, x = Dropout(0.5), torch.ones(20, 10)
    before = torch.get_rng_state()
    found = []
    for seed in (1, 1, 2):
        dropout.generator = torch.Generator().manual_seed(seed)
        found.append(dropout(x))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last]
)
def test_channel_dropout_drops_whole_maps(memory_format):
    dropout = Dropout(0.5, channels=True)
    dropout.generator = torch.Generator().manual_seed(0)
    y = dropout(torch.ones(8, 6, 3, 3).contiguous(memory_format=memory_format))
    maps = y.flatten(2)
    assert torch.equal(maps.amin(2), maps.amax(2))
    assert maps.unique().tolist() == [0, 2]


def test_set_dropout_generator_reaches_every_layer():
    network = build_mlp(3, [4, 4], 2, dropout=0.5)
    generator = torch.Generator()
    set_dropout_generator(network, generator)
    assert network.dense1_dropout.generator is generator
    assert network.dense2_dropout.generator is generator


def test_single_samples_are_normalized_by_running_statistics():
    norm = BatchNorm1d(3)
    norm(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * 2 + 1)
    mean, tracked = norm.running_mean.clone(), norm.num_batches_tracked.clone()
    row = torch.ones(1, 3)
    while_training = norm(row)
    assert torch.equal(norm.running_mean, mean)
    assert torch.equal(norm.num_batches_tracked, tracked)
    assert torch.equal(while_training, norm.eval()(row))


def test_larger_batches_are_normalized_as_in_torch():
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(BatchNorm1d(3)(x), nn.BatchNorm1d(3)(x))


def test_normalized_feature_maps_accept_a_single_sample():
    network = build_cnn((2, 2, 1), 3, conv_channels=(4, 4), batch_norm=True)
    initialize(network, "auto", "relu", np.random.RandomState(0))
    assert network.train()(torch.ones(1, 4)).isfinite().all()


def test_perceptron_has_the_expected_layers():
    network = build_mlp(4, [3, 2], 3, activation="tanh", dropout=[0.0, 0.5])
    assert names(network) == [
        "dense1",
        "dense1_activation",
        "dense2",
        "dense2_activation",
        "dense2_dropout",
        "output",
    ]


def test_normalization_comes_before_the_activation():
    network = build_mlp(4, [3], 3, batch_norm=True)
    assert names(network) == ["dense1", "dense1_norm", "dense1_activation", "output"]


def test_network_without_hidden_layers_is_linear():
    assert names(build_mlp(4, [], 3)) == ["output"]


def test_per_layer_repeats_scalars_and_refuses_wrong_lengths():
    assert per_layer("dropout", 0.5, 2, "") == (0.5, 0.5)
    assert per_layer("dropout", np.array([0.5, 0.1]), 2, "") == (0.5, 0.1)
    with pytest.raises(ValueError, match="dropout has 1 entries, but there are two"):
        per_layer("dropout", [0.5], 2, "there are two")


def test_weights_are_drawn_in_the_order_of_scikit_learn():
    network = build_mlp(4, [3], 2).double()
    initialize(network, "auto", "relu", np.random.RandomState(0))
    random_state = np.random.RandomState(0)
    for layer, shape in zip(weight_layers(network), [(4, 3), (3, 2)], strict=True):
        bound = np.sqrt(6 / sum(shape))
        weight = to_coefs_shape(layer.weight).detach()
        np.testing.assert_array_equal(
            weight, random_state.uniform(-bound, bound, shape)
        )
        np.testing.assert_array_equal(
            layer.bias.detach(), random_state.uniform(-bound, bound, shape[1])
        )


def test_kernels_are_drawn_in_height_width_in_out_order():
    network = build_cnn((4, 4, 2), 2, conv_channels=(5,), kernel_size=3).double()
    initialize(network, "auto", "relu", np.random.RandomState(0))
    weight = to_coefs_shape(network.conv1.weight.detach())
    bound = np.sqrt(6 / (9 * 2 + 9 * 5))
    expected = np.random.RandomState(0).uniform(-bound, bound, (3, 3, 2, 5))
    np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", ["relu", "prelu"])
def test_building_a_network_does_not_change_the_global_generator(
    activation, batch_norm
):
    before = torch.get_rng_state()
    params = {"activation": activation, "batch_norm": batch_norm, "dropout": 0.5}
    for network in (
        build_mlp(4, [3], 2, **params),
        build_cnn((4, 4, 1), 2, conv_channels=(2, 2), block="residual", **params),
    ):
        initialize(network, "he_normal", activation, np.random.RandomState(0))
        assert all(p.isfinite().all() for p in network.parameters())
        assert all(b.isfinite().all() for b in network.buffers())
    assert torch.equal(torch.get_rng_state(), before)
