"""Products in bfloat16 are close to products in float32."""

import numpy as np
import pytest
import torch

from skmlp.training.compute.dense_products import DenseProducts
from skmlp.training.compute.mixed_products import MixedProducts
from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER

UNITS, INPUTS, BATCH = 128, 784, 64
ALPHA, TOTAL = 3.0, 2.0

# A value in bfloat16 has a relative error of at most 2**-9. The sums of this module add
# up to 784 products of standard normals, whose errors are independent.
TOLERANCE = 5 * 784**0.5 * 2**-8


def normal(*shape, seed=0):
    drawn = np.random.default_rng(seed).normal(size=shape)
    return torch.from_numpy(drawn).float()


def run_products(
    products_class, x, units=UNITS, tuner=SINGLE_THREAD_TUNER, column_major=False
):
    """Return output, weight gradient and input gradient of a layer."""
    weight, bias = normal(units, x.shape[1]), normal(units, seed=1)
    gradient = torch.full_like(weight, torch.nan)
    products = products_class(weight, bias, gradient, ALPHA, tuner)
    grad = normal(x.shape[0], units, seed=3)
    x = x.mT.contiguous().mT if column_major else x
    z = products.forward(x)
    products.write_weight_gradient(grad, x, TOTAL)
    return z, gradient, products.input_gradient(grad, x)


@pytest.mark.parametrize("column_major", [False, True])
def test_large_products_are_near_those_of_float32(column_major):
    x = normal(BATCH, INPUTS, seed=2)
    mixed = run_products(MixedProducts, x, column_major=column_major)
    full = run_products(DenseProducts, x)
    for ours, theirs in zip(mixed, full, strict=True):
        assert ours.dtype == torch.float32
        assert not torch.equal(ours, theirs)
        assert (ours - theirs).abs().max() < TOLERANCE
    assert mixed[2].mT.is_contiguous() == column_major


def test_penalty_is_added_in_float32():
    x = normal(BATCH, INPUTS, seed=2)
    weight, bias = normal(UNITS, INPUTS), normal(UNITS, seed=1)
    gradient = torch.empty_like(weight)
    products = MixedProducts(weight, bias, gradient, ALPHA)
    products.forward(x)
    products.write_weight_gradient(torch.zeros(BATCH, UNITS), x, TOTAL)
    torch.testing.assert_close(gradient, ALPHA / TOTAL * weight)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_small_products_equal_those_of_float32(dtype):
    x = normal(8, 20, seed=2).to(dtype)
    mixed = run_products(MixedProducts, x)
    assert all(map(torch.equal, mixed, run_products(DenseProducts, x.float())))


def test_small_products_of_column_major_inputs_are_column_major():
    x = normal(200, 100, seed=2)
    z, gradient, grad_x = run_products(MixedProducts, x, 10, column_major=True)
    assert z.mT.is_contiguous()
    assert grad_x.mT.is_contiguous()
    full = run_products(DenseProducts, x, 10)
    for ours, theirs in zip((z, gradient, grad_x), full, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_threads", [2, 3, 4])
@pytest.mark.parametrize("column_major", [False, True])
def test_threads_do_not_change_mixed_products(
    column_major, n_threads, on_one_and_many_threads
):
    x = normal(BATCH, INPUTS, seed=2)

    def compute(tuner):
        return run_products(MixedProducts, x, UNITS, tuner, column_major)

    assert all(map(torch.equal, *on_one_and_many_threads(n_threads, compute)))


def test_frozen_weights_have_no_gradient():
    x, weight = normal(BATCH, INPUTS, seed=2), normal(UNITS, INPUTS)
    before = weight.clone()
    products = MixedProducts(weight, normal(UNITS, seed=1), None, ALPHA)
    products.forward(x)
    products.write_weight_gradient(normal(BATCH, UNITS, seed=3), x, TOTAL)
    assert torch.equal(weight, before)
