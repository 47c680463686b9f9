"""Batch normalisation by hand: torch's, for every model by its own rows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skmlp.training.modules.layers import BatchNorm1d
from skmlp.training.modules.normalization import (
    _MOST_KEPT,
    BatchStatisticsWeights,
    Normalization,
)

N_UNITS = 3


def make_norms(n, seed=0):
    """Return layers that have learnt something already."""
    generator = torch.Generator().manual_seed(seed)
    norms = [BatchNorm1d(N_UNITS).double().train() for _ in range(n)]
    for norm in norms:
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.data.copy_(torch.rand(N_UNITS, generator=generator) + 0.5)
    return norms


def stacked(norms, counts, momentum=0.1, eps=1e-5):
    """Return the layers as one, and its gradients."""
    gradients = [torch.full((len(norms), N_UNITS), torch.nan).double() for _ in "wb"]
    weight, bias = (
        torch.stack([norm.get_parameter(name).detach() for norm in norms])
        for name in ("weight", "bias")
    )
    buffers = map(torch.stack, zip(*(norm.buffers() for norm in norms), strict=True))
    shares = BatchStatisticsWeights(lambda z: tuple(counts))
    return Normalization(
        weight, bias, *gradients, *buffers, momentum, eps, shares
    ), gradients


def rows(n_models, n_rows, seed=1):
    generator = torch.Generator().manual_seed(seed)
    shape = (n_models, n_rows, N_UNITS)
    return torch.randn(shape, generator=generator, dtype=torch.float64) * 3 + 1


@settings(max_examples=25, derandomize=True)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=4), st.booleans())
def test_every_model_is_normalised_by_its_own_rows(counts, twice):
    norms = make_norms(len(counts))
    ours, gradients = stacked(norms, counts)
    for seed in range(1 + twice):
        z, delta = rows(len(counts), 6, seed), rows(len(counts), 6, seed + 9)
        for i, count in enumerate(counts):
            delta[i, count:] = 0.0
        shift = torch.full((len(counts), N_UNITS), torch.nan).double()
        y, normalized = ours.forward(z.clone())
        back = ours.backward(delta.clone(), normalized, shift)
        for i, (norm, count) in enumerate(zip(norms, counts, strict=True)):
            assert not back[i, count:].any()
            if not count:
                continue
            own = z[i, :count].requires_grad_()
            norm.zero_grad()
            expected = norm(own)
            expected.backward(delta[i, :count])
            for found, wanted in (
                (y[i, :count], expected),
                (back[i, :count], own.grad),
                (gradients[0][i], norm.weight.grad),
                (gradients[1][i], norm.bias.grad),
                (shift[i], own.grad.sum(0)),
            ):
                torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
    for i, norm in enumerate(norms):
        torch.testing.assert_close(ours.running_mean[i], norm.running_mean)
        torch.testing.assert_close(ours.running_var[i], norm.running_var)
        assert ours.num_batches_tracked[i] == norm.num_batches_tracked


@pytest.mark.parametrize("count", [0, 1])
def test_statistics_stay_to_the_bit_where_a_batch_has_none(count):
    norms = make_norms(2)
    ours, _ = stacked(norms, [4, count])
    ours.forward(rows(2, 4))
    assert torch.equal(ours.running_mean[1], norms[1].running_mean)
    assert torch.equal(ours.running_var[1], norms[1].running_var)
    assert ours.num_batches_tracked.tolist() == [1, 0]


def test_a_bias_before_it_has_no_gradient_at_all():
    ours, _ = stacked(make_norms(2), [4, 1])
    _, normalized = ours.forward(rows(2, 4))
    shift = torch.full((2, N_UNITS), torch.nan).double()
    delta = rows(2, 4, seed=2)
    delta[1, 1:] = 0.0
    ours.backward(delta, normalized, shift)
    assert not shift[0].any()
    assert shift[1].all()


def test_rows_that_are_not_trained_on_change_nothing():
    norms = make_norms(2)
    ours, _ = stacked(norms, [4, 4])
    z = rows(2, 5)
    y = ours.evaluate(z)
    for i, norm in enumerate(norms):
        torch.testing.assert_close(y[i], norm.eval()(z[i]).detach())
        assert torch.equal(ours.running_mean[i], norm.running_mean)


def test_what_is_not_finite_stays_in_its_model():
    z = rows(3, 4)
    alone, _ = stacked(make_norms(3), [4, 4, 4])
    harmed, _ = stacked(make_norms(3), [4, 4, 4])
    expected, _ = alone.forward(z.clone())
    z[1, 2] = torch.inf
    found, _ = harmed.forward(z.clone())
    for i in (0, 2):
        assert torch.equal(found[i], expected[i])
        assert torch.equal(harmed.running_var[i], alone.running_var[i])
    assert not found[1].isfinite().any()


def test_shares_are_computed_once_for_batches_of_equal_rows():
    counts = [[2, 3]]
    shares = BatchStatisticsWeights(lambda z: tuple(counts[0]))
    z = rows(2, 3)
    first = shares(z)
    assert shares(z) is first
    np.testing.assert_allclose(
        first.of_rows[..., 0], [[1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3]]
    )
    counts[0] = [3, 3]
    np.testing.assert_allclose(shares(z).of_rows, np.full((2, 3, 1), 1 / 3))
    assert shares(z).real is None
    counts[0] = [2, 3]
    assert shares(z) is first


def test_shares_of_too_many_kinds_of_batches_are_not_kept():
    counts = [[1, 1]]
    shares = BatchStatisticsWeights(lambda z: tuple(counts[0]))
    for i in range(2 * _MOST_KEPT):
        counts[0] = [i + 1, 2]
        assert shares(rows(2, 3)).n.flatten().tolist() == [max(i + 1, 2), 2]
    assert len(shares._shares) == _MOST_KEPT
