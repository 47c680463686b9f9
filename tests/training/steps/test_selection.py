"""Handwritten and autograd steps compute the same gradients."""

import itertools
from contextlib import nullcontext

import pytest
import torch

from skmlp.training import losses
from skmlp.training.compute.seeds import resolve_random_state
from skmlp.training.epoch_loss import BatchLosses, EpochLoss
from skmlp.training.modules.convolution import build_cnn
from skmlp.training.modules.layers import build_mlp, initialize, set_dropout_generator
from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.optimizers.penalty import Penalty
from skmlp.training.steps import make_step, selection
from skmlp.training.steps.autograd_step import AutogradStep
from skmlp.training.steps.handwritten_step import HandwrittenStep

HANDWRITTEN_ACTIVATIONS = (
    "identity",
    "logistic",
    "tanh",
    "relu",
    "selu",
    "silu",
    "mish",
)

TOTAL = 2.5  # sum of a batch's sample weights


def make_network(activation="relu", dropout=0.0, hidden=(6, 5), **params):
    network = build_mlp(4, hidden, 3, activation=activation, dropout=dropout, **params)
    network = network.double()
    initialize(network, "auto", activation, resolve_random_state(0))
    return network.train()


def batch(n_samples=8):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n_samples, 4, generator=generator, dtype=torch.float64)
    y = torch.randint(3, (n_samples,), generator=generator)
    weight = torch.rand(n_samples, generator=generator, dtype=torch.float64)
    return x, y, weight / weight.sum()


def step_of(network, loss, flat=None, alpha=0.0, **options):
    flat = FlatParameters(network) if flat is None else flat
    return make_step(network, loss, flat, Penalty(flat, alpha), **options)


def run_step(step, loss, penalty, x, y, weight):
    """Return logits and penalized mean loss of a step."""
    logits, loss_terms = step(x, y, weight, TOTAL)
    batch_losses = BatchLosses(loss_terms, weight, TOTAL, penalty.norms())
    return logits, EpochLoss(loss, penalty).batch_losses([batch_losses])[0]


def both_steps(network, loss, x, y, weight, alpha=0.0):
    """Return logits, loss, gradients and buffers of both kinds of steps.

    Both draw the same dropout masks.
    """
    flat = FlatParameters(network)
    before = [buffer.clone() for buffer in network.buffers()]
    handwritten = step_of(network, loss, flat, alpha)
    assert isinstance(handwritten, HandwrittenStep)
    results = []
    penalty = Penalty(flat, alpha)
    for step in (handwritten, AutogradStep(network, loss, flat, penalty, amp=False)):
        set_dropout_generator(network, torch.Generator().manual_seed(5))
        for buffer, first in zip(network.buffers(), before, strict=True):
            buffer.copy_(first)
        flat.gradients.fill_(torch.nan)
        if step is handwritten:  # it does not write to the gaps between parameters
            flat.gradients.zero_()
        with torch.no_grad():
            logits, mean = run_step(step, loss, penalty, x, y, weight)
        buffers = [buffer.clone() for buffer in network.buffers()]
        results.append((logits.clone(), mean.clone(), flat.gradients.clone(), *buffers))
    return results


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.4, [0.0, 0.5]])
@pytest.mark.parametrize("activation", HANDWRITTEN_ACTIVATIONS)
def test_handwritten_gradients_match_autograd(
    activation, dropout, batch_norm, weighted
):
    x, y, weight = batch()
    network = make_network(activation, dropout, batch_norm=batch_norm)
    weight = weight if weighted else None
    loss = losses.SoftmaxCrossEntropy(0.1)
    handwritten, autograd = both_steps(network, loss, x, y, weight, (0.3, 0.0, 0.7))
    for ours, theirs in zip(handwritten, autograd, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert handwritten[2].abs().max() > 1e-3


@pytest.mark.parametrize("hidden", [(), (7,), (5, 4, 3)])
def test_handwritten_gradients_match_autograd_at_any_depth(hidden):
    x, y, _ = batch()
    network = make_network(hidden=hidden)
    results = both_steps(network, losses.SoftmaxCrossEntropy(), x, y, None, alpha=0.3)
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_split_layers_match_autograd(dropout, batch_norm):
    """Their products are split in one step, and computed by oneDNN in the other."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(50, 400, generator=generator)
    y = torch.randint(3, (50,), generator=generator)
    network = build_mlp(400, (96, 300, 80), 3, dropout=dropout, batch_norm=batch_norm)
    initialize(network, "auto", "relu", resolve_random_state(0))
    alphas = (0.3, 0.0, 0.7, 0.1)
    loss = losses.SoftmaxCrossEntropy()
    results = both_steps(network.train(), loss, x, y, None, alphas)
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", losses.REGRESSION_LOSSES)
def test_regression_gradients_match_autograd(name):
    x, _, weight = batch()
    y = x[:, :3].abs()
    results = both_steps(
        make_network("tanh"), losses.REGRESSION_LOSSES[name](), x, y, weight
    )
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_samples", [1, 2])
def test_normalized_small_batches_match_autograd(n_samples):
    x, y, _ = batch(n_samples)
    network = make_network("tanh", batch_norm=True)
    results = both_steps(network, losses.SoftmaxCrossEntropy(), x, y, None)
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert network.dense1_norm.num_batches_tracked == n_samples - 1


def test_bias_before_normalization_has_zero_gradient():
    """Adam would turn a rounding error into a step of full length."""
    network = make_network(batch_norm=True)
    flat = FlatParameters(network)
    step_of(network, losses.SoftmaxCrossEntropy(), flat)(*batch(), TOTAL)
    assert not network.dense1.bias.grad.any()
    assert network.dense1.weight.grad.any()
    assert network.output.bias.grad.all()


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(
    "frozen", [names for n in (1, 2) for names in itertools.combinations(range(3), n)]
)
def test_frozen_layers_pass_the_gradient_through(frozen, batch_norm):
    network = make_network("tanh", batch_norm=batch_norm)
    names = ["dense1", "dense2", "output"]
    for name, module in network.named_children():
        if name.partition("_")[0] in [names[i] for i in frozen]:
            module.requires_grad_(False)
    network.train()
    x, y, weight = batch()
    results = both_steps(network, losses.SoftmaxCrossEntropy(), x, y, weight, alpha=0.3)
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_gradient_matches_finite_differences():
    network = make_network("logistic")
    flat = FlatParameters(network)
    loss = losses.SoftmaxCrossEntropy()
    alpha = (0.3, 0.0, 0.7)
    step, penalty = step_of(network, loss, flat, alpha), Penalty(flat, alpha)
    x, y, weight = batch()
    with torch.no_grad():
        step(x, y, weight, TOTAL)
        gradient = flat.gradients.clone()
        for i in range(0, flat.values.numel(), 5):
            value = flat.values[i].clone()
            ends = []
            for move in (1e-6, -1e-6):
                flat.values[i] = value + move
                ends.append(run_step(step, loss, penalty, x, y, weight)[1].item())
            flat.values[i] = value
            if gradient[i] != 0 or ends[0] != ends[1]:
                slope = (ends[0] - ends[1]) / 2e-6
                assert slope == pytest.approx(gradient[i].item(), abs=1e-8)


@pytest.mark.parametrize(
    "network",
    [
        make_network("gelu"),
        make_network("gelu", batch_norm=True),
        build_cnn((2, 2, 1), 3, conv_channels=(2,)),
    ],
    ids=["other activation", "batch norm", "convolutions"],
)
def test_other_networks_use_autograd(network):
    step = step_of(network, losses.SoftmaxCrossEntropy())
    assert isinstance(step, AutogradStep)


def test_autograd_step_overwrites_old_gradients():
    network = make_network("gelu")
    flat = FlatParameters(network)
    step = step_of(network, losses.SoftmaxCrossEntropy(), flat)
    x, y, _ = batch()
    step(x, y, None, TOTAL)
    first = flat.gradients.clone()
    step(x, y, None, TOTAL)
    torch.testing.assert_close(flat.gradients, first, rtol=0, atol=0)


@pytest.fixture
def fast_bfloat16(monkeypatch):
    """Let this processor pass for one with instructions for bfloat16."""
    monkeypatch.setattr(selection, "bfloat16_is_fast", lambda: True)


def large_batch():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(600, 4, generator=generator)
    return x, torch.randint(3, (600,), generator=generator)


@pytest.mark.parametrize("kind", ["mlp", "cnn", "other activation"])
def test_mixed_precision_returns_nearby_values_in_full_precision(kind, fast_bfloat16):
    if kind == "cnn":
        network = build_cnn((2, 2, 1), 3, conv_channels=(30,), hidden_layer_sizes=(99,))
        initialize(network, "auto", "relu", resolve_random_state(0))
    else:
        activation = "relu" if kind == "mlp" else "gelu"
        network = make_network(activation, hidden=(2_000, 60)).float()
    flat = FlatParameters(network)
    x, y = large_batch()
    results = []
    for amp in (False, True):
        step = step_of(network, losses.SoftmaxCrossEntropy(), flat, amp=amp)
        assert isinstance(step, HandwrittenStep if kind == "mlp" else AutogradStep)
        with torch.no_grad():
            logits, loss_terms = step(x, y, None, TOTAL)
        assert logits.dtype == loss_terms.dtype == torch.float32
        results.append((logits, flat.gradients.clone()))
    (full, full_gradients), (mixed, mixed_gradients) = results
    assert not torch.equal(full, mixed)
    torch.testing.assert_close(full, mixed, rtol=0.05, atol=0.05)
    torch.testing.assert_close(full_gradients, mixed_gradients, rtol=0.1, atol=0.02)


def test_batch_in_bfloat16_gives_the_step_of_its_cast(fast_bfloat16):
    network = make_network(hidden=(2_000,)).float()
    flat = FlatParameters(network)
    x, y = large_batch()
    step = step_of(network, losses.SoftmaxCrossEntropy(), flat, amp=True)
    assert step.casts_to_bfloat16(600)
    assert not step.casts_to_bfloat16(60)
    for n in (600, 60):
        results = []
        for features in (x[:n].bfloat16(), x[:n].bfloat16().float()):
            logits, _ = step(features, y[:n], None, TOTAL)
            results.append((logits, flat.gradients.clone()))
        assert all(map(torch.equal, *results))


def test_processor_without_bfloat16_warns_and_computes_in_float32(monkeypatch):
    monkeypatch.setattr(selection, "bfloat16_is_fast", lambda: False)
    network = make_network("gelu", hidden=(2_000,)).float()
    flat = FlatParameters(network)
    loss = losses.SoftmaxCrossEntropy()
    results = []
    for amp in (False, True):
        with (
            pytest.warns(UserWarning, match="amp=True has no effect")
            if amp
            else nullcontext()
        ):
            step = step_of(network, loss, flat, amp=amp)
        logits, _ = step(*large_batch(), None, TOTAL)
        results.append((logits, flat.gradients.clone()))
    assert all(map(torch.equal, *results))


def test_mixed_precision_warns_and_leaves_float64_unchanged(fast_bfloat16):
    network = make_network(hidden=(2_000,))
    flat = FlatParameters(network)
    x, y = large_batch()
    results = []
    for amp in (False, True):
        warns = pytest.warns(UserWarning, match="no effect in float64")
        with warns if amp else nullcontext():
            step = step_of(network, losses.SoftmaxCrossEntropy(), flat, amp=amp)
        logits, _ = step(x.double(), y, None, TOTAL)
        results.append((logits, flat.gradients.clone()))
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("max_kept_chunks", [0, 8])
@pytest.mark.parametrize("frozen", [None, "conv1", "dense1"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("chunk_size", [1, 3, 7])
def test_chunks_give_the_gradients_of_the_whole_batch(
    chunk_size, activation, frozen, max_kept_chunks, weighted
):
    network = build_cnn(
        (2, 2, 1), 3, conv_channels=(4,), kernel_size=2, activation=activation
    )
    network = network.double()
    initialize(network, "auto", activation, resolve_random_state(0))
    if frozen is not None:
        network.get_submodule(frozen).requires_grad_(False)
    flat = FlatParameters(network)
    loss = losses.SoftmaxCrossEntropy(0.1)
    step = step_of(network, loss, flat, (0.3, 0.0, 0.7))
    step.max_kept_chunks = max_kept_chunks
    x, y, weight = batch()
    results = []
    for size in (len(x), chunk_size):
        step.chunk_size = size
        flat.gradients.fill_(torch.nan)
        with torch.no_grad():
            logits, mean = run_step(
                step, loss, step.penalty, x, y, weight if weighted else None
            )
        results.append((logits, mean, flat.gradients.clone()))
    for whole, in_chunks in zip(*results, strict=True):
        torch.testing.assert_close(in_chunks, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("max_kept_chunks", "sizes"),
    [(3, [8]), (2, [3, 3, 2])],
    ids=["few chunks", "many chunks"],
)
def test_dense_layers_see_few_chunks_as_one_batch(max_kept_chunks, sizes):
    network = build_cnn((2, 2, 1), 3, conv_channels=(4,), dropout=0.5).double()
    initialize(network, "auto", "relu", resolve_random_state(0))
    seen = []
    draw = network.dense1_dropout.mask
    network.dense1_dropout.mask = lambda a: seen.append(len(a)) or draw(a)
    step = step_of(network, losses.SoftmaxCrossEntropy())
    x, y, _ = batch()
    step.chunk_size, step.max_kept_chunks = 3, max_kept_chunks
    with torch.no_grad():
        step(x, y, None, TOTAL)
    assert seen == sizes


def test_batch_normalization_sees_the_whole_batch():
    network = build_cnn((2, 2, 1), 3, conv_channels=(4,), batch_norm=True).double()
    initialize(network, "auto", "relu", resolve_random_state(0))
    step = step_of(network, losses.SoftmaxCrossEntropy())
    sizes = []
    network.conv1.register_forward_hook(lambda _, __, out: sizes.append(len(out)))
    x, y, _ = batch()
    step.chunk_size = 3
    with torch.no_grad():
        step(x, y, None, TOTAL)
    assert sizes == [len(x)]
