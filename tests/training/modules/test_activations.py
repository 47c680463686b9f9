"""Activations by name, with handwritten derivatives."""

import pytest
import torch

from skmlp.training.modules import activations


@pytest.mark.parametrize("name", activations.MODULES)
def test_activations_keep_shape_and_dtype(name):
    x = torch.linspace(-3, 3, 12, dtype=torch.float64).view(3, 4)
    y = activations.make_activation(name).double()(x)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)


@pytest.mark.parametrize(
    "name", list(filter(activations.is_non_decreasing, activations.MODULES))
)
def test_activations_after_pooling_are_non_decreasing(name):
    x = torch.linspace(-20, 20, 4001, dtype=torch.float64)
    assert (activations.make_activation(name)(x).diff() >= 0).all()


@pytest.mark.parametrize(
    "module", activations.HANDWRITTEN_ACTIVATIONS, ids=lambda m: m.__name__
)
def test_handwritten_derivatives_match_autograd(module):
    z = torch.tensor([-2.0, -0.5, 0.0, 0.3, 4.0], dtype=torch.float64)
    delta = torch.tensor([1.0, -2.0, 3.0, 0.5, 0.25], dtype=torch.float64)
    leaf = z.clone().requires_grad_()
    expected = module()(leaf)
    expected.backward(delta)
    forward, backward = activations.HANDWRITTEN_ACTIVATIONS[module]
    output = forward(z)
    torch.testing.assert_close(output, expected.detach(), rtol=1e-15, atol=1e-16)
    torch.testing.assert_close(backward(delta, z), leaf.grad, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("module", [torch.nn.SELU, torch.nn.Mish])
def test_handwritten_activations_are_right_for_large_numbers(module, dtype):
    z = torch.cat(
        [torch.linspace(-50, 50, 4001), torch.tensor([-1e6, -200.0, 200.0, 1e6])]
    ).to(dtype)
    leaf = z.double().clone().requires_grad_()
    expected = module()(leaf)
    expected.sum().backward()
    forward, backward = activations.HANDWRITTEN_ACTIVATIONS[module]
    output = forward(z)
    bound = {"rtol": 32 * torch.finfo(dtype).eps, "atol": 32 * torch.finfo(dtype).eps}
    torch.testing.assert_close(output, expected.detach().to(dtype), **bound)
    gradient = backward(torch.ones_like(z), z)
    torch.testing.assert_close(gradient, leaf.grad.to(dtype), **bound)
