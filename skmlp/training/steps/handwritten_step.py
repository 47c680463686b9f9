"""A training step of a multi-layer perceptron, with handwritten gradients.

For small networks the bookkeeping of autograd takes longer than the arithmetic. The
formulas are those of back-propagation. One step computes one network ``(batch, units)``
or a pack ``(members, batch, units)``, because all formulas allow leading dimensions.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from skmlp.training.compute.dense_products import DenseProducts
from skmlp.training.compute.memory import ReusedMemory
from skmlp.training.compute.mixed_products import MixedProducts
from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER, ThreadTuner
from skmlp.training.losses import Loss
from skmlp.training.modules.activations import HANDWRITTEN_ACTIVATIONS
from skmlp.training.modules.layers import BatchNorm1d, Dropout
from skmlp.training.modules.normalization import (
    Normalization,
    StatisticsWeightsCache,
)
from skmlp.training.optimizers.flat_parameters import FlatParameters


class DenseModules(NamedTuple):
    """The torch modules of a dense layer, in the order in which they run."""

    linear: nn.Linear
    norm: BatchNorm1d | None = None
    activation: type[nn.Module] = nn.Identity
    dropout: Dropout | None = None


def group_dense_modules(network: Iterable[nn.Module]) -> list[DenseModules] | None:
    """Group the modules of a multi-layer perceptron into dense layers.

    The result is None if the network has a module of another type, a layer without
    biases, or an activation without a handwritten derivative.
    """
    layers: list[DenseModules] = []
    for module in network:
        if isinstance(module, nn.Linear) and module.bias is not None:
            layers.append(DenseModules(module))
        elif not layers:
            return None
        elif isinstance(module, BatchNorm1d):
            layers[-1] = layers[-1]._replace(norm=module)
        elif isinstance(module, Dropout):
            layers[-1] = layers[-1]._replace(dropout=module)
        elif type(module) in HANDWRITTEN_ACTIVATIONS:
            layers[-1] = layers[-1]._replace(activation=type(module))
        else:
            return None
    return layers


class LayerProducts(Protocol):
    """Matrix products of a dense layer of one network, or of all members of a pack."""

    weight: Tensor

    def forward(
        self, x: Tensor, allow_column_major: bool = False, reuses: bool = False
    ) -> Tensor:
        """Return the layer's output before normalization and activation.

        With `reuses` the result may have the memory of the previous one.
        """

    def write_weight_gradient(
        self, grad: Tensor, x: Tensor, total_weight: float
    ) -> None:
        """Write the gradient of the weights.

        `grad` is the gradient of the output, and `x` is the input. `DenseProducts` adds
        the derivative of the penalty here, unless its alpha is 0. Packs and
        `AutogradStep` add it later, for all layers.
        """

    def input_gradient(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return the gradient of the input `x`; `grad` is that of the output."""


@dataclass
class DenseLayer:
    """Tensors and functions of a dense layer of one network or of a pack.

    `bias_gradient` is None if the layer is frozen. `activate` and `activation_gradient`
    are a pair of `HANDWRITTEN_ACTIVATIONS`. `draw_mask` draws the dropout mask of a
    batch. `forward_activated` computes products and activation by one kernel; None if
    there is no such kernel. `dropped` is the memory of the outputs after dropout.
    """

    products: LayerProducts
    bias_gradient: Tensor | None
    norm: Normalization | None
    activate: Callable[[Tensor], Tensor]
    activation_gradient: Callable[[Tensor, Tensor], Tensor]
    draw_mask: Callable[[Tensor], Tensor] | None
    forward_activated: Callable[[Tensor], Tensor] | None = None
    dropped: ReusedMemory = field(default_factory=ReusedMemory)


def make_dense_layer(
    modules: DenseModules,
    value_of: Callable[[Tensor], Tensor],
    gradient_of: Callable[[Tensor], Tensor | None],
    draw_mask: Callable[[Tensor], Tensor] | None,
    count_samples: Callable[[Tensor], int | tuple[int, ...]],
    make_products: Callable[..., LayerProducts],
) -> DenseLayer:
    """Return a layer for a `HandwrittenStep`.

    Parameters
    ----------
    modules : DenseModules
        A layer of the network, or of the first member of a pack.
    value_of, gradient_of : callable
        Functions that take a parameter or buffer of that layer. They return the tensor
        that the step trains, and its gradient.
    draw_mask : callable or None
        Draws the dropout mask of a batch.
    count_samples : callable
        Argument of `StatisticsWeightsCache`.
    make_products : callable
        Maps weights, biases and the weights' gradient to `LayerProducts`.
    """
    linear, norm, activation, _ = modules
    normalization = None
    if norm is not None:
        running_mean, running_var, n_batches = map(value_of, norm.buffers())
        normalization = Normalization(
            value_of(norm.weight),
            value_of(norm.bias),
            gradient_of(norm.weight),
            gradient_of(norm.bias),
            running_mean,
            running_var,
            n_batches,
            cast(float, norm.momentum),
            norm.eps,
            StatisticsWeightsCache(count_samples),
        )
    return DenseLayer(
        make_products(
            value_of(linear.weight), value_of(linear.bias), gradient_of(linear.weight)
        ),
        gradient_of(linear.bias),
        normalization,
        *HANDWRITTEN_ACTIVATIONS[activation],
        draw_mask,
    )


def make_single_network_layer(
    modules: DenseModules,
    flat: FlatParameters,
    tuner: ThreadTuner,
    alpha: float = 0.0,
    amp: bool = False,
) -> DenseLayer:
    """Return a layer of one network, with the penalty in its weights' gradient.

    With `amp`, large products are computed in bfloat16.
    """
    layer = make_dense_layer(
        modules,
        Tensor.detach,  # shares memory with the flat vector
        flat.gradient_of,
        None if modules.dropout is None else modules.dropout.mask,
        partial(_count_normalized_samples, modules.norm),
        partial(MixedProducts if amp else DenseProducts, alpha=alpha, tuner=tuner),
    )
    if flat.values.is_cuda and modules.activation is nn.ReLU and modules.norm is None:
        layer.forward_activated = cast(DenseProducts, layer.products).forward_relu
    return layer


def _count_normalized_samples(norm: BatchNorm1d | None, z: Tensor) -> int:
    """Return the number of samples for batch statistics: 0 if the layer is frozen."""
    return z.shape[0] if norm is not None and norm.training else 0


class FeatureExtractor(Protocol):
    """The layers before the dense ones, with a forward and a backward pass.

    `has_backward` is whether they have parameters.
    """

    @property
    def has_backward(self) -> bool:
        """Whether `backward` has to be called."""

    def forward(self, x: Tensor, training: bool = False) -> tuple[Tensor, Any]:
        """Return the input of the dense layers, and the values for `backward`."""

    def backward(self, grad: Tensor, saved: Any) -> None:
        """Write the gradients of the parameters; `grad` is that of the output."""


class HandwrittenStep:
    """Computes loss and gradients of a batch by handwritten formulas.

    Parameters
    ----------
    layers : list of DenseLayer
    loss : Loss
    tuner : ThreadTuner
        Chooses the number of threads of the loss.
    feature_extractor : FeatureExtractor, optional
        The layers before the dense ones.
    """

    def __init__(
        self,
        layers: list[DenseLayer],
        loss: Loss,
        tuner: ThreadTuner = SINGLE_THREAD_TUNER,
        feature_extractor: FeatureExtractor | None = None,
    ) -> None:
        self.layers = layers
        self.loss = loss
        self.tuner = tuner
        self.feature_extractor = feature_extractor

    @property
    def n_outputs(self) -> int:
        """Number of logits of a sample."""
        return self.layers[-1].products.weight.shape[-2]

    def casts_to_bfloat16(self, batch_size: int) -> bool:
        """Return whether the first layer casts batches of this size to bfloat16."""
        products = self.layers[0].products
        return (
            self.feature_extractor is None
            and isinstance(products, MixedProducts)
            and products.uses_bfloat16(batch_size)
        )

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits in evaluation mode."""
        if self.feature_extractor is not None:
            x, _ = self.feature_extractor.forward(x)
        for layer in self.layers:
            x = layer.products.forward(x)
            x = layer.activate(x if layer.norm is None else layer.norm.evaluate(x))
        return x

    def __call__(
        self, x: Tensor, y: Tensor, weight: Tensor | None, total_weight: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Compute a batch as `steps.Step` describes it."""
        if self.feature_extractor is not None:
            x, saved_features = self.feature_extractor.forward(x, training=True)
        inputs, normalized = [x], []
        activated: list[Tensor] = []
        derivatives: list[Tensor | None] = []
        for layer in self.layers:
            if layer.forward_activated is not None:
                a = layer.forward_activated(inputs[-1])
                activated.append(a)
            else:
                # On a CPU, the loss is faster if the logits are column-major (the batch
                # contiguous).
                is_last = layer is self.layers[-1]
                a = layer.products.forward(
                    inputs[-1],
                    allow_column_major=is_last,
                    reuses=layer.draw_mask is not None and layer.norm is None,
                )
                if layer.norm is not None:
                    a, normalized_batch = layer.norm.forward(a)
                    normalized.append(normalized_batch)
                activated.append(a)  # some activations overwrite it
                a = layer.activate(a)
            if layer.draw_mask is None:
                derivatives.append(None)
                inputs.append(a)
                continue
            mask = layer.draw_mask(a)
            if a is not activated[-1]:
                inputs.append(a.mul_(mask))
            elif a.is_cpu and a.mT.is_contiguous():
                out = layer.dropped.empty(a.mT.shape, a).mT
                inputs.append(torch.mul(a, mask, out=out))
            else:
                inputs.append(a * mask)
            # The derivative of activation and dropout overwrites the mask. So the
            # backward pass reads one tensor of the layer's size, and the others are
            # free: less has to be read from outside the processor's cache.
            derivatives.append(layer.activation_gradient(mask, activated[-1]))
            activated[-1] = mask
        logits = inputs[-1]
        loss_terms, grad = self.loss.loss_terms_and_gradient(
            logits, y, weight, self.tuner.n_threads
        )
        extractor = self.feature_extractor
        trains_features = extractor is not None and extractor.has_backward
        for i in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[i]
            if (derivative := derivatives[i]) is not None:
                grad = grad.mul_(derivative)
            else:
                grad = layer.activation_gradient(grad, activated[i])  # may be in place
            if layer.norm is not None:
                batch = normalized.pop()
                grad = layer.norm.backward(grad, batch, layer.bias_gradient)
            elif layer.bias_gradient is not None:
                torch.sum(grad, -2, out=layer.bias_gradient)
            layer.products.write_weight_gradient(grad, inputs[i], total_weight)
            if i or trains_features:
                grad = layer.products.input_gradient(grad, inputs[i])
        if self.feature_extractor is not None and trains_features:
            self.feature_extractor.backward(grad, saved_features)
        return logits, loss_terms
