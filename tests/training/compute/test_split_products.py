"""Products in parts, against whole ones in float64, on any number of threads."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skmlp.training.compute import split_products as shared_products_module
from skmlp.training.compute.dense_products import DenseProducts
from skmlp.training.compute.split_products import SplitProducts

# Sums of up to 800 products of standard normals, in float32.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}

UNITS = st.sampled_from([1, 7, 48, 50, 64, 100, 128])
INPUTS = st.sampled_from([1, 48, 99, 300, 784])
ROWS = st.sampled_from([1, 5, 32, 100])


def normal(*shape, seed=0):
    drawn = np.random.default_rng(seed).normal(size=shape)
    return torch.from_numpy(drawn).float()


def shared_products(units, inputs, rows):
    weight, bias = normal(units, inputs), normal(units, seed=1)
    gradient = torch.full_like(weight, torch.nan)
    return weight, bias, gradient, SplitProducts(weight, bias, gradient, rows)


@settings(max_examples=60, deadline=None)
@given(UNITS, INPUTS, ROWS, st.sampled_from([0.0, 0.3]))
def test_they_are_the_products_of_the_layer(units, inputs, rows, decay):
    weight, bias, gradient, shared = shared_products(units, inputs, rows)
    x, delta = normal(rows, inputs, seed=2), normal(rows, units, seed=3)
    z, by_x = shared.forward(x), shared.backward(delta)
    shared.differentiate(delta, x, decay)
    assert z.mT.is_contiguous()
    assert by_x.mT.is_contiguous()
    W, X, D = weight.double(), x.double(), delta.double()
    np.testing.assert_allclose(z, X @ W.mT + bias.double(), **TOLERANCE)
    np.testing.assert_allclose(by_x, D @ W, **TOLERANCE)
    np.testing.assert_allclose(gradient, D.mT @ X + decay * W, **TOLERANCE)


def test_without_a_gradient_nothing_is_written():
    weight, bias = normal(64, 300), normal(64)
    before = weight.clone()
    shared = SplitProducts(weight, bias, None, 100)
    shared.differentiate(normal(100, 64), normal(100, 300), 0.1)
    assert torch.equal(weight, before)


@pytest.mark.parametrize("n_threads", [2, 3, 4])
@pytest.mark.parametrize(
    ("units", "inputs", "rows"), [(128, 784, 32), (50, 784, 50), (75, 300, 100)]
)
def test_threads_change_no_bit(units, inputs, rows, n_threads, alone_and_together):
    x, delta = normal(rows, inputs, seed=2), normal(rows, units, seed=3)

    def compute():
        _, _, gradient, shared = shared_products(units, inputs, rows)
        shared.differentiate(delta, x, 0.1)
        return shared.forward(x), shared.backward(delta), gradient

    assert all(map(torch.equal, *alone_and_together(n_threads, compute)))


@pytest.mark.parametrize(
    ("rows", "dtype", "in_parts"),
    [
        (16, torch.float32, False),  # an epoch's last batch
        (32, torch.float32, True),
        (32, torch.float64, False),
        (64, torch.float32, False),  # enough multiplications for oneDNN
    ],
)
def test_a_layer_multiplies_so_where_it_is_worth_it(rows, dtype, in_parts):
    weight, bias = normal(128, 784).to(dtype), normal(128).to(dtype)
    layer = DenseProducts(weight, bias, torch.empty_like(weight))
    x, delta = normal(rows, 784, seed=2).to(dtype), normal(rows, 128, seed=3).to(dtype)
    z, by_x = layer.forward(x), layer.backward(delta, x)
    assert z.mT.is_contiguous() == by_x.mT.is_contiguous() == in_parts
    np.testing.assert_allclose(z, x.double() @ weight.double().mT + bias, **TOLERANCE)


def test_parts_are_computed_on_threads_of_their_own(threads_asked_for):
    asked_for = threads_asked_for(shared_products_module)
    _, _, _, shared = shared_products(128, 784, 32)
    x, delta = normal(32, 784, seed=2), normal(32, 128, seed=3)
    shared.forward(x), shared.differentiate(delta, x, 0.1), shared.backward(delta)
    assert asked_for == [2, 4, 2]  # of 2, 8 and 2 parts


def test_the_derivative_lies_as_what_it_is_by():
    """So that the activation's derivative need not turn it."""
    weight = normal(10, 128)
    layer = DenseProducts(weight, normal(10), torch.empty_like(weight))
    x, delta = normal(32, 128, seed=2), normal(32, 10, seed=3)
    for laid_out in (x, x.mT.contiguous().mT):
        by_x = layer.backward(delta, laid_out)
        assert by_x.stride() == laid_out.stride()
        expected = delta.double() @ weight.double()
        np.testing.assert_allclose(by_x, expected, **TOLERANCE)
