import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skmlp.training.modules.activations import MODULES, is_non_decreasing
from skmlp.training.modules.convolution import (
    build_cnn,
    infer_image_shape,
)
from skmlp.training.modules.image_layers import ResidualBlock
from skmlp.training.modules.introspection import weight_layers
from skmlp.training.modules.layers import Dropout, initialize

TOLERANCE = {"rtol": 0, "atol": 1e-12}


def build(image_shape, n_outputs=10, **params):
    """Return an initialized network in float64 and evaluation mode."""
    network = build_cnn(image_shape, n_outputs, **params).double().eval()
    initialize(network, "auto", "relu", np.random.RandomState(0))
    return network


def rows(image_shape, n_samples=2, seed=0):
    """Return random flat images, and the same images unflattened."""
    images = np.random.default_rng(seed).normal(size=(n_samples, *image_shape))
    return torch.from_numpy(images.reshape(n_samples, -1)), images


def maps(network, x):
    """Return the output of every layer by name, channels last."""
    outputs = {}
    for name, layer in network.named_children():
        x = layer(x)
        outputs[name] = x.permute(0, 2, 3, 1) if x.dim() == 4 else x
    return {name: output.detach().numpy() for name, output in outputs.items()}


def windows(image, size, stride, padding, fill):
    """Return the windows of a channels-last batch by TensorFlow's padding guide.

    - 'same' gives ceil(n / stride) windows, with an odd pixel of padding at the end.
    - 'valid' gives ceil((n - size + 1) / stride) windows.
    """
    border = [(0, 0)]
    for n in image.shape[1:3]:
        total = 0
        if padding == "same":
            over = n % stride or stride
            total = max(size - over, 0)
        border.append((total // 2, total - total // 2))
    padded = np.pad(image, [*border, (0, 0)], constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))
    return view[:, ::stride, ::stride]  # (batch, height, width, channels, size, size)


def convolve(image, layer, stride, padding):
    """Return the cross-correlation with the layer's kernel, plus its bias."""
    kernel, bias = (p.detach().numpy() for p in (layer.weight, layer.bias))
    view = windows(image, kernel.shape[-1], stride, padding, 0.0)
    return np.einsum("nhwcij,fcij->nhwf", view, kernel) + bias


def pool_images(image, kind, size, padding):
    """Return the maximum or mean of the pixels that are not padding."""
    if kind is None:
        return image
    view = windows(image, size, size, padding, np.nan)
    return {"max": np.nanmax, "avg": np.nanmean}[kind](view, axis=(-2, -1))


def expected_side(n, window, stride, padding):
    """Return the side of the output by TensorFlow's documentation."""
    return math.ceil((n if padding == "same" else n - window + 1) / stride)


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
def test_convolutions_follow_the_padding_rule_of_tensorflow(kernel_size):
    for stride in (1, 2, 3):
        for padding in ("same", "valid"):
            for size in range(5, 13):
                shape = (size, size, 2)
                x, images = rows(shape, seed=size)
                for pool in (None, "max", "avg"):
                    for pool_size in (2,) if pool is None else (2, 3):
                        side = expected_side(size, kernel_size, stride, padding)
                        params = {
                            "conv_channels": 3,
                            "kernel_size": kernel_size,
                            "conv_strides": stride,
                            "padding": padding,
                            "pool": pool,
                            "pool_size": pool_size,
                            "activation": "identity",
                            "hidden_layer_sizes": (),
                        }
                        if padding == "valid" and pool and side < pool_size:
                            with pytest.raises(ValueError, match="pool_size="):
                                build(shape, 3, **params)
                            continue
                        network = build(shape, 3, **params)
                        conv = convolve(images, network.conv1, stride, padding)
                        pooled = pool_images(conv, pool, pool_size, padding)
                        if pool:
                            side = expected_side(side, pool_size, pool_size, padding)
                        found = maps(network, x)
                        assert found["conv1"].shape == conv.shape
                        np.testing.assert_allclose(found["conv1"], conv, **TOLERANCE)
                        last = found[
                            "conv1_activation" if pool != "avg" else "conv1_pool"
                        ]
                        assert last.shape == (2, side, side, 3)
                        np.testing.assert_allclose(last, pooled, **TOLERANCE)
                        assert network.output.in_features == side * side * 3
                        np.testing.assert_array_equal(
                            found["flatten"], last.reshape(2, -1)
                        )
                        assert found["output"].shape == (2, 3)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.integers(1, 3),
    kernel_size=st.integers(1, 6),
    stride=st.integers(1, 4),
    pool=st.sampled_from(["max", "avg"]),
    pool_size=st.integers(1, 6),
)
def test_same_padding_gives_the_promised_size_for_every_rectangle(
    height, width, channels, kernel_size, stride, pool, pool_size
):
    shape = (height, width, channels)
    x, images = rows(shape, n_samples=1)
    network = build(
        shape,
        conv_channels=2,
        kernel_size=kernel_size,
        conv_strides=stride,
        pool=pool,
        pool_size=pool_size,
        activation="identity",
    )
    conv = convolve(images, network.conv1, stride, "same")
    pooled = pool_images(conv, pool, pool_size, "same")
    found = maps(network, x)
    np.testing.assert_allclose(found["conv1"], conv, **TOLERANCE)
    np.testing.assert_allclose(found["conv1_pool"], pooled, **TOLERANCE)
    assert found["output"].shape == (1, 10)


@pytest.mark.parametrize("pool", ["max", "avg"])
@pytest.mark.parametrize(
    ("padding", "pool_padding", "side"),
    [
        ("same", None, 3),
        ("same", "valid", 2),
        ("valid", None, 2),
        ("valid", "same", 3),
    ],
)
def test_padding_decides_the_size_of_pooled_maps(pool, padding, pool_padding, side):
    network = build(
        (5, 5, 1),
        conv_channels=1,
        kernel_size=1,
        padding=padding,
        pool=pool,
        pool_padding=pool_padding,
    )
    x, _ = rows((5, 5, 1))
    assert maps(network, x)["conv1_pool"].shape == (2, side, side, 1)


def test_same_pooling_does_not_count_the_padding():
    x = torch.full((1, 25), -3.0, dtype=torch.float64)
    for pool in ("max", "avg"):
        network = build((5, 5, 1), conv_channels=1, kernel_size=1, pool=pool)
        nn.init.ones_(network.conv1.weight)
        nn.init.zeros_(network.conv1.bias)
        network.conv1_activation = nn.Identity()
        np.testing.assert_array_equal(maps(network, x)["conv1_pool"], -3.0)


def n_parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_fashion_network_has_the_expected_parameter_counts():
    network = build_cnn((28, 28, 1), 10, conv_channels=(32, 64), kernel_size=2)
    assert n_parameters(network.conv1) == 160
    assert n_parameters(network.conv2) == 8_256
    assert network.dense1.in_features == 7 * 7 * 64


@pytest.mark.parametrize(
    ("channels", "strides", "total"),
    [((10,), 2, 98_820), ((10, 40, 80), (2, 2, 1), 286_940)],
)
def test_comparison_networks_have_the_expected_parameter_counts(
    channels, strides, total
):
    network = build_cnn(
        infer_image_shape(784),
        10,
        conv_channels=channels,
        kernel_size=5,
        conv_strides=strides,
        pool=None,
        hidden_layer_sizes=50,
    )
    assert n_parameters(network) == total


def test_convolutions_before_batch_norm_have_a_bias():
    network = build_cnn(
        (8, 8, 3), 10, conv_channels=(4, 6), kernel_size=3, batch_norm=True
    )
    assert n_parameters(network.conv1) == (3 * 3 * 3 + 1) * 4
    assert n_parameters(network.conv2) == (4 * 3 * 3 + 1) * 6
    assert all(layer.bias is not None for layer in weight_layers(network))
    names = [name for name, _ in network.named_children()]
    assert names == [
        "image",
        *("conv1", "conv1_norm", "conv1_pool", "conv1_activation"),
        *("conv2", "conv2_norm", "conv2_pool", "conv2_activation"),
        "flatten",
        *("dense1", "dense1_norm", "dense1_activation"),
        "output",
    ]


@pytest.mark.parametrize("activation", sorted(MODULES))
def test_max_pooling_and_activation_commute(activation):
    network = build((7, 7, 2), conv_channels=3, activation=activation, batch_norm=True)
    names = [name for name, _ in network.named_children()]
    pool_first = names.index("conv1_pool") < names.index("conv1_activation")
    assert pool_first == is_non_decreasing(activation)

    x, _ = rows((7, 7, 2))
    z = network.conv1_norm(network.conv1(network.image(x)))
    expected = network.conv1_pool(network.conv1_activation(z))
    last = "conv1_activation" if pool_first else "conv1_pool"
    np.testing.assert_allclose(
        maps(network, x)[last], expected.detach().permute(0, 2, 3, 1), **TOLERANCE
    )


def test_average_pooling_follows_the_activation():
    network = build((6, 6, 1), conv_channels=2, pool="avg")
    x, _ = rows((6, 6, 1))
    found = maps(network, x)
    expected = pool_images(np.maximum(found["conv1"], 0), "avg", 2, "same")
    np.testing.assert_allclose(found["conv1_pool"], expected, **TOLERANCE)


@pytest.mark.parametrize(
    ("n_features", "shape"),
    [
        (1, (1, 1, 1)),
        (12, (2, 2, 3)),
        (13, (1, 13, 1)),
        (64, (8, 8, 1)),
        (784, (28, 28, 1)),
        (3072, (32, 32, 3)),
        (785, (1, 785, 1)),
    ],
)
def test_inferred_image_shape_is_gray_or_color_or_a_line(n_features, shape):
    assert infer_image_shape(n_features) == shape
    network = build(shape, 3, conv_channels=(2, 3))
    assert network(rows(shape)[0]).shape == (2, 3)


def test_color_pixels_are_read_channels_last():
    network = build((4, 5, 3), conv_channels=2, padding="valid", pool=None)
    x, images = rows((4, 5, 3))
    expected = convolve(images, network.conv1, 1, "valid")
    np.testing.assert_allclose(maps(network, x)["conv1"], expected, **TOLERANCE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("pool", ["max", "avg", None])
@pytest.mark.parametrize("block", ["plain", "residual"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_layer_keeps_channels_last(dtype, pool, block, channels):
    shape = (9, 9, channels)
    network = build_cnn(
        shape,
        10,
        conv_channels=(4, 6, 6),
        kernel_size=(2, 3, 3),
        conv_strides=(1, 2, 1),
        pool=pool,
        conv_dropout=0.5,
        batch_norm=True,
        block=block,
    ).to(dtype)
    layouts = {}

    def note(name):
        def hook(layer, inputs, output):
            if output.dim() == 4:
                layouts[name] = output.is_contiguous(memory_format=torch.channels_last)

        return hook

    for name, layer in network.named_modules():
        layer.register_forward_hook(note(name))
    x = rows(shape, n_samples=4)[0].to(dtype)
    network(x)
    assert len(layouts) > 12
    assert [name for name, kept in layouts.items() if not kept] == []
    images = network.image(x)
    assert images.data_ptr() == x.data_ptr()
    last = network[: list(dict(network.named_children())).index("flatten")](x)
    assert network.flatten(last).data_ptr() == last.data_ptr()


def test_sequences_set_each_convolution():
    network = build_cnn(
        (16, 16, 1),
        10,
        conv_channels=[2, 3, 4],
        kernel_size=np.array([3, 5, 1]),
        conv_strides=(1, 2, 1),
        pool=("max", None, "avg"),
        pool_size=(2, 2, 4),
        conv_dropout=(0, 0.25, 0.5),
        channel_dropout=True,
        hidden_layer_sizes=(8, 6),
        dropout=(0.1, 0),
    )
    convolutions = [network.conv1, network.conv2, network.conv3]
    assert [c.kernel_size for c in convolutions] == [(3, 3), (5, 5), (1, 1)]
    assert [c.stride for c in convolutions] == [(1, 1), (2, 2), (1, 1)]
    assert [c.out_channels for c in convolutions] == [2, 3, 4]
    pools = {n: m for n, m in network.named_children() if n.endswith("_pool")}
    assert list(pools) == ["conv1_pool", "conv3_pool"]
    assert isinstance(pools["conv1_pool"], nn.MaxPool2d)
    assert isinstance(pools["conv3_pool"], nn.AvgPool2d)
    dropouts = {n: m for n, m in network.named_children() if isinstance(m, Dropout)}
    assert {n: (m.p, m.channels) for n, m in dropouts.items()} == {
        "conv2_dropout": (0.25, True),
        "conv3_dropout": (0.5, True),
        "dense1_dropout": (0.1, False),
    }
    assert network.dense1.in_features == 1 * 1 * 4
    assert network(torch.zeros(5, 256)).shape == (5, 10)


def test_global_average_returns_the_mean_of_each_map():
    network = build(
        (6, 6, 1), conv_channels=5, head="global_average", hidden_layer_sizes=()
    )
    found = maps(network, rows((6, 6, 1))[0])
    mean = found["conv1_activation"].mean((1, 2))
    np.testing.assert_allclose(found["global_average"], mean, **TOLERANCE)
    assert network.output.in_features == 5
    hidden = build((6, 6, 1), conv_channels=5, head="global_average")
    assert (hidden.dense1.in_features, hidden.output.in_features) == (5, 128)


def residual(**params):
    return build((9, 9, 1), block="residual", pool=None, **params)


def test_residual_blocks_have_two_convolutions_and_a_shortcut():
    network = residual(conv_channels=(4, 4, 6), conv_strides=(1, 1, 2))
    assert isinstance(network.block2, ResidualBlock)
    assert len(list(weight_layers(network.block2.body))) == 2
    assert list(weight_layers(network.block2.shortcut)) == []
    (projection,) = weight_layers(network.block3.shortcut)
    assert projection.kernel_size == (1, 1)
    assert projection.stride == (2, 2)
    found = maps(network, rows((9, 9, 1))[0])
    assert found["conv1"].shape == (2, 9, 9, 4)
    assert found["block2"].shape == (2, 9, 9, 4)
    assert found["block3"].shape == (2, 5, 5, 6)


def test_residual_block_adds_its_body_to_its_shortcut():
    network = residual(conv_channels=(3, 5), conv_strides=(1, 2), kernel_size=(3, 2))
    found = maps(network, rows((9, 9, 1))[0])
    stem, block = found["conv1_activation"], network.block2
    inner = np.maximum(convolve(stem, block.body.conv1, 2, "same"), 0)
    body = convolve(inner, block.body.conv2, 1, "same")
    shortcut = convolve(stem, block.shortcut.conv, 2, "same")
    np.testing.assert_allclose(found["block2"], body + shortcut, **TOLERANCE)
    after = np.maximum(found["block2"], 0)
    np.testing.assert_array_equal(found["block2_activation"], after)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_residual_block_with_zero_weights_is_the_identity(batch_norm):
    network = residual(conv_channels=(4, 4), batch_norm=batch_norm)
    for p in network.block2.parameters():
        nn.init.zeros_(p)
    found = maps(network, rows((9, 9, 1))[0])
    np.testing.assert_array_equal(found["block2"], found["conv1_activation"])


def test_small_resnet_trains_every_parameter():
    network = build_cnn(
        (12, 12, 3),
        10,
        conv_channels=(8, 8, 16, 16),
        conv_strides=(1, 1, 2, 1),
        pool=(None, None, None, "max"),
        conv_dropout=0.1,
        hidden_layer_sizes=(),
        batch_norm=True,
        block="residual",
        head="global_average",
    )
    x = rows((12, 12, 3), n_samples=8)[0].float()
    network(x).square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    assert network.output.in_features == 16


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"kernel_size": (3, 3, 3)},
            r"^kernel_size has 3 entries, but conv_channels=\(32, 64\) has 2 \(one "
            r"entry for each convolution: a side, or a pair of height and width as in "
            r"kernel_size=\(\(3, 5\), \(3, 5\)\)\)\.$",
        ),
        ({"conv_strides": (1,)}, "^conv_strides has 1 entries, but conv_channels="),
        ({"pool": ["max"]}, "^pool has 1 entries, but conv_channels="),
        ({"pool_size": (2, 2, 2)}, "^pool_size has 3 entries, but conv_channels="),
        ({"conv_dropout": (0.1,)}, "^conv_dropout has 1 entries, but conv_channels="),
        ({"dropout": (0.1, 0.2)}, r"^dropout has 2 entries, but hidden_layer_sizes="),
        ({"conv_channels": ()}, "^conv_channels has no entries; give at least one"),
        (
            {"conv_channels": (32, 0)},
            r"^conv_channels must be positive integers, got 0\.$",
        ),
        ({"kernel_size": 2.5}, r"^kernel_size must be positive integers, got 2\.5\.$"),
        ({"conv_strides": (1, -1)}, "^conv_strides must be positive integers, got -1"),
        ({"pool_size": 0}, "^pool_size must be positive integers, got 0"),
        (
            {"hidden_layer_sizes": (8, 0)},
            "^hidden_layer_sizes must be positive integers, got 0",
        ),
        ({"pool": "mean"}, r"^pool must be 'max', 'avg' or None, got 'mean'\.$"),
        ({"pool": ("max", "sum")}, "^pool must be 'max', 'avg' or None, got 'sum'"),
        ({"padding": "full"}, "^padding must be 'same' or 'valid', got 'full'"),
        ({"pool_padding": 1}, "^pool_padding must be 'same', 'valid' or None, got 1"),
        ({"block": "dense"}, "^block must be 'plain' or 'residual', got 'dense'"),
        ({"head": "max"}, "^head must be 'dense' or 'global_average', got 'max'"),
        ({"conv_dropout": 1.0}, r"^conv_dropout must be in \[0, 1\), got 1\.0\.$"),
        (
            {"block": "residual", "padding": "valid"},
            r"^block='residual' needs padding='same', got 'valid'\.$",
        ),
        (
            {"padding": "valid", "kernel_size": 5},
            "^conv2 has kernel_size=5, but its images are 2x2 pixels; "
            r"use padding='same'\.$",
        ),
        (
            {"pool_padding": "valid", "pool_size": (2, 5)},
            "^conv2_pool has pool_size=5, but its images are 4x4 pixels; "
            r"use pool_padding='same'\.$",
        ),
    ],
)
def test_errors_name_the_parameter_and_its_remedy(params, message):
    with pytest.raises(ValueError, match=message):
        build_cnn((8, 8, 1), 10, **params)
