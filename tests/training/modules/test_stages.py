"""Sizes of kernels, strides and pools: one for all, one for each, pairs."""

import numpy as np
import pytest
import torch
from torch import nn

from skmlp.training.modules.convolution import build_cnn
from skmlp.training.modules.stages import Window, read_stages


def read(n_dims=2, channels=(8, 16), kernel_size=3, strides=1, pool_size=2):
    return read_stages(n_dims, channels, kernel_size, strides, "max", pool_size, 0.0)


@pytest.mark.parametrize(
    ("kernel_size", "windows"),
    [
        (3, [(3, 3), (3, 3)]),
        ((3, 5), [(3, 3), (5, 5)]),
        (((3, 5), (1, 2)), [(3, 5), (1, 2)]),
        ([[3, 5], 4], [(3, 5), (4, 4)]),
        (np.array([[3, 5], [1, 2]]), [(3, 5), (1, 2)]),
    ],
    ids=str,
)
def test_entry_is_a_side_or_a_pair_of_height_and_width(kernel_size, windows):
    assert [stage.kernel_size for stage in read(kernel_size=kernel_size)] == windows


def test_sizes_of_signals_have_height_1():
    stages = read(1, kernel_size=(3, 5), strides=2, pool_size=4)
    assert [stage.kernel_size for stage in stages] == [Window(1, 3), Window(1, 5)]
    assert {stage.stride for stage in stages} == {Window(1, 2)}
    assert {stage.pool_size for stage in stages} == {Window(1, 4)}


def test_pair_for_three_convolutions_explains_both_forms():
    message = (
        r"^kernel_size has 2 entries, but conv_channels=\(8, 8, 8\) has 3 \(one entry "
        r"for each convolution: a side, or a pair of height and width as in "
        r"kernel_size=\(\(3, 5\), \(3, 5\), \(3, 5\)\)\)\.$"
    )
    with pytest.raises(ValueError, match=message):
        read(channels=(8, 8, 8), kernel_size=(3, 5))


@pytest.mark.parametrize("name", ["kernel_size", "strides", "pool_size"])
def test_signals_take_no_pairs(name):
    with pytest.raises(ValueError, match=r"\(1, 3\).*signals have no height"):
        read(1, **{name: ((1, 3), 3)})


@pytest.mark.parametrize("entry", [(3, 5, 1), (3,), ()])
def test_entry_of_another_length_is_refused(entry):
    with pytest.raises(ValueError, match="a side or a pair"):
        read(kernel_size=(entry, 3))


@pytest.mark.parametrize("entry", [(3, 0), (3, 1.5), 0])
def test_sides_are_positive_integers(entry):
    with pytest.raises(ValueError, match="must be positive integers"):
        read(pool_size=(entry, 3))


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_rectangular_kernels_strides_and_pools_equal_the_layers_of_torch(padding):
    network = build_cnn(
        (9, 14, 2),
        3,
        conv_channels=4,
        kernel_size=((3, 5),),
        conv_strides=((1, 3),),
        padding=padding,
        pool_size=((2, 1),),
        pool_padding="valid",
        activation="identity",
        hidden_layer_sizes=(),
    ).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    # For a width of 14, a stride of 3 and 5 outputs: 12 + 5 - 14 columns of zeros.
    zeros = (1, 2, 1, 1) if padding == "same" else (0, 0, 0, 0)
    expected = nn.Sequential(
        nn.ZeroPad2d(zeros), nn.Conv2d(2, 4, (3, 5), (1, 3)), nn.MaxPool2d((2, 1))
    ).double()
    expected[1].load_state_dict(network.conv1.state_dict())
    x = torch.randn(6, 9, 14, 2, generator=torch.Generator().manual_seed(1)).double()
    maps = expected(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).flatten(1)
    torch.testing.assert_close(
        network(x.flatten(1)), network.output(maps), rtol=0, atol=1e-10
    )


def test_window_larger_than_the_sample_is_refused():
    sizes = {"conv_channels": 4, "padding": "valid"}
    with pytest.raises(ValueError, match=r"kernel_size=\(2, 9\), .* 8x8 pixels; use"):
        build_cnn((8, 8, 1), 3, kernel_size=((2, 9),), **sizes)
    with pytest.raises(ValueError, match=r"kernel_size=9, .* signals have 8 steps"):
        build_cnn((8, 2), 3, kernel_size=9, **sizes)
