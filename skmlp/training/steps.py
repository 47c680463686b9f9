"""Loss and gradients of one batch: by autograd, or written out where that is faster."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, cast

import torch
from sklearn.utils import gen_even_slices
from torch import Tensor, nn

from skmlp.training.compute.dense_products import DenseProducts
from skmlp.training.data.batches import samples_per_chunk
from skmlp.training.losses import Loss
from skmlp.training.modules.activations import HANDWRITTEN_GRADIENTS
from skmlp.training.modules.introspection import widest_layer_size
from skmlp.training.modules.layers import BatchNorm1d, Dropout, _BatchNorm
from skmlp.training.modules.normalization import BatchStatisticsWeights, Normalization
from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.optimizers.penalty import Penalty

# Parts of a batch, of two million values in their widest layer each, that may wait for
# the dense layers with all that autograd keeps of them.
_MOST_WAITING = 8

# From a batch's features, targets, normalised row weights (or None) and their former
# total to the logits, the loss's rows and the penalty's norms, with the gradients left
# in the flat vector.
Step = Callable[[Tensor, Tensor, Tensor | None, float], tuple[Tensor, ...]]

# From logits, targets and row weights to the loss's rows, as `Loss.mean_loss` takes
# them, and the derivative of their mean by the logits.
SampleLossesAndGradient = Callable[[Tensor, Tensor, Any], tuple[Tensor, Tensor]]


def make_step(
    network: nn.Sequential,
    loss: Loss,
    flat: FlatParameters,
    penalty: Penalty,
    amp: bool = False,
) -> Step:
    """Return the fastest step that computes what autograd would."""
    if not amp and (structure := dense_structure(network)) is not None:
        layers = [
            _layer_of_one(part, flat, alpha)
            for part, alpha in zip(structure, penalty.alphas, strict=True)
        ]
        return HandwrittenStep(layers, loss.sample_losses_and_gradient, penalty=penalty)
    return _AutogradStep(network, loss, flat, penalty, amp)


def _layer_of_one(
    part: "DenseStructure", flat: FlatParameters, alpha: float = 0.0
) -> "DenseLayer":
    """Return a layer of one network, with the penalty in its weights' gradient."""
    return dense_layer(
        part,
        Tensor.detach,
        flat.gradient_of,
        None if part.dropout is None else part.dropout.mask,
        partial(_rows_in_statistics, part.norm),
        partial(DenseProducts, alpha=alpha),
    )


def _rows_in_statistics(norm: BatchNorm1d | None, z: Tensor) -> int:
    """Rows of a batch by which a network normalises it: none where that is frozen."""
    return z.shape[0] if norm is not None and norm.training else 0


class _AutogradStep:
    """Any network, differentiated by torch.

    On a CPU a batch passes in parts, whose feature maps are small enough to stay in the
    caches, and for the allocator to keep their memory; the gradients add up. Of a batch
    of few parts these wait for the dense layers, written out, which it passes as one.
    """

    def __init__(
        self,
        network: nn.Sequential,
        loss: Loss,
        flat: FlatParameters,
        penalty: Penalty,
        amp: bool,
    ) -> None:
        self.network = network
        self.loss = loss
        self.flat = flat
        self.penalty = penalty
        self.amp = amp
        # Rows of a batch are normalised together.
        self.divisible = flat.values.device.type == "cpu" and not any(
            isinstance(layer, _BatchNorm) for layer in network.modules()
        )
        self.rows = 0  # until the first batch tells the width
        self.front, dense = _divided(network)
        self.layers = [_layer_of_one(part, flat) for part in dense]

    def __call__(
        self, x: Tensor, y: Tensor, weight: Tensor | None, total: float
    ) -> tuple[Tensor, ...]:
        logits, rows = self._unpenalized(x, y, weight)
        self.penalty.add_to_gradients(total)
        return logits, rows, *self.penalty.norms()

    def _unpenalized(
        self, x: Tensor, y: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return logits and the loss's rows, and leave the gradients."""
        self.flat.gradients.zero_()
        if self.divisible and not self.rows:
            self.rows = samples_per_chunk(widest_layer_size(self.network, x.shape[1]))
        n_rows = x.shape[0]
        if not self.divisible or n_rows <= self.rows:
            return self._add_gradients(x, y, weight)
        parts = list(gen_even_slices(n_rows, -(-n_rows // self.rows)))
        if self.layers and not self.amp and len(parts) <= _MOST_WAITING:
            front = _InParts(self.front, parts)
            step = HandwrittenStep(
                self.layers, self.loss.sample_losses_and_gradient, front
            )
            logits, of_rows = step(x, y, weight)
            return logits, of_rows
        found = []
        for part in parts:
            share = (part.stop - part.start) / n_rows
            own = None if weight is None else weight[part]
            found.append(self._add_gradients(x[part], y[part], own, share))
        logits, of_rows = map(torch.cat, zip(*found, strict=True))
        return logits, of_rows

    def _add_gradients(
        self, x: Tensor, y: Tensor, weight: Tensor | None, share: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Add the gradients of rows that are a `share` of the batch."""
        with (
            torch.enable_grad(),
            torch.autocast(x.device.type, torch.bfloat16)
            if self.amp
            else nullcontext(),
        ):
            logits = self.network(x)
        with torch.enable_grad():
            logits = logits.to(x.dtype)
        rows, delta = self.loss.sample_losses_and_gradient(logits.detach(), y, weight)
        if weight is None and share != 1.0:
            delta.mul_(share)
        logits.backward(delta)
        return logits.detach(), rows


def _divided(network: nn.Sequential) -> tuple[nn.Sequential, list["DenseStructure"]]:
    """Return layers, and those dense ones after them that can be written out."""
    layers = list(network)
    linear = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Linear)]
    first = linear[0] if linear else len(layers)
    front = nn.Sequential(*layers[:first])
    return front, dense_structure(layers[first:]) or []


class _InParts:
    """Layers before the dense ones, differentiated by torch in parts of a batch."""

    def __init__(self, layers: nn.Sequential, parts: Sequence[slice]) -> None:
        self.layers = layers
        self.parts = parts

    def forward(self, x: Tensor, training: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Return the features of all parts, together and as autograd knows them."""
        with torch.enable_grad():
            features = [self.layers(x[part]) for part in self.parts]
        return torch.cat([part.detach() for part in features]), features

    def backward(self, delta: Tensor, saved: list[Tensor]) -> None:
        """Add to the parameters' gradients, and let go of each part afterwards."""
        for part in reversed(self.parts):
            features = saved.pop()
            if features.requires_grad:
                features.backward(delta[part])


class DenseStructure(NamedTuple):
    """A linear layer with what is behind it."""

    linear: nn.Linear
    norm: BatchNorm1d | None = None
    activation: type[nn.Module] = nn.Identity
    dropout: Dropout | None = None


def dense_structure(network: Iterable[nn.Module]) -> list[DenseStructure] | None:
    """Layers of a multi-layer perceptron, or None if it holds anything else."""
    layers: list[DenseStructure] = []
    for module in network:
        if isinstance(module, nn.Linear):
            layers.append(DenseStructure(module))
        elif not layers:
            return None
        elif isinstance(module, BatchNorm1d):
            layers[-1] = layers[-1]._replace(norm=module)
        elif isinstance(module, Dropout):
            layers[-1] = layers[-1]._replace(dropout=module)
        elif type(module) in HANDWRITTEN_GRADIENTS:
            layers[-1] = layers[-1]._replace(activation=type(module))
        else:
            return None
    return layers


class LayerProducts(Protocol):
    """Matrix products of a dense layer of one network, or of all members of a pack."""

    weight: Tensor

    def forward(self, x: Tensor, along_batch: bool = False) -> Tensor:
        """Return the layer's output before normalization and activation."""

    def differentiate(self, delta: Tensor, x: Tensor, total: float) -> None:
        """Write the weights' gradient."""

    def backward(self, delta: Tensor, x: Tensor) -> Tensor:
        """Return the gradient with respect to the layer's input `x`."""


@dataclass
class DenseLayer:
    """Tensors and functions of a dense layer; leading dimensions are models.

    A gradient that is None is not computed.
    """

    products: LayerProducts
    bias_gradient: Tensor | None
    norm: Normalization | None
    activate: Callable[[Tensor], Tensor]
    differentiate: Callable[[Tensor, Tensor], Tensor]
    mask: Callable[[Tensor], Tensor] | None


def dense_layer(
    part: DenseStructure,
    value_of: Callable[[Tensor], Tensor],
    gradient_of: Callable[[Tensor], Tensor | None],
    mask: Callable[[Tensor], Tensor] | None,
    counts: Callable[[Tensor], int | tuple[int, ...]],
    products: Callable[..., LayerProducts],
) -> DenseLayer:
    """Return a layer as `HandwrittenStep` takes it.

    Parameters
    ----------
    part : DenseStructure
        Layer of a network, or of the first of many.
    value_of, gradient_of : callable
        From a parameter or buffer of the layer to the tensors that are trained.
    mask : callable or None
        Draws the dropout of a batch.
    counts : callable
        Number of rows in a batch's statistics, as `BatchStatisticsWeights` takes it.
    products : callable
        From weights, biases and the weights' gradient to what multiplies by them.
    """
    linear, norm, activation, _ = part
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
            BatchStatisticsWeights(counts),
        )
    return DenseLayer(
        products(
            value_of(linear.weight), value_of(linear.bias), gradient_of(linear.weight)
        ),
        gradient_of(linear.bias),
        normalization,
        *HANDWRITTEN_GRADIENTS[activation],
        mask,
    )


class Front(Protocol):
    """What comes before the dense layers, differentiated by hand."""

    def forward(self, x: Tensor, training: bool = False) -> tuple[Tensor, Any]:
        """Return the dense layers' features, and what `backward` needs."""

    def backward(self, delta: Tensor, saved: Any) -> None:
        """Leave the parameters' gradients; `delta` is that of the features."""


class HandwrittenStep:
    """A multi-layer perceptron, or many of one shape, differentiated by hand.

    For small networks autograd's bookkeeping costs more than the arithmetic.
    """

    def __init__(
        self,
        layers: list[DenseLayer],
        sample_losses_and_gradient: SampleLossesAndGradient,
        front: Front | None = None,
        penalty: Penalty | None = None,
    ) -> None:
        self.layers = layers
        self.sample_losses_and_gradient = sample_losses_and_gradient
        self.front = front
        self.penalty = penalty

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits of rows that are not trained on."""
        if self.front is not None:
            x, _ = self.front.forward(x)
        for layer in self.layers:
            x = layer.products.forward(x)
            x = layer.activate(x if layer.norm is None else layer.norm.evaluate(x))
        return x

    def __call__(
        self, x: Tensor, y: Tensor, weight: Tensor | None, total: float = 1.0
    ) -> tuple[Tensor, ...]:
        """Return what a `Step` does of one batch; leave the gradients in place."""
        if self.front is not None:
            x, saved = self.front.forward(x, training=True)
        inputs, normalized, outputs, masks = [x], [], [], []
        for layer in self.layers:
            last = layer is self.layers[-1]  # and followed by the loss
            a = layer.products.forward(inputs[-1], along_batch=last)
            if layer.norm is not None:
                a, of_batch = layer.norm.forward(a)
                normalized.append(of_batch)
            a = layer.activate(a)
            mask = None if layer.mask is None else layer.mask(a)
            outputs.append(a)
            masks.append(mask)
            inputs.append(a if mask is None else a * mask)
        rows, delta = self.sample_losses_and_gradient(inputs[-1], y, weight)
        for i in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[i]
            if (mask := masks[i]) is not None:
                delta = delta.mul_(mask)
            delta = layer.differentiate(delta, outputs[i])
            if layer.norm is not None:
                of_batch = normalized.pop()
                delta = layer.norm.backward(delta, of_batch, layer.bias_gradient)
            elif layer.bias_gradient is not None:
                torch.sum(delta, -2, out=layer.bias_gradient)
            layer.products.differentiate(delta, inputs[i], total)
            if i or self.front is not None:
                delta = layer.products.backward(delta, inputs[i])
        if self.front is not None:
            self.front.backward(delta, saved)
        norms = () if self.penalty is None else self.penalty.norms()
        return inputs[-1], rows, *norms
