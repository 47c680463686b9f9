"""CPU seconds and peak memory of a fit on all rows of a large table.

Each fit runs in a new process. Its peak memory includes Python, torch and the table.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from time import process_time
from typing import Any

import numpy as np

import skmlp.neural_network as ours
from benchmarks.frames import package_tables
from benchmarks.frames.package_tables import CLASSIFICATION, TabularData
from benchmarks.running import environment
from benchmarks.tables.timing_tables import TimingTable, commands_of, versions

# The tables, and the number of rows that some of them are extended to. The package
# ships the training file of adult only. Rows that are drawn again make up the number of
# rows of both files.
LARGE: dict[str, int | None] = {"adult": 48_842, "diamonds": None}
QUICK: dict[str, int | None] = {"breast-cancer": 600}

COLUMNS = ("table", "preset", "rows", "fit CPU s", "peak MB", "of it before the fit")


def measure(quick: bool) -> Iterator[dict[str, Any]]:
    """Yield one record for each large table; `quick`: for a small one."""
    context = multiprocessing.get_context("spawn")
    for name, n_rows in (QUICK if quick else LARGE).items():
        preset = "fast" if quick else "default"
        record = {"table": name, "preset": preset, "error": None}
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            try:
                yield record | pool.submit(fit, name, n_rows, preset).result()
            except package_tables.MissingPackageError as error:
                yield record | {"error": str(error)}


def fit(name: str, n_rows: int | None, preset: str) -> dict[str, Any]:
    """Fit the estimator on one thread; return rows, CPU seconds and peak memory."""
    environment.use_threads(1)
    data = _read(name, n_rows)
    is_classification = data.task == CLASSIFICATION
    cls = ours.TabularClassifier if is_classification else ours.TabularRegressor
    model = cls(preset=preset, random_state=0, n_jobs=1)
    before, start = environment.peak_memory(), process_time()
    model.fit(data.X, data.y)
    return {
        "rows": len(data.X),
        "fit_seconds": process_time() - start,
        "bytes_before": before,
        "bytes_at_peak": environment.peak_memory(),
    }


def _read(name: str, n_rows: int | None) -> TabularData:
    """Return a table, extended by rows that are drawn again."""
    data = package_tables.load_bundled() if name in QUICK else package_tables.load(name)
    n_missing = 0 if n_rows is None else n_rows - len(data.X)
    again = np.random.default_rng(0).integers(len(data.X), size=n_missing)
    rows = np.concatenate([np.arange(len(data.X)), again])
    X, y = data.X.iloc[rows], data.y.iloc[rows]
    return TabularData(
        name, X.reset_index(drop=True), y.reset_index(drop=True), data.task
    )


def table_of(records: Sequence[dict[str, Any]]) -> TimingTable:
    """Return the table of the last record of each large table."""
    shown = list({r["table"]: r for r in records}.values())
    first = shown[0]
    measured = [r for r in shown if r["error"] is None]
    return TimingTable(
        [
            "tables: fits on all rows"
            + (" (quick: a trial, not a result)" if first["quick"] else ""),
            versions(first),
            f"{first['platform']}, {first['cpu']}, {first['cpu_count']} CPUs, "
            "1 thread.",
        ],
        COLUMNS,
        [
            (
                r["table"],
                r["preset"],
                f"{r['rows']:,}",
                f"{r['fit_seconds']:.1f}",
                f"{r['bytes_at_peak'] / 1e6:.0f}",
                f"{r['bytes_before'] / 1e6:.0f}",
            )
            for r in measured
        ],
        commands_of(shown),
        [f"{r['table']}: {r['error']}" for r in shown if r["error"]],
        whole_names=True,
    )
