"""Speed and memory on a device: epochs, packs and predictions, next to torch loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from skorch import NeuralNetClassifier
from torch import nn

from benchmarks.gpu.checks import Measurement
from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import CNNClassifier, MLPClassifier

_PACK_SIZES = (60, 300, 1000)
_N_CLASSES = 10
_FLOATS_PER_BYTE = 1 / 255


def _images(n: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return flat images of bytes, whose class is a little visible."""
    rng = np.random.RandomState(0)
    y = rng.randint(0, _N_CLASSES, n)
    X = rng.randint(0, 200, (n, side * side)).astype(np.uint8)
    X[np.arange(n), 3 * y] = 255
    return X, y


def _synchronize(device: str) -> None:
    """Wait until the device has computed everything."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _seconds(device: str, function: Callable[[], Any]) -> float:
    """Return the time of a call."""
    _synchronize(device)
    start = perf_counter()
    function()
    _synchronize(device)
    return perf_counter() - start


def _seconds_per_epoch(device: str, quick: bool, fit: Callable[[int], Any]) -> float:
    """Return the time of an epoch; `fit` trains for a number of epochs."""
    few, many = (1, 2) if quick else (2, 12)
    fit(few)  # loads libraries, fills caches
    added = _seconds(device, lambda: fit(many)) - _seconds(device, lambda: fit(few))
    return max(0.0, added) / (many - few)


def epochs(device: str, quick: bool) -> Iterator[Measurement]:
    """Yield the seconds of an epoch of estimators, of a torch loop and of skorch."""
    n = 400 if quick else 20_000
    X, y = _images(n, 8 if quick else 28)
    side = int(X.shape[1] ** 0.5)
    shared = {
        "batch_size": 200,
        "n_iter_no_change": 10**6,
        "random_state": 0,
        "device": device,
    }
    estimators: dict[str, Any] = {
        "MLPClassifier 100": MLPClassifier(100, **shared),
        "MLPClassifier 100, dropout": MLPClassifier(100, dropout=0.5, **shared),
        "MLPClassifier 2048-2048": MLPClassifier((2048, 2048), **shared),
        "CNNClassifier 32-64": CNNClassifier(image_shape=(side, side), **shared),
        "CNNClassifier 32-64, amp": CNNClassifier(
            image_shape=(side, side), amp=True, **shared
        ),
    }
    for name, model in list(estimators.items())[: 1 if quick else None]:

        def fit(n_epochs: int, model: Any = model) -> Any:
            return model.set_params(max_iter=n_epochs).fit(X, y)

        yield Measurement(name, _seconds_per_epoch(device, quick, fit), "s / epoch")
    x = torch.from_numpy(X).to(device).float().mul_(_FLOATS_PER_BYTE)
    target = torch.from_numpy(y).to(device)
    yield Measurement(
        "torch loop, MLP 100",
        _seconds_per_epoch(device, quick, lambda n: _train_by_hand(x, target, n)),
        "s / epoch",
    )
    features = X.astype(np.float32) * np.float32(_FLOATS_PER_BYTE)
    yield Measurement(
        "skorch, MLP 100",
        _seconds_per_epoch(
            device, quick, lambda n: _train_with_skorch(features, y, n, device)
        ),
        "s / epoch",
    )


def _make_mlp(n_features: int) -> nn.Sequential:
    """Return the network of the loops."""
    return nn.Sequential(
        nn.Linear(n_features, 100), nn.ReLU(), nn.Linear(100, _N_CLASSES)
    )


def _train_by_hand(x: torch.Tensor, y: torch.Tensor, n_epochs: int) -> None:
    """Train by a usual loop over batches that are on the device already."""
    network = _make_mlp(x.shape[1]).to(x.device)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    for _ in range(n_epochs):
        order = torch.randperm(len(x), device=x.device)
        for index in order.split(200):
            optimizer.zero_grad()
            F.cross_entropy(network(x[index]), y[index]).backward()
            optimizer.step()


def _train_with_skorch(
    X: np.ndarray, y: np.ndarray, n_epochs: int, device: str
) -> None:
    """Train skorch's classifier."""
    NeuralNetClassifier(
        _make_mlp(X.shape[1]),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        batch_size=200,
        max_epochs=n_epochs,
        train_split=None,
        device=device,
        verbose=0,
    ).fit(X, y)


def packs(device: str, quick: bool) -> Iterator[Measurement]:
    """Yield the seconds of packed searches, and the largest memory of the device."""
    X, y = _images(400 if quick else 4_000, 8)
    split = [(np.arange(len(X) // 2), np.arange(len(X) // 2, len(X)))]
    for members in (4,) if quick else _PACK_SIZES:
        network = MLPClassifier(
            50, batch_size=100, max_iter=10, random_state=0, device=device
        )
        grid = {"alpha": np.geomspace(1e-6, 1e-1, members)}
        search = PackedGridSearchCV(network, grid, cv=split, refit=False)
        if device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(device)
        seconds = _seconds(device, lambda search=search: search.fit(X, y))
        yield Measurement(f"packed search of {members}", seconds, "s")
        if device.startswith("cuda"):
            peak = torch.cuda.max_memory_allocated(device) / 2**20
            yield Measurement(f"memory of the search of {members}", peak, "MiB")


def predictions(device: str, quick: bool) -> Iterator[Measurement]:
    """Yield the seconds of predictions."""
    X, y = _images(400 if quick else 60_000, 8 if quick else 28)
    side = int(X.shape[1] ** 0.5)
    shared = {"max_iter": 1, "random_state": 0, "device": device}
    models: dict[str, Any] = {
        "MLPClassifier 100": MLPClassifier(100, **shared),
        "CNNClassifier 32-64": CNNClassifier(image_shape=(side, side), **shared),
    }
    for name, model in list(models.items())[: 1 if quick else None]:
        model.fit(X[:1000], y[:1000])
        for n in (1, len(X)):
            model.predict(X[:n])
            seconds = _seconds(device, lambda m=model, n=n: m.predict(X[:n]))
            yield Measurement(f"{name}, {n} samples", seconds, "s")
