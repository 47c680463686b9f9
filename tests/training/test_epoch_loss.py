"""The loss of an epoch equals a sum in float64."""

import numpy as np
import pytest
import torch

from skmlp.training import epoch_loss
from skmlp.training.epoch_loss import BatchLosses, EpochLoss
from skmlp.training.losses import SoftmaxCrossEntropy, SquaredError
from skmlp.training.modules.layers import build_mlp
from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.optimizers.penalty import Penalty

N_BATCHES = [0, 1, epoch_loss._BATCHES_AT_ONCE, 2 * epoch_loss._BATCHES_AT_ONCE + 1]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", N_BATCHES)
def test_epoch_loss_is_the_weighted_sum_of_batch_losses(n, weighted):
    rng = np.random.default_rng(0)
    sizes = np.where(np.arange(n) < n - 1, 4, 3)  # the last batch is shorter
    counts = rng.integers(0, 50, n).tolist()
    epoch, expected = EpochLoss(SquaredError()), 0.0
    for size, count in zip(sizes, counts, strict=True):
        loss_terms = torch.from_numpy(rng.exponential(size=size)).float()
        weight = torch.from_numpy(rng.dirichlet(np.ones(size))).float()
        sample_weight = (
            weight.double() if weighted else torch.full((size,), 1 / size).double()
        )
        expected += count * float(loss_terms.double() @ sample_weight)
        epoch.add(BatchLosses(loss_terms, weight if weighted else None, 1.0), count)
    assert epoch.sum() == pytest.approx(expected, rel=1e-6)
    assert epoch.sum() == epoch.sum()
    assert epoch.sum_of_factors == sum(counts)


@pytest.mark.parametrize("hidden", [(3,), (300,)])  # norms of one part, and of two
def test_epoch_loss_uses_the_penalty_of_each_step(hidden):
    torch.manual_seed(0)
    network = build_mlp(200, hidden, 2)
    flat = FlatParameters(network)
    penalty = Penalty(flat, (0.3, 0.7))
    logits, y = torch.randn(5, 2), torch.tensor([0, 1, 1, 0, 1])
    loss = SoftmaxCrossEntropy()
    loss_terms, _ = loss.loss_terms_and_gradient(logits, y, None)
    epoch, expected = EpochLoss(loss, penalty), 0.0
    for total, count in ((5.0, 5.0), (2.0, 5.0), (4.0, 1.0)):
        flat.values.normal_()
        squares = [network[i].weight.detach().double().square().sum() for i in (0, -1)]
        penalty_value = sum(
            a * float(s) for a, s in zip((0.3, 0.7), squares, strict=True)
        )
        mean = torch.nn.functional.cross_entropy(logits, y).item()
        expected += count * (mean + 0.5 * penalty_value / total)
        epoch.add(BatchLosses(loss_terms, None, total, penalty.norms()), count)
    assert epoch.sum() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), SquaredError()])
@pytest.mark.parametrize("seed", range(5))
def test_epoch_of_one_batch_has_the_bits_of_the_sum(loss, weighted, dtype, seed):
    torch.manual_seed(seed)
    network = build_mlp(200, (300, 9), 2).to(dtype)
    flat = FlatParameters(network)
    flat.values.normal_()
    penalty = Penalty(flat, (0.3, 0.3, 0.7))
    weight = torch.rand(5, dtype=dtype) if weighted else None
    batch = BatchLosses(torch.rand(5, dtype=dtype), weight, 3.7, penalty.norms())
    for with_penalty in (penalty, None):
        epoch = EpochLoss(loss, with_penalty)
        epoch.add(batch, 5.3)
        assert epoch.sum() == epoch.batch_losses([batch])[0].item() * 5.3


def test_infinite_losses_stay_infinite():
    epoch = EpochLoss(SquaredError())
    for value in (torch.inf, 1.0):
        epoch.add(BatchLosses(torch.tensor([value]), None, 1.0), 1.0)
    assert epoch.sum() == np.inf


def test_pending_loss_terms_are_bounded(monkeypatch):
    """The memory of an epoch does not grow with its number of large batches."""
    monkeypatch.setattr(epoch_loss, "_TERMS_AT_ONCE", 25)
    epoch = EpochLoss(SquaredError())
    for _ in range(7):
        epoch.add(BatchLosses(torch.full((10,), 2.0), None, 10.0), 1.0)
        assert len(epoch._batches) < 3
    assert epoch.sum() == 14.0
