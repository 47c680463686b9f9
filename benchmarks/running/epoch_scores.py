"""Scores of rows after every epoch, by callbacks that only look.

Watched rows decide nothing: neither when training stops nor which weights are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from skorch.callbacks import Callback

BATCH = 2_000
PARTS = ("train", "test")
RUNNING = "running"

# Names in skorch's history, and in a record's curves.
CURVES = {
    **{
        f"watched_{p}_{what}": f"{p}_{what}"
        for p in PARTS
        for what in ("loss", "score")
    },
    "running_score": "running_score",
    "valid_loss": "validation_loss",
}
SECONDS, BEFORE = "watching_seconds", "label_before"


class _Shared:
    """A value that is not copied when the callback that holds it is cloned."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __deepcopy__(self, memo: Any) -> _Shared:
        return self


class Watcher(Callback):
    """Score parts after every epoch; predict an example before the first.

    Parameters
    ----------
    parts : Mapping of str to (X, y), or what holds one
        Rows by the name of their part.
    classes : array of labels, or what holds one
        In the order of the network's outputs.
    example : row of shape (n_features,), or what holds one, or None
        What to predict with the initial weights.
    """

    def __init__(self, parts: Any, classes: Any, example: Any = None) -> None:
        self.parts = parts
        self.classes = classes
        self.example = example

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Predict the example, before anything was learnt."""
        if self.example.value is not None and len(net.history) == 1:
            outputs = _log_probabilities(net.module_, self.example.value[np.newaxis])
            label = self.classes.value[int(outputs.argmax())]
            net.history.record(BEFORE, label)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Note loss and accuracy of every part, and how long that took."""
        started = perf_counter()
        for name, (X, y) in self.parts.value.items():
            outputs = _log_probabilities(net.module_, X)
            index = torch.from_numpy(np.searchsorted(self.classes.value, y))
            loss = float(F.nll_loss(outputs.double(), index))
            score = float((outputs.argmax(dim=1) == index).double().mean())
            net.history.record(f"watched_{name}_loss", loss)
            net.history.record(f"watched_{name}_score", score)
        net.history.record(SECONDS, perf_counter() - started)


class RunningScore(Callback):
    """Training accuracy over an epoch's batches, each before its step, as Keras has."""

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Begin to count."""
        self.right_, self.seen_ = 0, 0

    def on_batch_end(
        self, net: Any, batch: Any, training: bool, y_pred: Any, **kwargs: Any
    ) -> None:
        """Count the batch's right answers."""
        if training:
            labels = batch[1]
            chosen = (y_pred > 0) if y_pred.shape[1] == 1 else y_pred.argmax(dim=1)
            self.right_ += int((chosen == labels).sum())
            self.seen_ += len(labels)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Note their share."""
        net.history.record("running_score", self.right_ / self.seen_)


def callbacks(
    watch: Sequence[str],
    rows: Mapping[str, tuple[np.ndarray, np.ndarray]],
    classes: np.ndarray,
    example: np.ndarray | None,
) -> list[Callback]:
    """Make the callbacks that watch what is asked for; none for nothing."""
    parts = {name: rows[name] for name in watch if name != RUNNING}
    made: list[Callback] = [RunningScore()] if RUNNING in watch else []
    if parts or example is not None:
        made.append(Watcher(_Shared(parts), _Shared(classes), _Shared(example)))
    return made


def curves(history: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Take from a history what was noted at every epoch."""
    return {
        name: [epoch[key] for epoch in history]
        for key, name in CURVES.items()
        if history and all(key in epoch for epoch in history)
    }


def _log_probabilities(network: torch.nn.Module, X: np.ndarray) -> torch.Tensor:
    """Return the log-probabilities of all classes for rows, on the CPU."""
    weights = next(network.parameters())
    trains = network.training
    network.eval()
    outputs = []
    with torch.no_grad():
        for first in range(0, len(X), BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(X[first : first + BATCH]))
            logits = network(batch.to(weights.device, weights.dtype)).cpu()
            if logits.shape[1] == 1:  # two classes: that of the second against 0
                logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
            outputs.append(F.log_softmax(logits, dim=1))
    network.train(trains)
    return torch.cat(outputs)
