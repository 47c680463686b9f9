"""Layers of signals compute what torch's layers compute, and stay channels last."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skmlp.training.modules.convolution import build_cnn
from skmlp.training.modules.layers import Dropout, initialize
from skmlp.training.modules.signal_layers import (
    AvgPool1d,
    Conv1d,
    MaxPool1d,
    ZeroPad1d,
)

LAYERS = {
    "convolution": Conv1d(3, 4, 5, 2, padding=1),
    "padding": ZeroPad1d((1, 2)),
    "max pooling": MaxPool1d((3,), padding=(1,), ceil_mode=True),
    "average pooling": AvgPool1d(
        (3,), padding=(1,), ceil_mode=True, count_include_pad=False
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_signal_layer_equals_the_layer_of_torch(name):
    layer = LAYERS[name].double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    signals = torch.randn(2, 17, 3, generator=torch.Generator().manual_seed(1))
    x = signals.double().movedim(-1, 1)
    torchs = next(c for c in type(layer).__mro__ if c.__module__.startswith("torch"))
    assert torchs is not nn.Module
    torch.testing.assert_close(layer(x), torchs.forward(layer, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_signal_layer_keeps_its_output_channels_last(name):
    layer = LAYERS[name].double()
    output = layer(torch.zeros(2, 17, 3, dtype=torch.float64).movedim(-1, 1))
    assert output.movedim(1, -1).is_contiguous()


def test_convolution_draws_no_weights_from_the_global_generator():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Conv1d(2, 3, 3)
    assert torch.equal(torch.get_rng_state(), before)


def build(image_shape, **params):
    network = build_cnn(image_shape, 3, conv_channels=(4, 5), **params).double().eval()
    initialize(network, "auto", "relu", np.random.RandomState(0))
    return network


@settings(max_examples=30, deadline=None)
@given(
    length=st.integers(1, 20),
    channels=st.integers(1, 3),
    kernel_size=st.integers(1, 6),
    stride=st.integers(1, 3),
    pool=st.sampled_from(["max", "avg", None]),
    pool_size=st.integers(1, 4),
    block=st.sampled_from(["plain", "residual"]),
    batch_norm=st.booleans(),
    head=st.sampled_from(["dense", "global_average"]),
)
def test_network_of_signals_equals_the_network_of_images_of_height_1(
    length, channels, kernel_size, stride, pool, pool_size, block, batch_norm, head
):
    shared = {"pool": pool, "block": block, "batch_norm": batch_norm, "head": head}
    sizes = {"kernel_size": kernel_size, "conv_strides": stride, "pool_size": pool_size}
    pairs = {name: ((1, size),) * 2 for name, size in sizes.items()}
    signals = build((length, channels), **shared, **sizes)
    images = build((1, length, channels), **shared, **pairs)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(3, length * channels)))
    torch.testing.assert_close(signals(x), images(x), rtol=0, atol=1e-10)


def test_network_of_signals_equals_a_network_of_torch_layers():
    network = build((30, 2), kernel_size=(5, 3), hidden_layer_sizes=6)
    layers = [
        nn.Conv1d(2, 4, 5, padding="same"),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(4, 5, 3, padding="same"),
        nn.ReLU(),
        nn.MaxPool1d(2, ceil_mode=True),
    ]
    dense = [nn.Flatten(), nn.Linear(40, 6), nn.ReLU(), nn.Linear(6, 3)]
    torchs = nn.Sequential(*layers, *dense).double()
    for ours, theirs in zip(network.parameters(), torchs.parameters(), strict=True):
        theirs.data.copy_(ours)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(7, 30, 2)))
    maps = nn.Sequential(*layers).double()(x.transpose(1, 2))
    # Flattened maps are channels last in our network, as in Keras.
    expected = nn.Sequential(*dense).double()(maps.transpose(1, 2))
    torch.testing.assert_close(network(x.flatten(1)), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("channels", [False, True])
def test_dropout_of_signals_equals_dropout_of_images_of_height_1(channels):
    masks = []
    for shape in ((4, 3, 10), (4, 3, 1, 10)):
        dropout = Dropout(0.5, channels)
        dropout.generator = torch.Generator().manual_seed(0)
        masks.append(dropout.mask(torch.ones(shape)).view(4, 3, -1))
    assert torch.equal(*masks)
