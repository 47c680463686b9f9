"""Layers, the multi-layer perceptron, and the draw of initial weights."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmlp.training.compute.dense_products import linear
from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER, ThreadTuner
from skmlp.training.modules.activations import Activation, make_activation
from skmlp.training.modules.embeddings import FeatureEmbedding
from skmlp.training.modules.initializers import Fan, draw_layer
from skmlp.training.modules.introspection import iterate_modules, weight_layers


class Linear(nn.Linear):
    """torch's linear layer, computed by oneDNN where that is faster.

    - The constructor does not initialize the weights, so it does not use torch's global
      generator.
    - `use_thread_tuner` sets its thread tuner for the time of a fit.
    """

    tuner: ThreadTuner = SINGLE_THREAD_TUNER

    def reset_parameters(self) -> None:
        """Leave the weights to `initialize`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` times the weights, plus the biases."""
        return linear(x, self.weight, self.bias, self.tuner.n_threads)


class Conv2d(nn.Conv2d):
    """torch's convolution, without initial weights, like `Linear`."""

    def reset_parameters(self) -> None:
        """Leave the weights to `initialize`."""


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """torch's batch normalization, with two differences.

    - A batch with one value per channel is normalized by the running statistics,
      because one value has no variance. The last batch of an epoch may be one sample.
    - While its parameters are frozen, its running statistics do not change.
    """

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, unless the parameters are frozen."""
        return super().train(mode and self.weight.requires_grad)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize a batch."""
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias
            )
        return super().forward(x)


class BatchNorm1d(BatchNorm, nn.BatchNorm1d):
    """Normalizes the units of a dense layer."""


class BatchNorm2d(BatchNorm, nn.BatchNorm2d):
    """Normalizes the channels of a convolution."""


class Dropout(nn.Module):
    """Sets inputs to zero with probability `p` and scales the rest by ``1 / (1 - p)``.

    It differs from torch's dropout in these ways.

    - It draws from its attribute `generator`. `set_dropout_generator` sets it for the
      time of a fit.
    - With `channels` it drops whole feature maps.
    - On a CPU, 16 random bits decide about each input, so the probability is rounded
      to a multiple of ``2 ** -16``. torch's ``bernoulli_`` takes longer.

    Attributes
    ----------
    fade : float
        Factor of `p`, which falls from 1 to 0 in a training with `fade_start`.
    """

    fade = 1.0

    def __init__(self, p: float, channels: bool = False) -> None:
        super().__init__()
        self.p = p
        self.channels = channels
        self.generator: torch.Generator | None = None

    def mask(self, x: Tensor) -> Tensor:
        """Draw the factors, zero or ``1 / (1 - p)``, that multiply `x`."""
        if x.dim() == 1:  # one sample without a batch
            return self.mask(x.unsqueeze(0)).squeeze(0)
        if x.dim() == 3:  # the maps of signals are maps of height 1
            return self.mask(x.unsqueeze(2)).squeeze(2)
        # Channels last, so that the same seed drops the same units in any layout of x.
        if x.dim() == 4:
            like = x[:, :, :1, :1] if self.channels else x  # (batch, channels, 1, 1)
            mask = torch.empty_like(like, memory_format=torch.channels_last)
        else:
            mask = x.new_empty(x.shape[::-1]).mT
        self.fill_mask(mask)
        return mask

    def fill_mask(self, mask: Tensor) -> None:
        """Fill a mask ``(batch, units)`` or ``(batch, channels, height, width)``.

        On a CPU, the factors of a unit are drawn one after the other, because the
        batch is the contiguous dimension of the layers of a pack.
        """
        p = self.p * self.fade
        if mask.device.type != "cpu":
            mask.bernoulli_(1.0 - p, generator=self.generator).div_(1.0 - p)
            return
        stored = mask.permute(0, 2, 3, 1) if mask.dim() == 4 else mask.mT
        if stored.is_contiguous():
            _draw_kept(stored.view(-1), p, self.generator)
        else:
            drawn = torch.empty_like(stored, memory_format=torch.contiguous_format)
            _draw_kept(drawn.view(-1), p, self.generator)
            stored.copy_(drawn)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with random zeros in training mode, otherwise `x` itself."""
        return x * self.mask(x) if self.training else x

    def extra_repr(self) -> str:
        """Return the parameters for torch's repr."""
        return f"p={self.p}, channels={self.channels}"


def _draw_kept(mask: Tensor, p: float, generator: torch.Generator | None) -> None:
    """Fill a vector by zeros with probability `p`, and by ``1 / (1 - p)`` elsewhere."""
    words = torch.empty(-(-len(mask) // 4), dtype=torch.int64)
    draw_bits(words, generator)
    set_kept(mask, words.view(torch.int16)[: len(mask)], p)


def draw_bits(words: Tensor, generator: torch.Generator | None) -> None:
    """Fill a tensor of int64 by random bits."""
    words.random_(-(2**63), None, generator=generator)


def set_kept(mask: Tensor, numbers: Tensor, p: float) -> None:
    """Fill a mask as `_draw_kept` does, by numbers that are uniform in int16.

    The numbers are overwritten.
    """
    n_dropped = min(round(p * 2**16), 2**16 - 1)  # of the 2**16 possible numbers
    if not n_dropped:
        mask.fill_(1.0 / (1.0 - p))
        return
    # Differences of integers are cut to 0 and 1. A comparison of random numbers takes
    # three times as long, because the processor cannot predict its branches.
    last_dropped = n_dropped - 2**15 - 1
    mask.copy_(numbers.clamp_(last_dropped, last_dropped + 1)).sub_(last_dropped)
    mask.mul_(1.0 / (1.0 - p))


def per_layer(name: str, value: object, n_layers: int, length_hint: str) -> tuple:
    """Return one entry of `value` for each layer; a scalar applies to all layers.

    `length_hint` is the end of the error text, which states the number of layers.
    """
    if not isinstance(value, (tuple, list, np.ndarray)):
        return (value,) * n_layers
    if len(value) != n_layers:
        raise ValueError(f"{name} has {len(value)} entries, but {length_hint}.")
    return tuple(value)


def build_mlp(
    n_inputs: int,
    hidden_layer_sizes: Sequence[int],
    n_outputs: int,
    *,
    activation: Activation = "relu",
    dropout: float | Sequence[float] = 0.0,
    batch_norm: bool = False,
    embedding: FeatureEmbedding | None = None,
) -> nn.Sequential:
    """Return a multi-layer perceptron with uninitialized weights; see `initialize`.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Sizes of the first and last layer.
    hidden_layer_sizes : sequence of int
        Sizes of the hidden layers; an empty sequence gives a linear model.
    activation : str or callable
        Activation after every hidden layer; see `make_activation`.
    dropout : float or sequence of float
        Probability to drop a hidden unit, for all layers or one for each.
    batch_norm : bool
        Whether to normalize every hidden layer before its activation.
    embedding : FeatureEmbedding, optional
        Maps the features to the inputs of the first layer.

    Returns
    -------
    network : nn.Sequential
        Maps features ``(batch, n_inputs)`` to logits ``(batch, n_outputs)``.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if embedding is not None:
        layers["embedding"], n_inputs = embedding, embedding.width
    width = add_hidden_layers(
        layers, n_inputs, hidden_layer_sizes, activation, dropout, batch_norm
    )
    layers["output"] = Linear(width, n_outputs)
    return nn.Sequential(layers)


def add_hidden_layers(
    layers: OrderedDict[str, nn.Module],
    width: int,
    hidden_layer_sizes: Sequence[int],
    activation: Activation,
    dropout: float | Sequence[float],
    batch_norm: bool,
    name: str = "dense",
) -> int:
    """Append dense layers ``dense1``, ... to `layers`; return the width of the last.

    `name` replaces "dense" in the names of the layers.
    """
    sizes = tuple(hidden_layer_sizes)
    rates = per_layer("dropout", dropout, len(sizes), f"hidden_layer_sizes={sizes}")
    for i, (size, rate) in enumerate(zip(sizes, rates, strict=True), start=1):
        layers[f"{name}{i}"] = Linear(width, size)
        if batch_norm:
            layers[f"{name}{i}_norm"] = BatchNorm1d(size)
        layers[f"{name}{i}_activation"] = make_activation(activation)
        if not 0 <= rate < 1:
            raise ValueError(f"dropout must be in [0, 1) for every layer, got {rate}.")
        if rate:
            layers[f"{name}{i}_dropout"] = Dropout(rate)
        width = size
    return width


def to_coefs_shape(weight: Tensor) -> Tensor:
    """View weights in the shape of ``coefs_``.

    torch's shape is ``(out, in[[, height], width])``. The shape of ``coefs_`` is
    ``([[height,] width,] in, out)``, as in scikit-learn and Keras.
    """
    return weight.movedim((1, 0), (-2, -1))


def initialize(
    network: nn.Module,
    init: str,
    activation: Activation,
    random_state: np.random.RandomState,
) -> None:
    """Draw the weights and biases of all layers, in scikit-learn's order.

    `activation` is the activation between the layers. Embeddings are drawn last.
    """
    with torch.no_grad():
        for layer in weight_layers(network):
            weight = to_coefs_shape(layer.weight)
            fan_in, fan_out = weight.shape[-2:]
            kernel_area = weight.numel() // (fan_in * fan_out)
            drawn = draw_layer(
                init,
                activation,
                tuple(weight.shape),
                Fan(fan_in * kernel_area, fan_out * kernel_area),
                random_state,
            )
            for parameter, values in zip((weight, layer.bias), drawn, strict=True):
                cast(Tensor, parameter).copy_(torch.from_numpy(values))
    for module in network.modules():
        if isinstance(module, FeatureEmbedding):
            module.initialize(random_state)


def set_dropout_generator(
    network: nn.Module, generator: torch.Generator | None
) -> None:
    """Set the generator of all dropout layers of a network; None removes it."""
    for layer in iterate_modules(network):
        if isinstance(layer, Dropout):
            layer.generator = generator


def set_dropout_fade(network: nn.Module, fade: float) -> None:
    """Set the factor of the probabilities of all dropout layers of a network."""
    for layer in iterate_modules(network):
        if isinstance(layer, Dropout):
            layer.fade = fade


@contextmanager
def use_thread_tuner(network: nn.Module, tuner: ThreadTuner) -> Iterator[None]:
    """Let the linear layers of a network use the tuner's threads within the block."""
    for layer in iterate_modules(network):
        if isinstance(layer, Linear):
            layer.tuner = tuner
    try:
        yield
    finally:
        remove_thread_tuner(network)


def remove_thread_tuner(network: nn.Module) -> None:
    """Let the linear layers of a network compute on one thread again."""
    for layer in iterate_modules(network):
        vars(layer).pop("tuner", None)  # back to the class's attribute


def dropout_generators(networks: Iterable[nn.Module]) -> set[torch.Generator]:
    """Return the generators that the dropout layers of the networks draw from."""
    return {
        layer.generator
        for network in networks
        for layer in iterate_modules(network)
        if isinstance(layer, Dropout) and layer.generator is not None
    }
