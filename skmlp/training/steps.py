"""Loss and gradients of one batch: by autograd, or written out where that is faster."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from skmlp.training.activations import WRITTEN_OUT
from skmlp.training.flat import FlatParameters
from skmlp.training.losses import Loss
from skmlp.training.modules import Dropout

# From a batch's features, targets and normalised row weights (or None) to the logits
# and the mean loss, with the gradients left in the flat vector.
Step = Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]


def make_step(
    network: nn.Sequential, loss: Loss, flat: FlatParameters, amp: bool = False
) -> Step:
    """Return the fastest step that computes what autograd would."""
    if not amp and (layers := _dense_layers(network, flat)) is not None:
        return _WrittenOutStep(layers, loss)
    return _AutogradStep(network, loss, flat, amp)


def _mean(value: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of the rows' losses, or their sum under normalised weights."""
    return value.mean() if weight is None else value @ weight


class _AutogradStep:
    """Any network, differentiated by torch."""

    def __init__(
        self, network: nn.Sequential, loss: Loss, flat: FlatParameters, amp: bool
    ) -> None:
        self.network = network
        self.loss = loss
        self.flat = flat
        self.amp = amp

    def __call__(
        self, x: Tensor, y: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        self.flat.gradients.zero_()
        with (
            torch.enable_grad(),
            torch.autocast(x.device.type, torch.bfloat16)
            if self.amp
            else nullcontext(),
        ):
            logits = self.network(x)
        with torch.enable_grad():
            logits = logits.to(x.dtype)
            mean = _mean(self.loss.value(logits, y), weight)
            mean.backward()
        return logits.detach(), mean.detach()


class _DenseLayer:
    """A linear layer with the activation and dropout behind it."""

    def __init__(self, linear: nn.Linear, flat: FlatParameters) -> None:
        self.weight = linear.weight.detach()
        self.bias = linear.bias.detach()
        self.weight_gradient = flat.gradient_of(linear.weight)
        self.bias_gradient = flat.gradient_of(linear.bias)
        self.forward, self.backward = WRITTEN_OUT[nn.Identity]
        self.dropout: Dropout | None = None


def _dense_layers(
    network: nn.Sequential, flat: FlatParameters
) -> list[_DenseLayer] | None:
    """Layers of a multi-layer perceptron, or None if it holds anything else."""
    layers: list[_DenseLayer] = []
    for module in network:
        if isinstance(module, nn.Linear):
            layers.append(_DenseLayer(module, flat))
        elif not layers:
            return None
        elif isinstance(module, Dropout):
            layers[-1].dropout = module
        elif type(module) in WRITTEN_OUT:
            layers[-1].forward, layers[-1].backward = WRITTEN_OUT[type(module)]
        else:
            return None
    return layers


class _WrittenOutStep:
    """A multi-layer perceptron, differentiated by hand.

    For small networks autograd's bookkeeping costs more than the arithmetic.
    """

    def __init__(self, layers: list[_DenseLayer], loss: Loss) -> None:
        self.layers = layers
        self.loss = loss

    def __call__(
        self, x: Tensor, y: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        inputs, outputs, masks = [x], [], []
        for layer in self.layers:
            a = layer.forward(torch.addmm(layer.bias, inputs[-1], layer.weight.t()))
            mask = None if layer.dropout is None else layer.dropout.mask(a)
            outputs.append(a)
            masks.append(mask)
            inputs.append(a if mask is None else a * mask)
        value, delta = self.loss.value_and_delta(inputs[-1], y)
        mean = _mean(value, weight)
        delta.mul_(1.0 / len(x) if weight is None else weight.unsqueeze(-1))
        for i in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[i]
            if (mask := masks[i]) is not None:
                delta = delta.mul_(mask)
            delta = layer.backward(delta, outputs[i])
            if layer.weight_gradient is not None:
                torch.mm(delta.t(), inputs[i], out=layer.weight_gradient)
            if layer.bias_gradient is not None:
                torch.sum(delta, 0, out=layer.bias_gradient)
            if i:
                delta = delta @ layer.weight
        return inputs[-1], mean
