"""Hand-written torch loops: the obvious one, and the best that we know.

Both have the L2 penalty in the update; the obvious one leaves it to Adam's
``weight_decay``. Both sum the loss of an epoch.
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

# Multiplications from which threads are faster than one, and from which oneDNN, which
# packs the weights first, is faster than MKL on AMD's processors.
MIDDLING, LARGE = 2**20, 2**22

# Units whose gradient MKL computes on the thread that updates them.
UNITS_OF_A_PART = 16

# Features that are gathered by one call, and stay in the last cache.
GATHERED = 2**20


def make_module(
    network: Network, n_inputs: int, pool_first: bool = False
) -> nn.Sequential:
    """Return torch's module of a network; images are ``(batch, 1, side, side)``."""
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
        # ReLU does not decrease, so it may follow the maximum.
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


def shaped(X: np.ndarray, network: Network) -> np.ndarray:
    """Return rows as images where the network has convolutions."""
    if not network.convolutions:
        return X
    side = math.isqrt(X.shape[1])
    return X.reshape(-1, 1, side, side)


def obvious(X: np.ndarray, y: np.ndarray, network: Network, epochs: int) -> list[float]:
    """Train as torch's tutorials do; return the loss of every epoch."""
    module = make_module(network, X.shape[1])
    dataset = TensorDataset(torch.from_numpy(shaped(X, network)), torch.from_numpy(y))
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


def best(X: np.ndarray, y: np.ndarray, network: Network, epochs: int) -> list[float]:
    """Train as fast as we know how to by hand; return the loss of every epoch."""
    if network.convolutions:
        return _best_by_autograd(X, y, network, epochs)
    return _best_written_out(X, y, network, epochs)


def _flat(parameters: list[Tensor]) -> tuple[Tensor, Tensor]:
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
    """Return one fused step on the two vectors."""
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
    """Yield batches in a new order, several of them gathered at once."""
    many = size * max(1, GATHERED // (size * rows.shape[1]))
    for index in torch.randperm(len(rows)).split(many):
        yield from zip(rows[index].split(size), labels[index].split(size), strict=True)


def _by_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether a product is large, and torch has oneDNN."""
    large = len(x) * weight.numel() >= LARGE
    return large and torch.backends.mkldnn.is_available()


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def _outputs(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``x @ weight.T + bias``, the values of a unit together where MKL's."""
    if _by_onednn(x, weight):
        return _onednn(x, weight, bias)
    if len(x) * weight.numel() < MIDDLING or len(weight) % 2:
        return torch.addmm(bias.unsqueeze(1), weight, x.t()).t()
    halves = weight.view(2, -1, weight.shape[1])
    rows = x.t().expand(2, -1, -1)
    z = torch.baddbmm(bias.view(2, -1, 1), halves, rows)
    return z.view(-1, len(x)).t()


def _gradient(
    delta: Tensor, x: Tensor, weight: Tensor, decay: float, out: Tensor
) -> None:
    """Write ``delta.T @ x + decay * weight``."""
    if _by_onednn(x, weight):
        product = _onednn(delta.t(), x.t())
        torch.add(product, weight, alpha=decay, out=out)
        return
    if len(x) * weight.numel() < MIDDLING or len(weight) % UNITS_OF_A_PART:
        torch.addmm(weight, delta.t(), x, beta=decay, out=out)
        return
    weight, out = (t.view(-1, UNITS_OF_A_PART, t.shape[1]) for t in (weight, out))
    by_unit = delta.t().reshape(len(out), UNITS_OF_A_PART, -1)
    torch.baddbmm(weight, by_unit, x.expand(len(out), -1, -1), beta=decay, out=out)


def _derivative(delta: Tensor, weight: Tensor, x: Tensor) -> Tensor:
    """Return ``delta @ weight``, laid out as `x`."""
    if _by_onednn(delta, weight):
        return _onednn(delta, weight.t())
    return delta @ weight if x.is_contiguous() else (weight.t() @ delta.t()).t()


@torch.inference_mode()
def _best_written_out(
    X: np.ndarray, y: np.ndarray, network: Network, epochs: int
) -> list[float]:
    """Tensors at hand, batches by index, the backward pass written out, fused Adam.

    In inference mode, which spares torch what autograd needs to know of tensors; the
    penalty's gradient is added where a product is put into its place, and the losses of
    an epoch are computed at its end.
    """
    rows, labels, n = torch.from_numpy(X), torch.from_numpy(y), len(y)
    linears = [
        layer
        for layer in make_module(network, X.shape[1])
        if isinstance(layer, nn.Linear)
    ]
    weights = [layer.weight for layer in linears]
    values, gradients = _flat([*weights, *(layer.bias for layer in linears)])
    step = _optimizer(network, values, gradients)
    n_weights = sum(w.numel() for w in weights)
    decayed = values[:n_weights]
    parts = [(x.weight.data, x.bias.data, x.weight.grad, x.bias.grad) for x in linears]
    curve = []
    for _ in range(epochs):
        probabilities, squares = [], []
        for x, target in _batches(rows, labels[:, None], network.batch_size):
            size = len(x)
            inputs = [x]
            for i, (weight, bias, _, _) in enumerate(parts):
                z = _outputs(inputs[-1], weight, bias)
                inputs.append(z if i == len(parts) - 1 else z.relu_())
            delta = torch.softmax(inputs[-1].t(), dim=0).t()
            probabilities.append(delta.gather(1, target))
            squares.append(decayed.dot(decayed))
            delta.scatter_(1, target, -1.0, reduce="add").div_(size)
            for i in range(len(parts) - 1, -1, -1):
                weight, _, weight_gradient, bias_gradient = parts[i]
                _gradient(
                    delta, inputs[i], weight, network.alpha / size, weight_gradient
                )
                torch.sum(delta, 0, out=bias_gradient)
                if i:
                    delta = torch.ops.aten.threshold_backward(
                        _derivative(delta, weight, inputs[i]), inputs[i], 0
                    )
            step()
        total = 0.5 * network.alpha * torch.stack(squares).sum()
        total -= torch.cat(probabilities).log_().sum()
        curve.append(float(total) / n)
    return curve


def _best_by_autograd(
    X: np.ndarray, y: np.ndarray, network: Network, epochs: int
) -> list[float]:
    """Tensors at hand, batches by index, channels last, pooling first, fused update."""
    rows, labels, n = torch.from_numpy(shaped(X, network)), torch.from_numpy(y), len(y)
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
