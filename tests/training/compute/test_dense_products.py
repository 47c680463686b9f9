import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skmlp.training.compute.dense_products import (
    linear,
    linear_without_grad,
    matmul_into,
)
from skmlp.training.modules.layers import Linear

# Sums of up to 600 products of standard normals, in float32.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}

# Some products of these sizes are faster by oneDNN, others by BLAS.
SIZES = st.sampled_from([1, 7, 64, 200, 600])


def normal(*shape, dtype=torch.float32, seed=0):
    drawn = np.random.default_rng(seed).normal(size=shape)
    return torch.from_numpy(drawn).to(dtype)


@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES, SIZES, *[st.booleans()] * 3)
def test_affine_matches_float64_in_any_layout(n, k, m, turned, biased, along):
    x, weight = normal(n, k), normal(m, k, seed=1)
    bias = normal(m, seed=2) if biased else None
    if turned:
        x, weight = x.t().contiguous().t(), weight.t().contiguous().t()
    expected = x.double() @ weight.double().t() + (bias.double() if biased else 0.0)
    found = linear_without_grad(x, weight, bias, allow_column_major=along)
    np.testing.assert_allclose(found, expected, **TOLERANCE)


def test_outputs_of_few_units_are_stored_by_units():
    x, weight, bias = normal(200, 50), normal(10, 50), normal(10)
    assert linear_without_grad(
        x, weight, bias, allow_column_major=True
    ).mT.is_contiguous()
    assert linear_without_grad(
        x[:5], weight, bias, allow_column_major=True
    ).is_contiguous()
    assert linear_without_grad(x, weight, bias).is_contiguous()


@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES, SIZES, st.sampled_from([None, 0.0, 0.3]))
def test_matmul_into_writes_into_its_output_only(n, k, m, scale):
    a, b, addend = normal(k, n).t(), normal(k, m, seed=1), normal(n, m, seed=2)
    vector = torch.full((n * m + 2,), 7.0)
    more = () if scale is None else (addend, scale)
    matmul_into(vector[1:-1].view(n, m), a, b, *more)
    expected = a.double() @ b.double() + (scale or 0.0) * addend.double()
    np.testing.assert_allclose(vector[1:-1], expected.reshape(-1), **TOLERANCE)
    assert vector[0] == vector[-1] == 7.0


@settings(max_examples=30, deadline=None)
@given(SIZES, SIZES, SIZES, st.sets(st.sampled_from(["x", "weight", "bias"])))
def test_linear_has_the_gradients_of_torch(n, k, m, wanted):
    tensors = {
        "x": normal(n, k),
        "weight": normal(m, k, seed=1),
        "bias": normal(m, seed=2),
    }
    found, expected = {}, {}
    for function, dtype, gradients in (
        (linear, torch.float32, found),
        (F.linear, torch.float64, expected),
    ):
        leaves = {
            name: value.to(dtype, copy=True).requires_grad_(name in wanted)
            for name, value in tensors.items()
        }
        y = function(*leaves.values())
        assert y.requires_grad == bool(wanted)
        gradients["y"] = y.detach()
        if wanted:
            (y * normal(n, m, dtype=dtype, seed=3)).sum().backward()
        gradients.update({name: leaf.grad for name, leaf in leaves.items()})
    for name, value in expected.items():
        if value is None:
            assert found[name] is None
        else:
            np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-3)


# torch's context manager reads every flag of oneDNN, one of which warns.
@pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")
@pytest.mark.parametrize("rows", [2, 600])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linear_layer_equals_torch_without_onednn(rows, dtype):
    layer = Linear(600, 100, dtype=dtype)
    nn.init.normal_(layer.weight), nn.init.normal_(layer.bias)
    x = normal(rows, 600, dtype=dtype)
    with torch.backends.mkldnn.flags(enabled=False), torch.no_grad():
        expected = F.linear(x, layer.weight, layer.bias)
        assert torch.equal(layer(x), expected)


def test_linear_layer_can_be_traced_and_autocast():
    layer = Linear(600, 100)
    nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
    x = normal(600, 600)
    assert torch.equal(torch.fx.symbolic_trace(layer)(x), layer(x))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype is torch.bfloat16


def test_affine_gives_equal_bits_in_concurrent_threads():
    from concurrent.futures import ThreadPoolExecutor

    x, weight, bias = normal(200, 784), normal(128, 784), normal(128)
    expected = linear_without_grad(x, weight, bias)
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda _: linear_without_grad(x.clone(), weight, bias), range(16))
        )
    assert all(torch.equal(y, expected) for y in found)
