"""Hand-written torch loops: the obvious one, and the fastest that we know.

Both apply the L2 penalty in the update. The obvious loop uses Adam's ``weight_decay``.
Both sum the loss of an epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.speed.workloads import Network

N_CLASSES = 10

# Multiplications above which several threads are faster than one, and above which
# oneDNN is faster than MKL on AMD processors. oneDNN packs the weights first.
MEDIUM, LARGE = 2**20, 2**22

# Units in one slice, whose gradient MKL computes on the thread that updates them.
UNITS_PER_SLICE = 16

# Features that one call gathers. They fit in the last-level cache.
GATHERED_FEATURES = 2**20


def make_module(
    network: Network, n_inputs: int, pool_first: bool = False
) -> nn.Sequential:
    """Return the torch module of a network. Images are ``(batch, 1, side, side)``."""
    layers: list[nn.Module] = []
    width, channels = n_inputs, 1
    side = math.isqrt(n_inputs)
    for filters, stride in zip(network.convolutions, network.strides, strict=True):
        after = -(-side // stride)
        border = max((after - 1) * stride + network.kernel_size - side, 0)
        low, high = border // 2, border - border // 2
        if low != high:
            layers.append(nn.ZeroPad2d((low, high, low, high)))
        layers.append(
            nn.Conv2d(
                channels,
                filters,
                network.kernel_size,
                stride,
                padding=low if low == high else 0,
            )
        )
        # ReLU is monotonic, so it may follow the maximum.
        tail = [nn.ReLU()] + ([nn.MaxPool2d(2)] if network.pool else [])
        layers += reversed(tail) if pool_first else tail
        channels, side = filters, after // 2 if network.pool else after
        width = channels * side * side
    if network.convolutions:
        layers.append(nn.Flatten())
    for size in network.hidden:
        layers += [nn.Linear(width, size), nn.ReLU()]
        width = size
    return nn.Sequential(*layers, nn.Linear(width, N_CLASSES))


def as_images(X: np.ndarray, network: Network) -> np.ndarray:
    """Return samples as images if the network has convolutions."""
    if not network.convolutions:
        return X
    side = math.isqrt(X.shape[1])
    return X.reshape(-1, 1, side, side)


def train_obvious(
    X: np.ndarray, y: np.ndarray, network: Network, epochs: int
) -> list[float]:
    """Train as torch's tutorials do, and return the loss of every epoch."""
    module = make_module(network, X.shape[1])
    dataset = TensorDataset(
        torch.from_numpy(as_images(X, network)), torch.from_numpy(y)
    )
    loader = DataLoader(dataset, batch_size=network.batch_size, shuffle=True)
    criterion = nn.CrossEntropyLoss()
    decay = network.alpha / network.batch_size
    optimizer: torch.optim.Optimizer
    if network.solver == "adam":
        optimizer = torch.optim.Adam(
            module.parameters(), lr=network.learning_rate, weight_decay=decay
        )
    else:
        optimizer = torch.optim.SGD(
            module.parameters(),
            lr=network.learning_rate,
            momentum=0.9,
            nesterov=True,
            weight_decay=decay,
        )
    curve = []
    for _ in range(epochs):
        total = 0.0
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = criterion(module(inputs), labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
        curve.append(total / len(y))
    return curve


def train_best(
    X: np.ndarray, y: np.ndarray, network: Network, epochs: int
) -> list[float]:
    """Train with the fastest loop that we know, and return the loss of every epoch."""
    if network.convolutions:
        return _train_by_autograd(X, y, network, epochs)
    return _train_handwritten(X, y, network, epochs)


def _flatten_parameters(parameters: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Make all parameters and their gradients views of two vectors."""
    values = torch.cat([p.detach().reshape(-1) for p in parameters])
    gradients = torch.zeros_like(values)
    start = 0
    for p in parameters:
        place = slice(start, start + p.numel())
        p.data, p.grad = values[place].view_as(p), gradients[place].view_as(p)
        start = place.stop
    return values, gradients


def _optimizer(
    network: Network, values: Tensor, gradients: Tensor
) -> Callable[[], object]:
    """Return a function that does one fused step on the two vectors."""
    first, second = torch.zeros_like(values), torch.zeros_like(values)
    count = torch.zeros(())
    if network.solver == "sgd":
        return lambda: torch._fused_sgd_(
            [values],
            [gradients],
            [first],
            weight_decay=0.0,
            momentum=0.9,
            lr=network.learning_rate,
            dampening=0.0,
            nesterov=True,
            maximize=False,
            is_first_step=False,
        )

    def step() -> None:
        count.add_(1)
        torch._fused_adam_(
            [values],
            [gradients],
            [first],
            [second],
            [],
            [count],
            lr=network.learning_rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    return step


def _batches(
    rows: Tensor, labels: Tensor, size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches in random order. One call gathers several of them."""
    many = size * max(1, GATHERED_FEATURES // (size * rows.shape[1]))
    for index in torch.randperm(len(rows)).split(many):
        yield from zip(rows[index].split(size), labels[index].split(size), strict=True)


def _by_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether a product is large enough for oneDNN, and torch has it."""
    large = len(x) * weight.numel() >= LARGE
    return large and torch.backends.mkldnn.is_available()


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def _linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``x @ weight.T + bias``; MKL's result is stored unit by unit."""
    if _by_onednn(x, weight):
        return _onednn(x, weight, bias)
    if len(x) * weight.numel() < MEDIUM or len(weight) % 2:
        return torch.addmm(bias.unsqueeze(1), weight, x.t()).t()
    halves = weight.view(2, -1, weight.shape[1])
    rows = x.t().expand(2, -1, -1)
    z = torch.baddbmm(bias.view(2, -1, 1), halves, rows)
    return z.view(-1, len(x)).t()


def _write_weight_grad(
    grad: Tensor, x: Tensor, weight: Tensor, decay: float, out: Tensor
) -> None:
    """Write ``grad.T @ x + decay * weight`` to `out`."""
    if _by_onednn(x, weight):
        product = _onednn(grad.t(), x.t())
        torch.add(product, weight, alpha=decay, out=out)
        return
    if len(x) * weight.numel() < MEDIUM or len(weight) % UNITS_PER_SLICE:
        torch.addmm(weight, grad.t(), x, beta=decay, out=out)
        return
    weight, out = (t.view(-1, UNITS_PER_SLICE, t.shape[1]) for t in (weight, out))
    by_unit = grad.t().reshape(len(out), UNITS_PER_SLICE, -1)
    torch.baddbmm(weight, by_unit, x.expand(len(out), -1, -1), beta=decay, out=out)


def _input_grad(grad: Tensor, weight: Tensor, x: Tensor) -> Tensor:
    """Return ``grad @ weight`` in the memory layout of `x`."""
    if _by_onednn(grad, weight):
        return _onednn(grad, weight.t())
    return grad @ weight if x.is_contiguous() else (weight.t() @ grad.t()).t()


@torch.inference_mode()
def _train_handwritten(
    X: np.ndarray, y: np.ndarray, network: Network, epochs: int
) -> list[float]:
    """Train with handwritten gradients, batches by index and a fused Adam.

    * Inference mode saves the bookkeeping that autograd needs.
    * The penalty's gradient is added in the same call as the product of a gradient.
    * The losses of an epoch are computed at its end.
    """
    rows, labels, n = torch.from_numpy(X), torch.from_numpy(y), len(y)
    linears = [
        layer
        for layer in make_module(network, X.shape[1])
        if isinstance(layer, nn.Linear)
    ]
    weights = [layer.weight for layer in linears]
    values, gradients = _flatten_parameters(
        [*weights, *(layer.bias for layer in linears)]
    )
    step = _optimizer(network, values, gradients)
    n_weights = sum(w.numel() for w in weights)
    flat_weights = values[:n_weights]
    parts = [(x.weight.data, x.bias.data, x.weight.grad, x.bias.grad) for x in linears]
    curve = []
    for _ in range(epochs):
        probabilities, squared_norms = [], []
        for x, target in _batches(rows, labels[:, None], network.batch_size):
            size = len(x)
            inputs = [x]
            for i, (weight, bias, _, _) in enumerate(parts):
                z = _linear(inputs[-1], weight, bias)
                inputs.append(z if i == len(parts) - 1 else z.relu_())
            grad = torch.softmax(inputs[-1].t(), dim=0).t()
            probabilities.append(grad.gather(1, target))
            squared_norms.append(flat_weights.dot(flat_weights))
            grad.scatter_(1, target, -1.0, reduce="add").div_(size)
            for i in range(len(parts) - 1, -1, -1):
                weight, _, weight_gradient, bias_gradient = parts[i]
                _write_weight_grad(
                    grad, inputs[i], weight, network.alpha / size, weight_gradient
                )
                torch.sum(grad, 0, out=bias_gradient)
                if i:
                    grad = torch.ops.aten.threshold_backward(
                        _input_grad(grad, weight, inputs[i]), inputs[i], 0
                    )
            step()
        total = 0.5 * network.alpha * torch.stack(squared_norms).sum()
        total -= torch.cat(probabilities).log_().sum()
        curve.append(float(total) / n)
    return curve


def _train_by_autograd(
    X: np.ndarray, y: np.ndarray, network: Network, epochs: int
) -> list[float]:
    """Train with autograd, batches by index, channels last and a fused update."""
    rows, labels, n = (
        torch.from_numpy(as_images(X, network)),
        torch.from_numpy(y),
        len(y),
    )
    module = make_module(network, X.shape[1], pool_first=True)
    module = module.to(memory_format=torch.channels_last)
    parameters = list(module.parameters())
    decay = network.alpha / network.batch_size
    optimizer: torch.optim.Optimizer
    if network.solver == "adam":
        optimizer = torch.optim.Adam(
            parameters, lr=network.learning_rate, weight_decay=decay, fused=True
        )
    else:
        optimizer = torch.optim.SGD(
            parameters,
            lr=network.learning_rate,
            momentum=0.9,
            nesterov=True,
            weight_decay=decay,
            fused=True,
        )
    curve = []
    for _ in range(epochs):
        total = torch.zeros(())
        for index in torch.randperm(n).split(network.batch_size):
            optimizer.zero_grad(set_to_none=True)
            images = rows[index].contiguous(memory_format=torch.channels_last)
            loss = F.cross_entropy(module(images), labels[index])
            loss.backward()
            optimizer.step()
            total.add_(loss.detach(), alpha=len(index))
        curve.append(float(total) / n)
    return curve
