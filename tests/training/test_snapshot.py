"""Snapshots restore what they copied."""

import pytest
import torch

from skmlp.training.modules.layers import Dropout, build_mlp
from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.snapshot import (
    AttributeSnapshot,
    GeneratorSnapshot,
    TensorSnapshot,
)


def test_tensor_snapshot_restores_weights_and_running_statistics():
    network = build_mlp(3, [4], 2, batch_norm=True)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
    flat = FlatParameters(network)
    best = {name: value.clone() for name, value in network.state_dict().items()}
    snapshot = TensorSnapshot([flat.values, *network.buffers()])
    flat.values.mul_(3)
    network.train()(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))
    snapshot.restore()
    for name, value in network.state_dict().items():
        assert torch.equal(value, best[name]), name


def test_tensor_snapshot_writes_given_copies():
    tensors = [torch.zeros(2), torch.zeros(3)]
    TensorSnapshot(tensors, [torch.ones(2), torch.full((3,), 2.0)]).restore()
    assert [tensor.tolist() for tensor in tensors] == [[1, 1], [2, 2, 2]]


def test_tensor_snapshot_refuses_too_few_copies():
    with pytest.raises(ValueError, match="zip"):
        TensorSnapshot([torch.zeros(2), torch.zeros(2)], [torch.ones(2)]).restore()


def test_generator_snapshot_repeats_dropout():
    dropout = Dropout(0.5)
    dropout.generator = torch.Generator().manual_seed(0)
    snapshot = GeneratorSnapshot([dropout.generator])
    first = dropout.mask(torch.ones(20))
    snapshot.restore()
    assert torch.equal(dropout.mask(torch.ones(20)), first)


def test_attribute_snapshot_removes_new_attributes():
    dropout = Dropout(0.5)
    snapshot = AttributeSnapshot(dropout)
    dropout.p, dropout.extra = 0.1, 1
    snapshot.restore()
    assert dropout.p == 0.5
    assert not hasattr(dropout, "extra")
