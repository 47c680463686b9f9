"""The written-out step computes what autograd computes."""

import itertools

import pytest
import torch

from skmlp.training import losses, steps
from skmlp.training.compute.seeds import resolve_random_state
from skmlp.training.epoch_loss import BatchLosses, EpochLoss
from skmlp.training.modules.convolution import build_cnn
from skmlp.training.modules.layers import build_mlp, initialize, seed_dropout
from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.optimizers.penalty import Penalty
from skmlp.training.steps import HandwrittenStep, _AutogradStep, make_step

HANDWRITTEN_GRADIENTS = ("identity", "logistic", "tanh", "relu")

TOTAL = 2.5  # weight of a batch's rows


def make_network(activation="relu", dropout=0.0, hidden=(6, 5), **params):
    network = build_mlp(4, hidden, 3, activation=activation, dropout=dropout, **params)
    network = network.double()
    initialize(network, "auto", activation, resolve_random_state(0))
    return network.train()


def batch(rows=8):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(rows, 4, generator=generator, dtype=torch.float64)
    y = torch.randint(3, (rows,), generator=generator)
    weight = torch.rand(rows, generator=generator, dtype=torch.float64)
    return x, y, weight / weight.sum()


def step_of(network, loss, flat=None, alpha=0.0, **options):
    flat = FlatParameters(network) if flat is None else flat
    return make_step(network, loss, flat, Penalty(flat, alpha), **options)


def taken(step, loss, x, y, weight):
    """Logits and penalised mean loss of a step that is taken."""
    logits, rows, *norms = step(x, y, weight, TOTAL)
    parts = BatchLosses(rows, weight, TOTAL, norms)
    return logits, EpochLoss(loss, step.penalty).means([parts])[0]


def both_steps(network, loss, x, y, weight, alpha=0.0):
    """Logits, loss, gradients, buffers by hand and by autograd, from the same masks."""
    flat = FlatParameters(network)
    before = [buffer.clone() for buffer in network.buffers()]
    by_hand = step_of(network, loss, flat, alpha)
    assert isinstance(by_hand, HandwrittenStep)
    found = []
    penalty = Penalty(flat, alpha)
    for step in (by_hand, _AutogradStep(network, loss, flat, penalty, amp=False)):
        seed_dropout(network, torch.Generator().manual_seed(5))
        for buffer, first in zip(network.buffers(), before, strict=True):
            buffer.copy_(first)
        flat.gradients.fill_(torch.nan)
        if step is by_hand:  # it writes where parameters are, and only there
            flat.gradients.zero_()
        with torch.no_grad():
            logits, mean = taken(step, loss, x, y, weight)
        buffers = [buffer.clone() for buffer in network.buffers()]
        found.append((logits.clone(), mean.clone(), flat.gradients.clone(), *buffers))
    return found


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.4, [0.0, 0.5]])
@pytest.mark.parametrize("activation", HANDWRITTEN_GRADIENTS)
def test_by_hand_is_by_autograd(activation, dropout, batch_norm, weighted):
    x, y, weight = batch()
    network = make_network(activation, dropout, batch_norm=batch_norm)
    weight = weight if weighted else None
    loss = losses.SoftmaxCrossEntropy(0.1)
    by_hand, by_autograd = both_steps(network, loss, x, y, weight, (0.3, 0.0, 0.7))
    for ours, theirs in zip(by_hand, by_autograd, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert by_hand[2].abs().max() > 1e-3


@pytest.mark.parametrize("hidden", [(), (7,), (5, 4, 3)])
def test_any_depth(hidden):
    x, y, _ = batch()
    network = make_network(hidden=hidden)
    found = both_steps(network, losses.SoftmaxCrossEntropy(), x, y, None, alpha=0.3)
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_layers_that_threads_may_share(dropout, batch_norm):
    """Their products are computed in parts, and another way where autograd comes in."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(50, 400, generator=generator)
    y = torch.randint(3, (50,), generator=generator)
    network = build_mlp(400, (96, 300, 80), 3, dropout=dropout, batch_norm=batch_norm)
    initialize(network, "auto", "relu", resolve_random_state(0))
    alphas = (0.3, 0.0, 0.7, 0.1)
    loss = losses.SoftmaxCrossEntropy()
    found = both_steps(network.train(), loss, x, y, None, alphas)
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", losses.REGRESSION_LOSSES)
def test_any_regression_loss(name):
    x, _, weight = batch()
    y = x[:, :3].abs()
    found = both_steps(
        make_network("tanh"), losses.REGRESSION_LOSSES[name](), x, y, weight
    )
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 2])
def test_normalisation_of_few_rows(rows):
    x, y, _ = batch(rows)
    network = make_network("tanh", batch_norm=True)
    found = both_steps(network, losses.SoftmaxCrossEntropy(), x, y, None)
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert network.dense1_norm.num_batches_tracked == rows - 1


def test_a_bias_that_normalisation_takes_away_has_no_gradient():
    """Adam would turn what rounding leaves of it into steps of full length."""
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
def test_frozen_layers_pass_the_gradient_on(frozen, batch_norm):
    network = make_network("tanh", batch_norm=batch_norm)
    names = ["dense1", "dense2", "output"]
    for name, module in network.named_children():
        if name.partition("_")[0] in [names[i] for i in frozen]:
            module.requires_grad_(False)
    network.train()
    x, y, weight = batch()
    found = both_steps(network, losses.SoftmaxCrossEntropy(), x, y, weight, alpha=0.3)
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_gradient_is_that_of_finite_differences():
    network = make_network("logistic")
    flat = FlatParameters(network)
    loss = losses.SoftmaxCrossEntropy()
    step = step_of(network, loss, flat, alpha=(0.3, 0.0, 0.7))
    x, y, weight = batch()
    with torch.no_grad():
        step(x, y, weight, TOTAL)
        gradient = flat.gradients.clone()
        for i in range(0, flat.values.numel(), 5):
            value = flat.values[i].clone()
            ends = []
            for move in (1e-6, -1e-6):
                flat.values[i] = value + move
                ends.append(taken(step, loss, x, y, weight)[1].item())
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
def test_other_networks_are_left_to_autograd(network):
    step = step_of(network, losses.SoftmaxCrossEntropy())
    assert isinstance(step, _AutogradStep)


def test_autograd_starts_from_no_gradient():
    network = make_network("gelu")
    flat = FlatParameters(network)
    step = step_of(network, losses.SoftmaxCrossEntropy(), flat)
    x, y, _ = batch()
    step(x, y, None, TOTAL)
    first = flat.gradients.clone()
    step(x, y, None, TOTAL)
    torch.testing.assert_close(flat.gradients, first, rtol=0, atol=0)


def test_mixed_precision_stays_near_and_returns_full_precision():
    network = make_network("relu").float()
    flat = FlatParameters(network)
    x, y, _ = batch()
    results = []
    for amp in (False, True):
        step = step_of(network, losses.SoftmaxCrossEntropy(), flat, amp=amp)
        logits, rows = step(x.float(), y, None, TOTAL)
        assert logits.dtype == rows.dtype == torch.float32
        results.append((logits, flat.gradients.clone()))
    (full, _), (mixed, _) = results
    assert not torch.equal(full, mixed)
    torch.testing.assert_close(full, mixed, rtol=0.05, atol=0.05)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=0.1, atol=0.02)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("waiting", [0, 8])
@pytest.mark.parametrize("frozen", [None, "conv1", "dense1"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("rows", [1, 3, 7])
def test_a_batch_in_parts_has_the_gradients_of_the_whole(
    rows, activation, frozen, waiting, weighted, monkeypatch
):
    monkeypatch.setattr(steps, "_MOST_WAITING", waiting)
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
    x, y, weight = batch()
    found = []
    for at_once in (len(x), rows):
        step.rows = at_once
        flat.gradients.fill_(torch.nan)
        with torch.no_grad():
            logits, mean = taken(step, loss, x, y, weight if weighted else None)
        found.append((logits, mean, flat.gradients.clone()))
    for whole, in_parts in zip(*found, strict=True):
        torch.testing.assert_close(in_parts, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("waiting", "sizes"), [(3, [8]), (2, [3, 3, 2])], ids=["few parts", "many parts"]
)
def test_dense_layers_see_a_batch_of_few_parts_at_once(waiting, sizes, monkeypatch):
    monkeypatch.setattr(steps, "_MOST_WAITING", waiting)
    network = build_cnn((2, 2, 1), 3, conv_channels=(4,), dropout=0.5).double()
    initialize(network, "auto", "relu", resolve_random_state(0))
    seen = []
    draw = network.dense1_dropout.mask
    network.dense1_dropout.mask = lambda a: seen.append(len(a)) or draw(a)
    step = step_of(network, losses.SoftmaxCrossEntropy())
    x, y, _ = batch()
    step.rows = 3
    with torch.no_grad():
        step(x, y, None, TOTAL)
    assert seen == sizes


def test_what_normalises_a_batch_sees_all_of_it():
    network = build_cnn((2, 2, 1), 3, conv_channels=(4,), batch_norm=True).double()
    initialize(network, "auto", "relu", resolve_random_state(0))
    step = step_of(network, losses.SoftmaxCrossEntropy())
    sizes = []
    network.conv1.register_forward_hook(lambda _, __, out: sizes.append(len(out)))
    x, y, _ = batch()
    step.rows = 3
    with torch.no_grad():
        step(x, y, None, TOTAL)
    assert sizes == [len(x)]
