"""Handwritten gradients of the embeddings before the first layer."""

import numpy as np
import pytest
import torch

from skmlp.training.modules.embeddings import FeatureEmbedding
from skmlp.training.steps.handwritten_embedding import HandwrittenEmbedding

PARTS = {
    "scale only": {"scaled": True},
    "periodic": {"periodic": (0, 3)},
    "categories": {"categories": {1: 4, 4: 3}},
    "all": {"periodic": (0, 3), "categories": {1: 4, 4: 3}, "scaled": True},
}


def make_module(seed, **parts):
    """Return a float64 module with random parameters."""
    module = FeatureEmbedding(5, **parts).double()
    module.initialize(np.random.RandomState(seed))
    if module.scale is not None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            module.scale.uniform_(0.5, 2.0, generator=generator)
    return module


def make_batch(seed):
    """Return samples with codes in the columns 1 and 4."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    x[:, 1] = torch.randint(4, (7,), generator=generator)
    x[:, 4] = torch.randint(3, (7,), generator=generator)
    return x


def differentiate(module, x, grad):
    """Return output and gradients by autograd."""
    output = module(x)
    output.backward(grad)
    return output.detach(), [parameter.grad for parameter in module.parameters()]


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_gradients_of_one_network_match_autograd(parts):
    module, x = make_module(0, **parts), make_batch(0)
    grad = torch.randn(7, module.width, dtype=torch.float64)
    output, expected = differentiate(module, x, grad)
    gradients = {id(p): torch.full_like(p, torch.nan) for p in module.parameters()}
    step = HandwrittenEmbedding(
        module, torch.Tensor.detach, lambda parameter: gradients[id(parameter)]
    )
    with torch.no_grad():
        actual, saved = step.forward(x, training=True)
        step.backward(grad, saved)
    torch.testing.assert_close(actual, output, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(gradients.values(), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("same_samples", [False, True])
@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_gradients_of_a_pack_match_autograd(parts, same_samples):
    modules = [make_module(seed, **parts) for seed in range(3)]
    batches = [make_batch(0 if same_samples else seed) for seed in range(3)]
    grads = [torch.randn(7, m.width, dtype=torch.float64) for m in modules]
    results = [
        differentiate(*member) for member in zip(modules, batches, grads, strict=True)
    ]
    first = list(modules[0].parameters())
    values = {
        id(parameter): torch.stack([list(m.parameters())[i].detach() for m in modules])
        for i, parameter in enumerate(first)
    }
    gradients = {
        key: torch.full_like(value, torch.nan) for key, value in values.items()
    }
    step = HandwrittenEmbedding(
        modules[0],
        lambda parameter: values[id(parameter)],
        lambda parameter: gradients[id(parameter)],
        n_members=3,
    )
    x = torch.stack(batches[:1] if same_samples else batches)
    with torch.no_grad():
        actual, saved = step.forward(x, training=True)
        step.backward(torch.stack(grads), saved)
    for i, (output, expected) in enumerate(results):
        torch.testing.assert_close(actual[i], output, rtol=1e-12, atol=1e-12)
        for ours, theirs in zip(gradients.values(), expected, strict=True):
            torch.testing.assert_close(ours[i], theirs, rtol=1e-12, atol=1e-12)


def test_unused_embedding_of_a_code_has_a_gradient_of_zero():
    module = make_module(0, categories={1: 9})
    gradients = {id(p): torch.full_like(p, torch.nan) for p in module.parameters()}
    step = HandwrittenEmbedding(
        module, torch.Tensor.detach, lambda parameter: gradients[id(parameter)]
    )
    with torch.no_grad():
        output, saved = step.forward(make_batch(0), training=True)
        step.backward(torch.ones_like(output), saved)
    (gradient,) = gradients.values()
    assert (gradient[4:] == 0).all()
    assert gradient[:4].sum() == 7 * 8
