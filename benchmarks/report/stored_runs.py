"""Stored records as runs, with None for fields that a record lacks."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.result_store import result_files
from benchmarks.result_store.result_files import Record

Curve = tuple[float | None, ...]

KINDS = {
    "SoftmaxRegression": "softmax",
    "MLPClassifier": "MLP",
    "MLPRegressor": "MLP",
    "CNNClassifier": "CNN",
    "EnsembleClassifier": "ensemble",
}
CURVES = ("loss_curve", "validation_scores")  # in addition to those under "curves"
WEEKS = "week_score"


@dataclass(frozen=True)
class Run:
    """One run. A figure that is missing or not a number is None.

    `number` is its index among all runs of the page. `replaced` says that a later
    record has the same experiment, data, model and seed. `losses` and `scores` are
    curves over epochs by the set that they show. `confusion` counts test samples, with
    true classes in lines and predicted classes in columns.
    """

    number: int
    record: Record = field(repr=False)
    replaced: bool = False

    def text(self, name: str) -> str:
        """Return a field as text; empty if it is missing or None."""
        value = self.record.get(name)
        return "" if value is None else str(value)

    def figure(self, name: str) -> float | None:
        """Return a field if it is a finite number, else None."""
        return _finite(self.record.get(name))

    @property
    def key(self) -> result_files.Key:
        """The key that a later run of the same model and seed shares."""
        return tuple(map(_hashable, result_files.run_key(self.record)))

    @property
    def group(self) -> result_files.Key:
        """The key that comparable runs share."""
        return tuple(map(_hashable, result_files.table_key(self.record)))

    @property
    def error(self) -> str:
        """The reason of a failed training; empty if it succeeded."""
        return self.text("error")

    @property
    def kind(self) -> str:
        """The family of the model: softmax, MLP, CNN, ensemble or other."""
        return KINDS.get(self.text("estimator").rpartition(".")[2], "other")

    @property
    def order(self) -> float:
        """The model's position in its experiment."""
        order = self.figure("order")
        return math.inf if order is None else order

    @property
    def seed(self) -> float:
        """The seed as a number to sort by."""
        seed = self.figure("seed")
        return math.inf if seed is None else seed

    @property
    def size(self) -> str:
        """The fraction or number of training samples; empty for all of them."""
        size = self.record["train_size"]
        if isinstance(size, float) and 0 < size <= 1:
            return f"{size:.4%}".rstrip("%").rstrip("0").rstrip(".") + "%"
        if isinstance(size, int) and not isinstance(size, bool):
            return f"{size:,} rows"
        return "" if size is None else str(size)

    def best_epoch_in(self, values: Curve) -> int | None:
        """Return the best epoch, counted from 1, if a curve has it."""
        epoch = self.figure("best_epoch")
        if epoch is None or not 1 <= epoch <= len(values):
            return None
        return None if values[int(epoch) - 1] is None else int(epoch)

    @property
    def losses(self) -> dict[str, Curve]:
        """Curves of the loss."""
        return {k: v for k, v in self._curves().items() if "loss" in k}

    @property
    def scores(self) -> dict[str, Curve]:
        """Curves of accuracy."""
        return {k: v for k, v in self._curves().items() if "loss" not in k}

    @property
    def is_weekly(self) -> bool:
        """Whether the curves have one value for each week, not for each epoch."""
        return WEEKS in self.mapping("curves")

    def _curves(self) -> dict[str, Curve]:
        """Return lists of numbers by their names in the record."""
        stored = {name: self.record.get(name) for name in CURVES}
        stored |= self.mapping("curves")
        if self.is_weekly:
            stored = {WEEKS: stored[WEEKS]}
        return {
            name: tuple(map(_finite, values))
            for name, values in stored.items()
            if isinstance(values, list)
            and sum(_finite(value) is not None for value in values) > 1
        }

    @property
    def confusion(self) -> np.ndarray | None:
        """Counts of test samples, of shape (classes, classes)."""
        try:
            counts = np.array(self.record.get("confusion_matrix"), dtype=np.float64)
        except (TypeError, ValueError):
            return None
        square = counts.ndim == 2 and 1 < len(counts) == counts.shape[1]
        return counts if square and np.isfinite(counts).all() else None

    @property
    def classes(self) -> list[str]:
        """Names of the classes; numbers from 0 if no names were stored."""
        counts = self.confusion
        n = 0 if counts is None else len(counts)
        names = self.record.get("classes")
        if isinstance(names, list) and len(names) == n:
            return [str(name) for name in names]
        return [str(i) for i in range(n)]

    def mapping(self, name: str) -> dict[str, Any]:
        """Return a field if it is a mapping, else an empty mapping."""
        value = self.record.get(name)
        return value if isinstance(value, dict) else {}

    def sequence(self, name: str) -> list[Any]:
        """Return a field if it is a list, else an empty list."""
        value = self.record.get(name)
        return value if isinstance(value, list) else []


@dataclass(frozen=True)
class StoredRuns:
    """All runs of some folders, and the number of other records by experiment."""

    runs: tuple[Run, ...]
    others: Counter[str]


def read(folders: Sequence[Path]) -> StoredRuns:
    """Read the ``*.jsonl`` of folders. Records that are not runs are only counted.

    Raises
    ------
    ValueError
        If a folder does not exist, a line is not a record, or there is no run at all.
    """
    records: list[Record] = []
    others: Counter[str] = Counter()
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"{str(folder)!r} is not a folder of stored runs.")
        for path in sorted(folder.glob("*.jsonl")):
            for _, record in result_files.read_lines(path):
                if _is_run(record):
                    records.append(record)
                else:
                    others[_experiment(record, path)] += 1
    if not records:
        places = ", ".join(repr(str(folder)) for folder in folders)
        raise ValueError(f"No stored run in {places}; python -m benchmarks makes runs.")
    last = {Run(i, record).key: i for i, record in enumerate(records)}
    runs = [Run(i, record) for i, record in enumerate(records)]
    return StoredRuns(
        tuple(Run(r.number, r.record, last[r.key] != r.number) for r in runs), others
    )


def _is_run(record: Any) -> bool:
    """Whether a record describes one training, and not several that are compared."""
    try:
        result_files.run_key(record)
    except (KeyError, TypeError):
        return False
    return not {"largest_weight_difference", "suggested_rate"} & record.keys()


def _experiment(record: Any, path: Path) -> str:
    """Return the experiment of a record that is not a run."""
    name = record.get("experiment") if isinstance(record, dict) else None
    return name if isinstance(name, str) else path.stem


def _finite(value: Any) -> float | None:
    """Return a finite number, else None."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number and abs(value) <= sys.float_info.max else None


def _hashable(value: Any) -> Any:
    """Return a hashable value, also if a damaged record holds a list or mapping."""
    return repr(value) if isinstance(value, dict | list) else value
