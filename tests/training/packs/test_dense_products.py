import numpy as np
import pytest
import torch

from skmlp.training.compute.dense_products import DenseProducts
from skmlp.training.packs.dense_products import PackDenseProducts

# Sums of up to 600 products of standard normals, in float32.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


def normal(*shape, seed=0):
    drawn = np.random.default_rng(seed).normal(size=shape)
    return torch.from_numpy(drawn).float()


def stacked_and_alone(n_models, out, inputs):
    """Return the products of a layer of many models, and those of each alone."""
    weight, bias = normal(n_models, out, inputs), normal(n_models, out, seed=1)
    stacked = PackDenseProducts(weight, bias, torch.full_like(weight, np.nan))
    alone = [
        DenseProducts(weight[i], bias[i], normal(out, inputs)) for i in range(n_models)
    ]
    return stacked, alone


@pytest.mark.parametrize("batch", [1, 3, 40, 600])
@pytest.mark.parametrize("n_sets", [1, 2, 6])
def test_products_of_many_models_are_those_of_each(n_sets, batch):
    stacked, alone = stacked_and_alone(6, 9, 8)
    x, delta = normal(n_sets, batch, 8, seed=2), normal(6, batch, 9, seed=3)
    z, by_x = stacked.forward(x), stacked.backward(delta, x)
    stacked.differentiate(delta, x)
    for i, products in enumerate(alone):
        own = x[i * n_sets // 6]
        np.testing.assert_allclose(z[i], products.forward(own), **TOLERANCE)
        np.testing.assert_allclose(
            by_x[i], products.backward(delta[i], own), **TOLERANCE
        )
        products.differentiate(delta[i], own, 1.0)
        np.testing.assert_allclose(stacked.gradient[i], products.gradient, **TOLERANCE)


def test_views_follow_what_training_writes():
    stacked, _ = stacked_and_alone(4, 9, 8)
    x = normal(2, 40, 8, seed=2)
    before = stacked.forward(x)
    stacked.weight.mul_(2.0), stacked.bias.mul_(2.0)
    np.testing.assert_allclose(stacked.forward(x), 2.0 * before, **TOLERANCE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_sets", [1, 2, 3, 12])
@pytest.mark.parametrize("n_threads", [2, 3, 4])
def test_threads_change_no_bit(n_threads, n_sets, dtype, alone_and_together):
    weight = normal(12, 10, 50).to(dtype)
    x, delta = normal(n_sets, 200, 50).to(dtype), normal(12, 200, 10).to(dtype)

    def compute():
        gradient = torch.empty_like(weight)
        products = PackDenseProducts(weight, weight[..., 0].clone(), gradient)
        products.differentiate(delta, x)
        return products.forward(x), products.backward(delta, x), gradient

    assert all(map(torch.equal, *alone_and_together(n_threads, compute)))
