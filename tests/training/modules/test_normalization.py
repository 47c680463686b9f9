"""Handwritten batch normalization equals that of torch for every pack member."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skmlp.training.modules.layers import BatchNorm1d
from skmlp.training.modules.normalization import (
    _MAX_KEPT,
    Normalization,
    StatisticsWeightsCache,
)

N_UNITS = 3


def make_norms(n, seed=0):
    """Return layers with parameters and statistics that differ from their defaults."""
    generator = torch.Generator().manual_seed(seed)
    norms = [BatchNorm1d(N_UNITS).double().train() for _ in range(n)]
    for norm in norms:
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.data.copy_(torch.rand(N_UNITS, generator=generator) + 0.5)
    return norms


def packed(norms, counts, momentum=0.1, eps=1e-5):
    """Return the layers as one layer of a pack, and its gradients."""
    gradients = [torch.full((len(norms), N_UNITS), torch.nan).double() for _ in "wb"]
    weight, bias = (
        torch.stack([norm.get_parameter(name).detach() for norm in norms])
        for name in ("weight", "bias")
    )
    buffers = map(torch.stack, zip(*(norm.buffers() for norm in norms), strict=True))
    weights = StatisticsWeightsCache(lambda z: tuple(counts))
    return Normalization(
        weight, bias, *gradients, *buffers, momentum, eps, weights
    ), gradients


def random_values(n_members, n_samples, seed=1):
    generator = torch.Generator().manual_seed(seed)
    shape = (n_members, n_samples, N_UNITS)
    return torch.randn(shape, generator=generator, dtype=torch.float64) * 3 + 1


@settings(max_examples=25, derandomize=True)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=4), st.booleans())
def test_members_are_normalized_by_their_own_samples(counts, twice):
    norms = make_norms(len(counts))
    ours, gradients = packed(norms, counts)
    for seed in range(1 + twice):
        z, grad = (
            random_values(len(counts), 6, seed),
            random_values(len(counts), 6, seed + 9),
        )
        for i, count in enumerate(counts):
            grad[i, count:] = 0.0
        linear_bias_gradient = torch.full((len(counts), N_UNITS), torch.nan).double()
        y, normalized = ours.forward(z.clone())
        back = ours.backward(grad.clone(), normalized, linear_bias_gradient)
        for i, (norm, count) in enumerate(zip(norms, counts, strict=True)):
            assert not back[i, count:].any()
            if not count:
                continue
            member_z = z[i, :count].requires_grad_()
            norm.zero_grad()
            expected = norm(member_z)
            expected.backward(grad[i, :count])
            for result, expected_result in (
                (y[i, :count], expected),
                (back[i, :count], member_z.grad),
                (gradients[0][i], norm.weight.grad),
                (gradients[1][i], norm.bias.grad),
                (linear_bias_gradient[i], member_z.grad.sum(0)),
            ):
                torch.testing.assert_close(
                    result, expected_result, rtol=1e-10, atol=1e-10
                )
    for i, norm in enumerate(norms):
        torch.testing.assert_close(ours.running_mean[i], norm.running_mean)
        torch.testing.assert_close(ours.running_var[i], norm.running_var)
        assert ours.num_batches_tracked[i] == norm.num_batches_tracked


@pytest.mark.parametrize("count", [0, 1])
def test_batches_without_statistics_do_not_change_running_ones(count):
    norms = make_norms(2)
    ours, _ = packed(norms, [4, count])
    ours.forward(random_values(2, 4))
    assert torch.equal(ours.running_mean[1], norms[1].running_mean)
    assert torch.equal(ours.running_var[1], norms[1].running_var)
    assert ours.num_batches_tracked.tolist() == [1, 0]


def test_linear_bias_before_normalization_has_zero_gradient():
    ours, _ = packed(make_norms(2), [4, 1])
    _, normalized = ours.forward(random_values(2, 4))
    linear_bias_gradient = torch.full((2, N_UNITS), torch.nan).double()
    grad = random_values(2, 4, seed=2)
    grad[1, 1:] = 0.0
    ours.backward(grad, normalized, linear_bias_gradient)
    assert not linear_bias_gradient[0].any()
    assert linear_bias_gradient[1].all()


def test_evaluation_does_not_change_running_statistics():
    norms = make_norms(2)
    ours, _ = packed(norms, [4, 4])
    z = random_values(2, 5)
    y = ours.evaluate(z)
    for i, norm in enumerate(norms):
        torch.testing.assert_close(y[i], norm.eval()(z[i]).detach())
        assert torch.equal(ours.running_mean[i], norm.running_mean)


def test_infinite_values_do_not_reach_other_members():
    z = random_values(3, 4)
    alone, _ = packed(make_norms(3), [4, 4, 4])
    harmed, _ = packed(make_norms(3), [4, 4, 4])
    expected, _ = alone.forward(z.clone())
    z[1, 2] = torch.inf
    result, _ = harmed.forward(z.clone())
    for i in (0, 2):
        assert torch.equal(result[i], expected[i])
        assert torch.equal(harmed.running_var[i], alone.running_var[i])
    assert not result[1].isfinite().any()


def test_statistics_weights_are_computed_once_for_each_kind_of_batch():
    counts = [[2, 3]]
    weights = StatisticsWeightsCache(lambda z: tuple(counts[0]))
    z = random_values(2, 3)
    first = weights(z)
    assert weights(z) is first
    np.testing.assert_allclose(
        first.per_sample[..., 0], [[1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3]]
    )
    counts[0] = [3, 3]
    np.testing.assert_allclose(weights(z).per_sample, np.full((2, 3, 1), 1 / 3))
    assert weights(z).sample_mask is None
    counts[0] = [2, 3]
    assert weights(z) is first


def test_statistics_weights_of_too_many_kinds_are_not_kept():
    counts = [[1, 1]]
    weights = StatisticsWeightsCache(lambda z: tuple(counts[0]))
    for i in range(2 * _MAX_KEPT):
        counts[0] = [i + 1, 2]
        assert weights(random_values(2, 3)).n_samples.flatten().tolist() == [
            max(i + 1, 2),
            2,
        ]
    assert len(weights._kept) == _MAX_KEPT
