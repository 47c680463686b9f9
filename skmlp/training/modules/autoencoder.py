"""The network of an autoencoder: an encoder, the code, and a decoder."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from skmlp.training.modules.activations import Activation, make_activation
from skmlp.training.modules.layers import Linear, add_hidden_layers, per_layer

# The last module of the encoder.
_END_OF_ENCODER = "code_activation"


def build_autoencoder(
    n_features: int,
    encoder_sizes: Sequence[int],
    n_components: int,
    decoder_sizes: Sequence[int],
    *,
    activation: Activation = "relu",
    code_activation: str = "identity",
    dropout: float | Sequence[float] = 0.0,
    batch_norm: bool = False,
) -> nn.Sequential:
    """Return an autoencoder with uninitialized weights; see `initialize`.

    Parameters
    ----------
    n_features : int
        Number of inputs and of outputs.
    encoder_sizes, decoder_sizes : sequence of int
        Sizes of the hidden layers before and after the code.
    n_components : int
        Size of the code.
    activation : str or callable
        Activation after every hidden layer; see `make_activation`.
    code_activation : str
        Name of the activation of the code.
    dropout : float or sequence of float
        Probability to drop a hidden unit, for all hidden layers or one for each. The
        code is not dropped.
    batch_norm : bool
        Whether to normalize every hidden layer before its activation.

    Returns
    -------
    network : nn.Sequential
        Maps features ``(batch, n_features)`` to their reconstructions.
    """
    n_encoder, n_layers = len(encoder_sizes), len(encoder_sizes) + len(decoder_sizes)
    hint = f"the encoder and the decoder have {n_layers} hidden layers"
    rates = per_layer("dropout", dropout, n_layers, hint)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    width = add_hidden_layers(
        layers, n_features, encoder_sizes, activation, rates[:n_encoder], batch_norm
    )
    layers["code"] = Linear(width, n_components)
    layers[_END_OF_ENCODER] = make_activation(code_activation)
    width = add_hidden_layers(
        layers,
        n_components,
        decoder_sizes,
        activation,
        rates[n_encoder:],
        batch_norm,
        name="decoder",
    )
    layers["output"] = Linear(width, n_features)
    return nn.Sequential(layers)


class AutoencoderParts(NamedTuple):
    """The two parts of an autoencoder, with the modules of the whole network."""

    encoder: nn.Sequential  # (batch, n_features) to (batch, n_components)
    decoder: nn.Sequential  # (batch, n_components) to (batch, n_features)


def split_autoencoder(network: nn.Sequential) -> AutoencoderParts:
    """Return the parts of a network made by `build_autoencoder`, in evaluation mode."""
    names = [name for name, _ in network.named_children()]
    end, modules = names.index(_END_OF_ENCODER) + 1, list(network)
    return AutoencoderParts(
        nn.Sequential(*modules[:end]).eval(), nn.Sequential(*modules[end:]).eval()
    )
