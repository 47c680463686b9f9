"""Stored runs: one JSON line each, appended when the run ends, never rewritten.

A record holds what was asked (experiment, model, dataset, train_size, seed, estimator,
parameters, preprocessing, command), on what (rows, n_features, n_classes, device,
versions, hardware, threads) and what came of it (epochs, best_epoch, fit_seconds,
n_parameters, layers, accuracies, test_loss in nats, curves, classes and confusion
matrix, of seed 0 the first layer's images, warnings, error). A run whose training
failed has `error` and no figures.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.definitions.request import Request

Record = dict[str, Any]
Key = tuple[Any, ...]

COMMITTED = Path(__file__).parents[1] / "results"
DEFAULT = Path("skmlp-results")


def open_store(folder: Path) -> Path:
    """Create the folder; the default one is given a .gitignore that hides it."""
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if new and folder == DEFAULT:
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    return folder


def result_name(request: Request, dataset: str) -> str:
    """Name what is stored of a request's runs on a data set: ``compare-mnist-0.1``."""
    size = "all" if request.train_size is None else request.train_size
    name = f"{request.experiment.name}-{dataset}-{size}"
    name += "-quick" if request.quick else ""
    return re.sub(r"[^\w.-]+", "_", name)


def file_name(request: Request, dataset: str) -> str:
    """Name the file of the records: ``compare-mnist-0.1.jsonl``."""
    return result_name(request, dataset) + ".jsonl"


def append(path: Path, record: Record) -> None:
    """Add one line, written and flushed as a whole."""
    line = json.dumps(_plain(record), allow_nan=False, ensure_ascii=False) + "\n"
    with path.open("a+", encoding="utf-8") as file:
        # A writer that was killed may have left half a line; it must not join ours.
        file.seek(0, os.SEEK_END)
        if file.tell() and not path.read_bytes().endswith(b"\n"):
            line = "\n" + line
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def read(paths: Iterable[Path]) -> list[Record]:
    """Read records from files, in their order.

    Raises
    ------
    ValueError
        If a line is not a record; names the file and the line.
    """
    return [record for path in paths for record in _read_file(path)]


def _read_file(path: Path) -> Iterator[Record]:
    for number, record in numbered(path):
        try:
            key(record)
        except (TypeError, KeyError):
            raise _no_run(path, number) from None
        yield record


def numbered(path: Path) -> Iterator[tuple[int, Any]]:
    """Read what a file's lines hold, runs or not, each with the number of its line."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except ValueError:
                    raise _no_run(path, number) from None


def _no_run(path: Path, number: int) -> ValueError:
    return ValueError(
        f"Line {number} of {str(path)!r} is not a stored run; "
        "delete that line to read the others."
    )


def key(record: Record) -> Key:
    """Return what makes two records runs of the same thing."""
    return (*group(record), record["model"], record["seed"])


def key_of(request: Request, dataset: str, model: str, seed: int) -> Key:
    """Return the key that the record of a run to come will have."""
    place = (request.experiment.name, dataset, request.train_size, request.quick)
    return (*place, model, seed)


def group(record: Record) -> Key:
    """Return what makes two records part of one table."""
    return tuple(record[k] for k in ("experiment", "dataset", "train_size", "quick"))


def latest(records: Iterable[Record]) -> list[Record]:
    """Keep the last record of each run, in the order of the models and seeds."""
    last = {key(record): record for record in records}
    return sorted(last.values(), key=lambda r: (r["order"], r["seed"]))


def grouped(records: Iterable[Record]) -> list[list[Record]]:
    """Part records into tables, each with its runs in order."""
    tables: dict[Key, list[Record]] = {}
    for record in latest(records):
        tables.setdefault(group(record), []).append(record)
    return [tables[k] for k in sorted(tables, key=str)]


def _plain(value: Any) -> Any:
    """Turn a value into what JSON holds; a number that is not finite into null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return repr(value)
