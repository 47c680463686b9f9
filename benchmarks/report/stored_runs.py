"""Stored records as runs, whatever an older or damaged one lacks."""

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
CURVES = ("loss_curve", "validation_scores")  # and those under "curves"
WEEKS = "week_score"


@dataclass(frozen=True)
class Run:
    """One run. Figures that were not stored, or are no numbers, are None.

    `number` is its place among all runs of the page; `replaced` says that a later
    record is of the same experiment, data, model and seed. `losses` and `scores` are
    curves over epochs by what they are of (training, validation). `confusion` counts
    test rows, true classes down, predicted ones across.
    """

    number: int
    record: Record = field(repr=False)
    replaced: bool = False

    def text(self, name: str) -> str:
        """Return a field as text; empty if it is missing or None."""
        value = self.record.get(name)
        return "" if value is None else str(value)

    def figure(self, name: str) -> float | None:
        """Return a field that is a finite number, else None."""
        return _finite(self.record.get(name))

    @property
    def key(self) -> result_files.Key:
        """What a later run of the same has too."""
        return tuple(map(_hashable, result_files.key(self.record)))

    @property
    def group(self) -> result_files.Key:
        """What runs have in common that can be compared."""
        return tuple(map(_hashable, result_files.group(self.record)))

    @property
    def error(self) -> str:
        """Why training failed; empty if it did not."""
        return self.text("error")

    @property
    def kind(self) -> str:
        """The family of the model: softmax, MLP, CNN, ensemble or other."""
        return KINDS.get(self.text("estimator").rpartition(".")[2], "other")

    @property
    def order(self) -> float:
        """The model's place in its experiment."""
        order = self.figure("order")
        return math.inf if order is None else order

    @property
    def seed(self) -> float:
        """The seed as a number to sort by."""
        seed = self.figure("seed")
        return math.inf if seed is None else seed

    @property
    def size(self) -> str:
        """The share or number of training rows; empty if it is all."""
        size = self.record["train_size"]
        if isinstance(size, float) and 0 < size <= 1:
            return f"{size:.4%}".rstrip("%").rstrip("0").rstrip(".") + "%"
        if isinstance(size, int) and not isinstance(size, bool):
            return f"{size:,} rows"
        return "" if size is None else str(size)

    def kept_epoch(self, values: Curve) -> int | None:
        """Return the epoch, from 1, whose weights were best, if a curve has it."""
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
    def by_weeks(self) -> bool:
        """Whether the curves have a value for each week, not for each epoch."""
        return WEEKS in self.mapping("curves")

    def _curves(self) -> dict[str, Curve]:
        """Return lists of numbers by the record's names for them."""
        stored = {name: self.record.get(name) for name in CURVES}
        stored |= self.mapping("curves")
        if self.by_weeks:
            stored = {WEEKS: stored[WEEKS]}
        return {
            name: tuple(map(_finite, values))
            for name, values in stored.items()
            if isinstance(values, list)
            and sum(_finite(value) is not None for value in values) > 1
        }

    @property
    def confusion(self) -> np.ndarray | None:
        """Counts of test rows, ``(classes, classes)``."""
        try:
            counts = np.array(self.record.get("confusion_matrix"), dtype=np.float64)
        except (TypeError, ValueError):
            return None
        square = counts.ndim == 2 and 1 < len(counts) == counts.shape[1]
        return counts if square and np.isfinite(counts).all() else None

    @property
    def classes(self) -> list[str]:
        """Names of the classes; numbers from 0 where none were stored."""
        counts = self.confusion
        n = 0 if counts is None else len(counts)
        names = self.record.get("classes")
        if isinstance(names, list) and len(names) == n:
            return [str(name) for name in names]
        return [str(i) for i in range(n)]

    def mapping(self, name: str) -> dict[str, Any]:
        """Return a field that is a mapping, else an empty one."""
        value = self.record.get(name)
        return value if isinstance(value, dict) else {}

    def sequence(self, name: str) -> list[Any]:
        """Return a field that is a list, else an empty one."""
        value = self.record.get(name)
        return value if isinstance(value, list) else []


@dataclass(frozen=True)
class Found:
    """All runs of some folders, in order, and how many other records by experiment."""

    runs: tuple[Run, ...]
    others: Counter[str]


def read(folders: Sequence[Path]) -> Found:
    """Read the folders' ``*.jsonl``; records of no run (of `speed`, say) are counted.

    Raises
    ------
    ValueError
        If a folder does not exist, a line is no record, or there is no run at all.
    """
    records: list[Record] = []
    others: Counter[str] = Counter()
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"{str(folder)!r} is no folder of stored runs.")
        for path in sorted(folder.glob("*.jsonl")):
            for _, record in result_files.numbered(path):
                if _is_run(record):
                    records.append(record)
                else:
                    others[_experiment(record, path)] += 1
    if not records:
        places = ", ".join(repr(str(folder)) for folder in folders)
        raise ValueError(f"No stored run in {places}; python -m benchmarks makes some.")
    last = {Run(i, record).key: i for i, record in enumerate(records)}
    runs = [Run(i, record) for i, record in enumerate(records)]
    return Found(
        tuple(Run(r.number, r.record, last[r.key] != r.number) for r in runs), others
    )


def _is_run(record: Any) -> bool:
    """Whether a record is of one model and seed, not of two packages side by side."""
    try:
        result_files.key(record)
    except (KeyError, TypeError):
        return False
    return "largest_weight_difference" not in record


def _experiment(record: Any, path: Path) -> str:
    """Name what a record that is no run belongs to."""
    name = record.get("experiment") if isinstance(record, dict) else None
    return name if isinstance(name, str) else path.stem


def _finite(value: Any) -> float | None:
    """Return a finite number, else None."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number and abs(value) <= sys.float_info.max else None


def _hashable(value: Any) -> Any:
    """Return what a damaged record may hold in a key's place as something to hash."""
    return repr(value) if isinstance(value, dict | list) else value
