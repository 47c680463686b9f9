import numpy as np
import pytest
import torch

from skmlp.training.compute.dense_products import DenseProducts
from skmlp.training.packs.dense_products import PackDenseProducts, ScaledDenseProducts

# Sums of up to 600 products of standard normals, in float32.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


def normal(*shape, seed=0):
    drawn = np.random.default_rng(seed).normal(size=shape)
    return torch.from_numpy(drawn).float()


def packed_and_alone(n_members, out, inputs):
    """Return the products of a layer of a pack, and of each member alone."""
    weight, bias = normal(n_members, out, inputs), normal(n_members, out, seed=1)
    packed = PackDenseProducts(weight, bias, torch.full_like(weight, np.nan))
    alone = [
        DenseProducts(weight[i], bias[i], normal(out, inputs)) for i in range(n_members)
    ]
    return packed, alone


@pytest.mark.parametrize("batch", [1, 3, 40, 600])
@pytest.mark.parametrize("n_sets", [1, 2, 6])
def test_packed_products_match_those_of_each_member(n_sets, batch):
    packed, alone = packed_and_alone(6, 9, 8)
    x, grad = normal(n_sets, batch, 8, seed=2), normal(6, batch, 9, seed=3)
    z, grad_x = packed.forward(x), packed.input_gradient(grad, x)
    packed.write_weight_gradient(grad, x)
    for i, products in enumerate(alone):
        own = x[i * n_sets // 6]
        np.testing.assert_allclose(z[i], products.forward(own), **TOLERANCE)
        np.testing.assert_allclose(
            grad_x[i], products.input_gradient(grad[i], own), **TOLERANCE
        )
        products.write_weight_gradient(grad[i], own, 1.0)
        np.testing.assert_allclose(
            packed.weight_gradient[i], products.weight_gradient, **TOLERANCE
        )


def test_views_follow_changes_of_the_weights():
    packed, _ = packed_and_alone(4, 9, 8)
    x = normal(2, 40, 8, seed=2)
    before = packed.forward(x)
    packed.weight.mul_(2.0), packed.bias.mul_(2.0)
    np.testing.assert_allclose(packed.forward(x), 2.0 * before, **TOLERANCE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_sets", [1, 2, 3, 12])
@pytest.mark.parametrize("n_threads", [2, 3, 4])
def test_threads_do_not_change_packed_products(
    n_threads, n_sets, dtype, on_one_and_many_threads
):
    weight = normal(12, 10, 50).to(dtype)
    x, grad = normal(n_sets, 200, 50).to(dtype), normal(12, 200, 10).to(dtype)

    def compute(tuner):
        gradient = torch.empty_like(weight)
        products = PackDenseProducts(weight, weight[..., 0].clone(), gradient, tuner)
        products.write_weight_gradient(grad, x)
        return products.forward(x), products.input_gradient(grad, x), gradient

    assert all(map(torch.equal, *on_one_and_many_threads(n_threads, compute)))


@pytest.mark.parametrize("batch", [1, 40])
@pytest.mark.parametrize("n_sets", [2, 6])
def test_scaled_weights_match_scaled_inputs(n_sets, batch):
    weight, bias = normal(6, 9, 8), normal(6, 9, seed=1)
    scale = normal(6, 8, seed=4)
    gradient, scale_gradient = torch.full_like(weight, np.nan), torch.zeros(6, 8)
    packed = ScaledDenseProducts(
        weight,
        bias,
        gradient,
        scale=scale,
        scale_gradient=scale_gradient,
        n_constant=3,
    )
    x, grad = normal(n_sets, batch, 8, seed=2), normal(6, batch, 9, seed=3)
    leaves = [t.clone().requires_grad_() for t in (weight, scale)]
    inputs = x.repeat_interleave(6 // n_sets, dim=0).requires_grad_()
    expected = torch.baddbmm(
        bias.unsqueeze(1), inputs * leaves[1].unsqueeze(1), leaves[0].mT
    )
    expected.backward(grad)
    np.testing.assert_allclose(packed.forward(x), expected.detach(), **TOLERANCE)
    packed.write_weight_gradient(grad, x)
    for own, leaf in zip((gradient, scale_gradient), leaves, strict=True):
        np.testing.assert_allclose(own, leaf.grad, **TOLERANCE)
    np.testing.assert_allclose(
        packed.input_gradient(grad, x), inputs.grad[..., 3:], **TOLERANCE
    )
