"""Copies of networks without the constructors of their modules."""

import pytest
import torch
from torch import nn

from skmlp.training.modules.convolution import build_cnn
from skmlp.training.modules.copies import copy_modules
from skmlp.training.modules.embeddings import FeatureEmbedding
from skmlp.training.modules.layers import build_mlp

NETWORKS = {
    "mlp": lambda: build_mlp(16, [4], 3, batch_norm=True, dropout=0.5),
    "embedding": lambda: build_mlp(
        16, [4], 3, embedding=FeatureEmbedding(16, [0, 1], {2: 3}, True)
    ),
    "cnn": lambda: build_cnn((4, 4, 1), 3, conv_channels=(2,)),
}


@pytest.fixture(params=NETWORKS)
def network(request):
    return NETWORKS[request.param]()


def copied(network):
    copies = {id(p): nn.Parameter(torch.ones_like(p)) for p in network.parameters()}
    return copy_modules(network, copies), copies


def test_a_copy_has_equal_modules_and_the_given_parameters(network):
    copy, copies = copied(network)
    assert repr(copy) == repr(network)
    assert list(map(id, copy.parameters())) == list(map(id, copies.values()))
    modules = zip(network.modules(), copy.modules(), strict=True)
    for module, module_copy in modules:
        assert module is not module_copy
        assert vars(module).keys() == vars(module_copy).keys()


def test_a_change_of_a_copy_leaves_the_network_unchanged(network):
    copy, _ = copied(network)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    for module in copy.modules():
        module.register_forward_hook(lambda *_: None)
        module.register_buffer("added", torch.zeros(1))
    for buffer in copy.buffers():
        buffer.add_(1)
    for module in network.modules():
        assert not module._forward_hooks
        assert not hasattr(module, "added")
    for name, buffer in network.named_buffers():
        torch.testing.assert_close(buffer, before[name], rtol=0, atol=0)
