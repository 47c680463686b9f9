"""Embeddings of numbers and categories as modules."""

import math

import numpy as np
import torch

from skmlp.training.modules.embeddings import (
    CategoryEmbedding,
    FeatureEmbedding,
    PeriodicEmbedding,
)


def test_periodic_embedding_follows_its_formula():
    module = PeriodicEmbedding(1, n_frequencies=1, n_components=1)
    with torch.no_grad():
        module.frequencies.fill_(0.25)
        module.phases.fill_(0.5)
        module.weight.fill_(3.0)
        module.bias.fill_(0.1)
    expected = 3.0 * math.cos(2 * math.pi * 0.25 * 2.0 + 0.5) + 0.1
    output = module(torch.tensor([[2.0]])).item()
    assert math.isclose(output, expected, rel_tol=1e-5)


def test_each_column_has_its_own_vectors():
    module = CategoryEmbedding([2, 3], width=4)
    module.initialize(np.random.RandomState(0))
    output = module(torch.tensor([[1.0, 2.0]]))
    expected = torch.cat([module.vectors[1], module.vectors[4]])
    assert torch.equal(output[0], expected)


def test_numbers_come_before_embeddings():
    module = FeatureEmbedding(4, periodic=(2,), categories={1: 5}, scaled=True)
    module.initialize(np.random.RandomState(0))
    x = torch.tensor([[1.5, 4.0, -2.5, 0.5]])
    output = module(x)
    assert output.shape == (1, module.width) == (1, 3 + 3 + 8)
    assert torch.equal(output[0, :3], torch.tensor([1.5, -2.5, 0.5]))


def test_repr_names_columns_and_sizes():
    text = repr(FeatureEmbedding(3, periodic=(0,), categories={2: 7}))
    assert "periodic=(0,)" in text
    assert "categorical=(2,)" in text
    assert "[7], width=8" in text
