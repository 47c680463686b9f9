"""Handwritten convolutions compute the gradients of autograd, on any threads."""

import pytest
import torch
import torch.nn.functional as F

from skmlp.training.compute.ambient_modes import inference_mode
from skmlp.training.compute.seeds import resolve_random_state
from skmlp.training.losses import SoftmaxCrossEntropy
from skmlp.training.modules.convolution import build_cnn
from skmlp.training.modules.layers import initialize
from skmlp.training.optimizers.flat_optimizers import SGD
from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.optimizers.penalty import Penalty
from skmlp.training.steps import make_step, threads_for_step
from skmlp.training.steps.autograd_step import AutogradStep
from skmlp.training.steps.handwritten_convolution import HandwrittenConvolutions
from skmlp.training.steps.image_stages import group_stages


def image_layers(image_shape=(8, 8, 1), dtype=torch.float64, **params):
    """Return the layers of a network before its dense ones."""
    params = {"conv_channels": (3, 4), "activation": "relu"} | params
    network = build_cnn(image_shape, 3, hidden_layer_sizes=(), **params)[:-1]
    network = network.to(dtype)
    initialize(network, "auto", params["activation"], resolve_random_state(0))
    return network


def convolutions_of(network, flat, amp=False):
    """Return convolutions whose chunks hold few samples."""
    stages = group_stages(network)
    assert stages is not None
    return HandwrittenConvolutions(stages, flat, amp, values_per_chunk=200)


def gradients_of(flat, convolutions, x, grad):
    flat.gradients.fill_(torch.nan)
    features, saved = convolutions.forward(x, training=True)
    features = features.clone()  # the next forward pass overwrites them
    convolutions.backward(grad, saved)
    return features, [flat.gradient_of(p).clone() for p in flat.parameters]


def inputs_of(network, n_samples=7, n_features=64, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n_samples, n_features, generator=generator, dtype=dtype)
    x[:, : n_features // 3] = 0.0  # windows of equal maxima
    grad = torch.randn(network(x).shape, generator=generator, dtype=dtype)
    return x, grad


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"kernel_size": 2},
        {"kernel_size": (4, 5)},
        {"kernel_size": ((1, 3), (3, 2))},
        {"kernel_size": 2, "conv_strides": (2, 1), "pool_size": (2, 1)},
        {"conv_strides": ((1, 2), 1), "pool": (None, "max")},
        {"pool": None},
        {"pool": ("max", None), "pool_size": ((4, 1), 2)},
        {"pool_size": ((1, 2), (2, 2))},
        {"kernel_size": 3, "padding": "valid", "pool": ("max", None)},
        {"conv_channels": (2, 3, 4)},
        {"conv_channels": 3},
        {"activation": "tanh"},
        {"activation": "logistic"},
        {"activation": "identity"},
        {"image_shape": (4, 8, 2), "kernel_size": 2},
        {"image_shape": (1, 64, 1)} | {"pool_size": ((1, 2), (1, 2))},
    ],
    ids=str,
)
def test_gradients_match_autograd(params):
    network = image_layers(**params)
    flat = FlatParameters(network)
    x, grad = inputs_of(network)
    convolutions = convolutions_of(network, flat)
    assert convolutions.count_chunks(len(x)) > 1
    flat.gradients.zero_()
    expected = network(x)
    expected.backward(grad)
    expected_gradients = [flat.gradient_of(p).clone() for p in flat.parameters]
    for _ in range(2):  # the memory of the first step is used again
        features, gradients = gradients_of(flat, convolutions, x, grad)
        torch.testing.assert_close(features, expected.detach(), rtol=0, atol=1e-12)
        torch.testing.assert_close(gradients, expected_gradients, rtol=0, atol=1e-10)


def test_batches_of_other_sizes_are_computed():
    network = image_layers()
    convolutions = convolutions_of(network, FlatParameters(network))
    x, _ = inputs_of(network)
    for n_samples in (7, 2, 1, 5):
        features, _ = convolutions.forward(x[:n_samples])
        expected = network(x[:n_samples]).detach()
        torch.testing.assert_close(features, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("pool", [None, ("max", None)])
def test_mixed_precision_rounds_maps_and_gradients(pool):
    """The maxima of the first stage are taken before the rounding."""
    network = image_layers(dtype=torch.float32, activation="tanh", pool=pool)
    flat = FlatParameters(network)
    x, grad = inputs_of(network, dtype=torch.float32)
    exact, exact_gradients = gradients_of(flat, convolutions_of(network, flat), x, grad)
    convolutions = convolutions_of(network, flat, amp=True)
    features, gradients = gradients_of(flat, convolutions, x, grad)
    assert features.dtype is torch.bfloat16
    torch.testing.assert_close(features.float(), exact, rtol=0.02, atol=0.02)
    for ours, expected in zip(gradients, exact_gradients, strict=True):
        assert 0 < (ours - expected).norm() < 0.02 * expected.norm()


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("is_inference", [False, True])
def test_gradients_are_bitwise_equal_on_any_threads(is_inference, amp):
    network = image_layers((16, 16, 1), torch.float32, conv_channels=(8, 16))
    flat = FlatParameters(network)
    x, grad = inputs_of(network, 23, 256, torch.float32)
    results = []
    for n_threads in (1, 3):
        torch.set_num_threads(n_threads)
        convolutions = convolutions_of(network, flat, amp)
        with torch.no_grad(), inference_mode(is_inference):
            features, gradients = gradients_of(flat, convolutions, x, grad)
        results.append((features, *gradients))
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize(
    "params",
    [
        {"kernel_size": 5},  # many inputs: autograd is faster
        {"image_shape": (8, 8, 3)},
        {"pool": "avg"},
        {"pool_size": 3},
        {"image_shape": (9, 9, 1)},  # windows cross the border
        {"activation": "silu"},
        {"activation": "leaky_relu"},
        {"conv_dropout": 0.5},
        {"batch_norm": True},
        {"block": "residual"},
        {"head": "global_average"},
        {"image_shape": (64, 1)},
    ],
    ids=str,
)
def test_other_layers_have_no_stages(params):
    assert group_stages(image_layers(**params)) is None


def test_frozen_convolution_has_no_stage():
    network = image_layers()
    network.conv2.weight.requires_grad_(False)
    assert group_stages(network) is None


def test_step_of_a_large_batch_uses_the_formulas(monkeypatch):
    """The gradients of a whole step, with the penalty, are those of autograd."""
    network = build_cnn((16, 16, 1), 3, conv_channels=16, hidden_layer_sizes=5)
    network = network.double()
    initialize(network, "auto", "relu", resolve_random_state(0))
    flat = FlatParameters(network)
    loss, penalty = SoftmaxCrossEntropy(), Penalty(flat, 0.5)
    x, _ = inputs_of(network, 200, 256)
    y = torch.arange(200) % 3
    step = make_step(network, loss, flat, penalty)
    expected_loss = F.cross_entropy(network(x), y)
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            expected_loss = expected_loss + 0.25 * parameter.square().sum() / 200
    flat.gradients.zero_()
    expected_loss.backward()
    expected = flat.gradients.clone()
    monkeypatch.setattr(type(network), "forward", None)  # no layer is called
    with torch.no_grad():
        step(x, y, None, 200.0)
    torch.testing.assert_close(flat.gradients, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("amp", [False, True])
def test_step_evaluates_in_full_precision(amp):
    network = build_cnn(
        (16, 16, 1), 3, conv_channels=16, hidden_layer_sizes=5, dropout=0.5
    )
    initialize(network, "auto", "relu", resolve_random_state(0))
    flat = FlatParameters(network)
    step = AutogradStep(
        network.eval(), SoftmaxCrossEntropy(), flat, Penalty(flat, 0.0), amp
    )
    for n_samples in (200, 2):  # two chunks, and one
        x, _ = inputs_of(network, n_samples, 256, torch.float32)
        with torch.no_grad():
            torch.testing.assert_close(step.evaluate(x), network(x))


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize(
    ("batch_size", "is_augmented", "n_threads"),
    [(200, False, 1), (200, True, 3), (20, False, 3)],
)
def test_tuner_chooses_the_threads_of_many_chunks(batch_size, is_augmented, n_threads):
    network = build_cnn((28, 28, 1), 3, conv_channels=(32, 64), hidden_layer_sizes=32)
    values = FlatParameters(network).values
    optimizer = SGD([values], lr=0.1, momentum=0.9, nesterov=True)
    with threads_for_step(network, optimizer, (batch_size, 784), is_augmented):
        assert torch.get_num_threads() == n_threads
