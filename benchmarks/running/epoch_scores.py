"""Callbacks that score sets of samples after every epoch.

The scores decide nothing: neither when training stops nor which weights are restored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from skorch.callbacks import Callback

SAMPLES_PER_CHUNK = 2_000
SCORED_SETS = ("train", "test")
RUNNING_ACCURACY = "running"

# From names in skorch's history to names of a record's curves.
CURVES = {
    **{
        f"watched_{p}_{what}": f"{p}_{what}"
        for p in SCORED_SETS
        for what in ("loss", "score")
    },
    "running_score": "running_score",
    "valid_loss": "validation_loss",
}
SCORING_SECONDS, LABEL_BEFORE = "watching_seconds", "label_before"


class _Uncopied:
    """A value that is not copied when the callback that holds it is cloned."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __deepcopy__(self, memo: Any) -> _Uncopied:
        return self


class EpochScorer(Callback):
    """Score sets of samples after every epoch, and predict an example before the first.

    Parameters
    ----------
    parts : _Uncopied mapping of str to (X, y)
        The sets of samples by name.
    classes : _Uncopied array of labels
        The classes, in the order of the network's outputs.
    example : _Uncopied array of shape (n_features,) or None
        A sample that is predicted with the initial weights.
    """

    def __init__(self, parts: Any, classes: Any, example: Any = None) -> None:
        self.parts = parts
        self.classes = classes
        self.example = example

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Predict the example before any training."""
        if self.example.value is not None and len(net.history) == 1:
            outputs = _log_probabilities(net.module_, self.example.value[np.newaxis])
            label = self.classes.value[int(outputs.argmax())]
            net.history.record(LABEL_BEFORE, label)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record loss and accuracy of every set, and how long scoring took."""
        started = perf_counter()
        for name, (X, y) in self.parts.value.items():
            outputs = _log_probabilities(net.module_, X)
            index = torch.from_numpy(np.searchsorted(self.classes.value, y))
            loss = float(F.nll_loss(outputs.double(), index))
            score = float((outputs.argmax(dim=1) == index).double().mean())
            net.history.record(f"watched_{name}_loss", loss)
            net.history.record(f"watched_{name}_score", score)
        net.history.record(SCORING_SECONDS, perf_counter() - started)


class RunningAccuracy(Callback):
    """Training accuracy over an epoch's batches, each before its step, as in Keras."""

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Reset the counts."""
        self.n_correct_, self.n_seen_ = 0, 0

    def on_batch_end(
        self, net: Any, batch: Any, training: bool, y_pred: Any, **kwargs: Any
    ) -> None:
        """Count the correct predictions of the batch."""
        if training:
            labels = batch[1]
            chosen = (y_pred > 0) if y_pred.shape[1] == 1 else y_pred.argmax(dim=1)
            self.n_correct_ += int((chosen == labels).sum())
            self.n_seen_ += len(labels)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the fraction of correct predictions."""
        net.history.record("running_score", self.n_correct_ / self.n_seen_)


def make_callbacks(
    monitor: Sequence[str],
    rows: Mapping[str, tuple[np.ndarray, np.ndarray]],
    classes: np.ndarray,
    example: np.ndarray | None,
) -> list[Callback]:
    """Make the callbacks for the requested scores. No request gives no callback."""
    parts = {name: rows[name] for name in monitor if name != RUNNING_ACCURACY}
    made: list[Callback] = [RunningAccuracy()] if RUNNING_ACCURACY in monitor else []
    if parts or example is not None:
        made.append(
            EpochScorer(_Uncopied(parts), _Uncopied(classes), _Uncopied(example))
        )
    return made


def read_curves(history: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return the curves that were recorded at every epoch of a history."""
    return {
        name: [epoch[key] for epoch in history]
        for key, name in CURVES.items()
        if history and all(key in epoch for epoch in history)
    }


def _log_probabilities(network: torch.nn.Module, X: np.ndarray) -> torch.Tensor:
    """Return the log-probabilities of all classes on the CPU."""
    weights = next(network.parameters())
    trains = network.training
    network.eval()
    outputs = []
    with torch.no_grad():
        for first in range(0, len(X), SAMPLES_PER_CHUNK):
            batch = torch.from_numpy(
                np.ascontiguousarray(X[first : first + SAMPLES_PER_CHUNK])
            )
            logits = network(batch.to(weights.device, weights.dtype)).cpu()
            if logits.shape[1] == 1:  # two classes: the logit of the first one is 0
                logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
            outputs.append(F.log_softmax(logits, dim=1))
    network.train(trains)
    return torch.cat(outputs)
