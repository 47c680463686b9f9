"""The modules of an autoencoder, and its two parts."""

import pytest
import torch
from torch import nn

from skmlp.training.modules.autoencoder import build_autoencoder, split_autoencoder
from skmlp.training.modules.layers import Dropout


def draw_weights(network):
    """Give a network any weights."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(
                generator=torch.Generator().manual_seed(parameter.numel())
            )
    return network


def test_layers_have_names_of_their_part():
    network = build_autoencoder(6, (5, 4), 2, (3,), activation="tanh")
    assert [name for name, _ in network.named_children()] == [
        "dense1",
        "dense1_activation",
        "dense2",
        "dense2_activation",
        "code",
        "code_activation",
        "decoder1",
        "decoder1_activation",
        "output",
    ]
    assert isinstance(network.code_activation, nn.Identity)
    assert isinstance(network.decoder1_activation, nn.Tanh)


def test_parts_compose_to_the_network():
    network = draw_weights(build_autoencoder(6, (5,), 2, (3, 4)))
    parts = split_autoencoder(network)
    x = torch.randn(7, 6, generator=torch.Generator().manual_seed(0))
    codes = parts.encoder(x)
    assert codes.shape == (7, 2)
    torch.testing.assert_close(parts.decoder(codes), network(x), rtol=0, atol=0)


def test_dropout_rates_are_those_of_encoder_then_decoder():
    network = build_autoencoder(6, (5,), 2, (3, 4), dropout=(0.1, 0.0, 0.3))
    rates = {
        name: layer.p
        for name, layer in network.named_children()
        if isinstance(layer, Dropout)
    }
    assert rates == {"dense1_dropout": 0.1, "decoder2_dropout": 0.3}
    with pytest.raises(ValueError, match="encoder and the decoder have 3 hidden"):
        build_autoencoder(6, (5,), 2, (3, 4), dropout=(0.1, 0.3))


def test_linear_autoencoder_has_two_layers():
    network = build_autoencoder(6, (), 2, (), code_activation="logistic")
    assert [type(layer).__name__ for layer in network] == [
        "Linear",
        "Sigmoid",
        "Linear",
    ]
