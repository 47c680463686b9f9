"""Split products equal whole ones, on any number of threads."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skmlp.training.compute import dense_products, split_products
from skmlp.training.compute.dense_products import DenseProducts
from skmlp.training.compute.split_products import SplitProducts
from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER

# Sums of up to 800 products of standard normals, in float32.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}

UNITS = st.sampled_from([1, 7, 48, 50, 64, 100, 128])
INPUTS = st.sampled_from([1, 48, 99, 300, 784])
BATCH_SIZES = st.sampled_from([1, 5, 32, 100])


def normal(*shape, seed=0):
    drawn = np.random.default_rng(seed).normal(size=shape)
    return torch.from_numpy(drawn).float()


def make_products(units, inputs, batch_size, tuner=SINGLE_THREAD_TUNER):
    """Return weights, biases, the weights' gradient and the products of a layer."""
    weight, bias = normal(units, inputs), normal(units, seed=1)
    gradient = torch.full_like(weight, torch.nan)
    products = SplitProducts(weight, bias, gradient, batch_size, tuner)
    return weight, bias, gradient, products


@settings(max_examples=60, deadline=None)
@given(UNITS, INPUTS, BATCH_SIZES, st.sampled_from([0.0, 0.3]))
def test_split_products_match_whole_products(units, inputs, batch_size, decay):
    weight, bias, gradient, products = make_products(units, inputs, batch_size)
    x, grad = normal(batch_size, inputs, seed=2), normal(batch_size, units, seed=3)
    z, grad_x = products.forward(x), products.input_gradient(grad)
    products.write_weight_gradient(grad, x, decay)
    assert z.mT.is_contiguous()
    assert grad_x.mT.is_contiguous()
    W, X, D = weight.double(), x.double(), grad.double()
    np.testing.assert_allclose(z, X @ W.mT + bias.double(), **TOLERANCE)
    np.testing.assert_allclose(grad_x, D @ W, **TOLERANCE)
    np.testing.assert_allclose(gradient, D.mT @ X + decay * W, **TOLERANCE)


def test_weights_without_gradient_are_not_differentiated():
    weight, bias = normal(64, 300), normal(64)
    before = weight.clone()
    products = SplitProducts(weight, bias, None, 100)
    products.write_weight_gradient(normal(100, 64), normal(100, 300), 0.1)
    assert torch.equal(weight, before)


@pytest.mark.parametrize("n_threads", [2, 3, 4])
@pytest.mark.parametrize(
    ("units", "inputs", "batch_size"), [(128, 784, 32), (50, 784, 50), (75, 300, 100)]
)
def test_threads_do_not_change_split_products(
    units, inputs, batch_size, n_threads, on_one_and_many_threads
):
    x, grad = normal(batch_size, inputs, seed=2), normal(batch_size, units, seed=3)

    def compute(tuner):
        _, _, gradient, products = make_products(units, inputs, batch_size, tuner)
        products.write_weight_gradient(grad, x, 0.1)
        return products.forward(x), products.input_gradient(grad), gradient

    assert all(map(torch.equal, *on_one_and_many_threads(n_threads, compute)))


@pytest.mark.parametrize("mkl_is_fast", [False, True])
@pytest.mark.parametrize(
    ("batch_size", "dtype", "is_split", "is_split_by_fast_mkl"),
    [
        (16, torch.float32, False, False),  # an epoch's last batch
        (32, torch.float32, True, True),
        (32, torch.float64, False, False),
        (64, torch.float32, False, True),  # enough multiplications for oneDNN
        (500, torch.float32, False, False),
    ],
)
def test_dense_products_are_split_for_middling_sizes(
    batch_size, dtype, is_split, is_split_by_fast_mkl, mkl_is_fast, monkeypatch
):
    monkeypatch.setattr(dense_products, "mkl_is_fast", lambda: mkl_is_fast)
    is_split = is_split_by_fast_mkl if mkl_is_fast else is_split
    weight, bias = normal(128, 784).to(dtype), normal(128).to(dtype)
    layer = DenseProducts(weight, bias, torch.empty_like(weight))
    x, grad = (
        normal(batch_size, 784, seed=2).to(dtype),
        normal(batch_size, 128, seed=3).to(dtype),
    )
    assert layer.input_gradient(grad, x).is_contiguous()
    column_major = x.mT.contiguous().mT
    z, grad_x = layer.forward(x), layer.input_gradient(grad, column_major)
    assert z.mT.is_contiguous() == is_split
    assert grad_x.mT.is_contiguous() or not is_split
    np.testing.assert_allclose(z, x.double() @ weight.double().mT + bias, **TOLERANCE)


def test_each_part_may_use_one_thread(requested_threads, four_threads):
    requested = requested_threads(split_products)
    _, _, _, products = make_products(128, 784, 32, four_threads)
    x, grad = normal(32, 784, seed=2), normal(32, 128, seed=3)
    products.forward(x)
    products.write_weight_gradient(grad, x, 0.1)
    products.input_gradient(grad)
    assert requested == [2, 4, 2]  # of 2, 8 and 2 parts


def test_input_gradient_has_the_layout_of_the_input():
    """The activation's derivative then needs no copy."""
    weight = normal(10, 128)
    layer = DenseProducts(weight, normal(10), torch.empty_like(weight))
    x, grad = normal(32, 128, seed=2), normal(32, 10, seed=3)
    for laid_out in (x, x.mT.contiguous().mT):
        grad_x = layer.input_gradient(grad, laid_out)
        assert grad_x.stride() == laid_out.stride()
        expected = grad.double() @ weight.double()
        np.testing.assert_allclose(grad_x, expected, **TOLERANCE)
