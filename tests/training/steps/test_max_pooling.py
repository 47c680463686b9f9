"""Pooling by planes equals torch's pooling, also where a window has equal maxima."""

import pytest
import torch
import torch.nn.functional as F

from skmlp.training.steps.max_pooling import pool_planes, unpool_planes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("window", [(2, 2), (1, 2), (3, 1), (1, 4)])
def test_planes_equal_torchs_pooling(window, dtype):
    rows, columns = window
    generator = torch.Generator().manual_seed(0)
    # Few different values, so that many windows have several maxima.
    maps = torch.randint(-2, 3, (3, 5, 4 * rows, 3 * columns), generator=generator)
    maps = maps.to(dtype).requires_grad_()
    expected = F.max_pool2d(maps, window)
    grad = torch.randn(expected.shape, generator=generator).to(dtype)
    expected.backward(grad)

    def planes_of(values):
        return [
            values[..., i::rows, j::columns]
            for i in range(rows)
            for j in range(columns)
        ]

    maximum, code, scratch = (torch.empty_like(grad) for _ in range(3))
    pool_planes(planes_of(maps.detach()), maximum, code, scratch)
    torch.testing.assert_close(maximum, expected.detach(), rtol=0, atol=0)
    grad_maps = torch.full_like(maps, torch.nan, requires_grad=False)
    unpool_planes(grad, code, planes_of(grad_maps))
    torch.testing.assert_close(grad_maps, maps.grad, rtol=0, atol=0)


def test_maximum_of_nan_is_nan():
    planes = torch.tensor([[0.0, torch.nan], [torch.nan, 1.0]])
    maximum, code, scratch = torch.empty(3, 2)
    pool_planes(planes.unbind(), maximum, code, scratch)
    assert maximum.isnan().all()
