"""Stored runs: one JSON line per run, appended when the run ends, never rewritten.

A record holds three groups of fields:

* the request: experiment, model, dataset, train_size, seed, estimator, parameters,
  preprocessing, command
* the circumstances: rows, n_features, n_classes, device, versions, hardware, threads
* the outcome: epochs, best_epoch, fit_seconds, n_parameters, layers, accuracies,
  test_loss in nats, curves, classes and confusion matrix, warnings, error; with seed 0
  also the images of the first layer

A run whose training failed has `error` and no figures.
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

COMMITTED_FOLDER = Path(__file__).parents[1] / "results"
DEFAULT_FOLDER = Path("skmlp-results")


def open_folder(folder: Path) -> Path:
    """Create the folder. The default folder gets a .gitignore that hides it."""
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if new and folder == DEFAULT_FOLDER:
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    return folder


def result_name(request: Request, dataset: str) -> str:
    """Return the name of a request's results on a data set: ``compare-mnist-0.1``."""
    size = "all" if request.train_size is None else request.train_size
    name = f"{request.experiment.name}-{dataset}-{size}"
    name += "-quick" if request.quick else ""
    return re.sub(r"[^\w.-]+", "_", name)


def record_file_name(request: Request, dataset: str) -> str:
    """Return the name of the file of records: ``compare-mnist-0.1.jsonl``."""
    return result_name(request, dataset) + ".jsonl"


def append(path: Path, record: Record) -> None:
    """Append a record as one line, in a single write, and flush it."""
    line = json.dumps(_to_json(record), allow_nan=False, ensure_ascii=False) + "\n"
    with path.open("a+", encoding="utf-8") as file:
        # A killed writer may have left half a line, which must not join the new one.
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
        If a line is not a record. The message names the file and the line.
    """
    return [record for path in paths for record in _read_file(path)]


def _read_file(path: Path) -> Iterator[Record]:
    for number, record in read_lines(path):
        try:
            run_key(record)
        except (TypeError, KeyError):
            raise _not_a_run_error(path, number) from None
        yield record


def read_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number and the content of each line of a file, runs or not."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except ValueError:
                    raise _not_a_run_error(path, number) from None


def _not_a_run_error(path: Path, number: int) -> ValueError:
    return ValueError(
        f"Line {number} of {str(path)!r} is not a stored run; "
        "delete that line to read the others."
    )


def run_key(record: Record) -> Key:
    """Return the key that two records of the same run share."""
    return (*table_key(record), record["model"], record["seed"])


def request_key(request: Request, dataset: str, model: str, seed: int) -> Key:
    """Return the key that the record of a future run will have."""
    place = (request.experiment.name, dataset, request.train_size, request.quick)
    return (*place, model, seed)


def table_key(record: Record) -> Key:
    """Return the key that all records of one table share."""
    return tuple(record[k] for k in ("experiment", "dataset", "train_size", "quick"))


def latest_runs(records: Iterable[Record]) -> list[Record]:
    """Return the last record of each run, ordered by model and seed."""
    last = {run_key(record): record for record in records}
    return sorted(last.values(), key=lambda r: (r["order"], r["seed"]))


def group_by_table(records: Iterable[Record]) -> list[list[Record]]:
    """Group records by table, each with its runs in order."""
    tables: dict[Key, list[Record]] = {}
    for record in latest_runs(records):
        tables.setdefault(table_key(record), []).append(record)
    return [tables[k] for k in sorted(tables, key=str)]


def _to_json(value: Any) -> Any:
    """Convert a value to JSON types. A number that is not finite becomes null."""
    if isinstance(value, dict):
        return {str(k): _to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return _to_json(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return repr(value)
