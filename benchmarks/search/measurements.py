"""The parts of the benchmark, and the records that they yield.

* ``digits``: every contestant searches the same 12 candidates in 5 folds, in float32.
  The contestants take turns in one process (jobs have their own).
* ``wider``: the same with more hidden units, by the fast contestants.
* ``growth``: a packed search and scikit-learn's search over the same networks, for
  growing numbers of members, units and rows.
* ``convolutions``: the same with CNNs of 8 x 8 pixels and a growing number of filters.
* ``modules``: the same with a module that only `torch.func` can pack, of a growing
  number of units.
* ``halving``: a halving search whose survivors continue with their weights, and one
  whose survivors start again, in turn.
* ``host``: the CPU time that a further member adds to a packed search of networks that
  are so small that only the work of Python counts.
* ``memory``: the peak memory of a packed search of 500 members in a new process.

A part yields a dict for each contestant:

* ``contestant``, and ``error`` with the reason if it did not take part
* ``seconds`` (wall clock) and ``processor_seconds`` (CPU time of this process): lists
  with one entry for each round
* ``growth``: ``moved`` (the size that grows), ``members``, ``units`` and ``rows``
* ``convolutions``: ``members``, ``rows`` and ``filters``
* ``modules``: ``moved``, ``members``, ``rows`` and ``module units``
* ``host``: ``members`` (of the larger search) and ``milliseconds_per_member``
* ``memory``: ``members``, ``rows``, ``bytes_before`` and ``bytes_at_peak``
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from benchmarks.running import environment
from benchmarks.search.contestants import (
    ALPHAS,
    BATCH,
    CONTESTANTS,
    FOLDS,
)
from benchmarks.search.modules import NormalizedPerceptron
from skmlp.model_selection import PackedGridSearchCV, PackedHalvingGridSearchCV
from skmlp.neural_network import CNNClassifier, MLPClassifier, TorchClassifier

# Hidden units of ``digits`` and ``wider``, and the contestants of ``wider``.
UNITS, WIDER_UNITS = 20, 50
FAST_CONTESTANTS = ("packed", "one by one", "scikit-learn", "scikit-learn, 2 jobs")

# One of the three sizes grows. The others have these middle values.
MIDDLE = {"members": 16, "units": 50, "rows": 500}
GROWTH = {
    "members": (1, 2, 4, 16, 64, 256),
    "units": (10, 50, 200, 1000),
    "rows": (100, 500, 2_000, 8_000),
}
N_FEATURES = 64
SHORT_FIT = {"batch_size": BATCH, "max_iter": 3, "random_state": 0}
MODULE_UNITS = (10, 50, 200)
FILTERS = ((4,), (8,), (16,), (16, 32), (32, 64))

# A round of the digits search is repeated for at least this time and averaged.
MIN_SECONDS_PER_ROUND = 2.0

# Short searches get more rounds: for this time, or at most this number.
MIN_SECONDS = 0.5
MAX_ROUNDS = 31

# 27 candidates for 10 epochs, 9 for 30, 3 for 90, 1 for 270.
HALVING_LEARNING_RATES = tuple(np.geomspace(1e-4, 1e-1, 9).tolist())
HALVING = {"resource": "max_iter", "max_resources": 270, "random_state": 0}

# Two searches, whose difference is the work for the further members.
HOST_MEMBERS = (50, 450)

MEMBERS_IN_MEMORY = 500

Measured = dict[str, Any]


# The digits search


def digits(
    rounds: int, quick: bool, wanted: Sequence[str], units: int
) -> Iterator[Measured]:
    """Yield the times of every installed contestant."""
    X, y = _digits(quick)
    X = X.astype(np.float32)  # a dtype in which all of them can train
    times: dict[str, list[tuple[float, float]]] = {}
    errors = {name: _why_absent(name) for name in wanted}
    present = [name for name in wanted if errors[name] is None]
    # The first round includes the time of imports and of starting thread pools.
    for i in range(rounds + 1):
        for name in present:
            if i == 0:
                _time_search(CONTESTANTS[name](units), X[:100], y[:100])
            else:
                measured = [_time_search(CONTESTANTS[name](units), X, y)]
                # A single short search would include threads that still spin.
                while not quick and sum(s for s, _ in measured) < MIN_SECONDS_PER_ROUND:
                    measured.append(_time_search(CONTESTANTS[name](units), X, y))
                times.setdefault(name, []).append(tuple(np.mean(measured, axis=0)))
    for name in wanted:
        yield {
            "contestant": name,
            **_as_record_times(times.get(name, [])),
            "error": errors[name],
        }


def _digits(quick: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's digits, or some of them."""
    X, y = load_digits(return_X_y=True)
    return (X[:200] / 16, y[:200]) if quick else (X / 16, y)


def _why_absent(contestant: str) -> str | None:
    """Return why a contestant cannot take part, or None."""
    package = contestant if contestant in ("skorch", "scikeras") else "sklearn"
    return None if find_spec(package) else f"{package} is not installed"


# Growing packs


def growth(rounds: int, quick: bool) -> Iterator[Measured]:
    """Yield the times of packed and sequential searches for growing sizes."""
    for moved, sizes in GROWTH.items():
        for size in sizes[:2] if quick else sizes:
            sizes_now = {**MIDDLE, moved: size}
            network = MLPClassifier(sizes_now.pop("units"), **SHORT_FIT)
            for measured in _side_by_side(network, rounds, **sizes_now):
                yield {"moved": moved, **MIDDLE, moved: size, **measured}


def convolutions(rounds: int, quick: bool) -> Iterator[Measured]:
    """Yield the times of packed and sequential searches for more and more filters."""
    members, rows = MIDDLE["members"], MIDDLE["rows"]
    for filters in FILTERS[:1] if quick else FILTERS:
        network = CNNClassifier(
            filters, hidden_layer_sizes=32, dtype="float32", **SHORT_FIT
        )
        for measured in _side_by_side(network, rounds, members, rows):
            yield {
                "members": members,
                "rows": rows,
                "filters": "-".join(map(str, filters)),
                **measured,
            }


def _side_by_side(
    network: Any, rounds: int, members: int, rows: int
) -> Iterator[Measured]:
    """Yield the times of a packed and a sequential search."""
    searches = {"packed": PackedGridSearchCV, "one by one": GridSearchCV}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in searches}
    for search in searches.values():
        seconds, _ = _time_search(*_make_search(search, network, members, rows))
        rounds = max(rounds, min(MAX_ROUNDS, int(MIN_SECONDS / seconds)))
    for _ in range(rounds):
        for name, search in searches.items():
            measured = _time_search(*_make_search(search, network, members, rows))
            times[name].append(measured)
    for name in searches:
        yield {"contestant": name, **_as_record_times(times[name])}


def _make_search(
    search: type, network: Any, members: int, rows: int
) -> tuple[Any, ...]:
    """Return a search with this number of members, and its samples."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(rows + 50, N_FEATURES)), rng.integers(0, 10, rows + 50)
    y[:10] = np.arange(10)
    split = [(np.arange(rows), np.arange(rows, rows + 50))]
    grid = {"alpha": np.geomspace(1e-5, 1e-1, members)}
    return search(network, grid, cv=split, refit=False), X, y


def modules(rounds: int, quick: bool) -> Iterator[Measured]:
    """Yield the times of packed and sequential searches over the module of a user."""
    members, rows = MIDDLE["members"], MIDDLE["rows"]
    for units in MODULE_UNITS[:1] if quick else MODULE_UNITS:
        network = TorchClassifier(
            NormalizedPerceptron, module__units=units, dtype="float32", **SHORT_FIT
        )
        for measured in _side_by_side(network, rounds, members, rows):
            yield {
                "moved": "module units",
                "members": members,
                "rows": rows,
                "module units": units,
                **measured,
            }


# Successive halving


def halving(rounds: int, quick: bool) -> Iterator[Measured]:
    """Yield the times of searches whose survivors start again or continue."""
    X, y = _digits(quick)
    network = MLPClassifier(WIDER_UNITS, batch_size=BATCH, random_state=0)
    grid = {"learning_rate_init": HALVING_LEARNING_RATES, "alpha": ALPHAS}
    times: dict[str, list[tuple[float, float]]] = {"packed": [], "going on": []}
    for i in range(rounds + 1):
        for name, measured in times.items():
            search = PackedHalvingGridSearchCV(
                network, grid, cv=FOLDS, refit=False, **HALVING
            )
            search.warm_start = name == "going on"
            taken = _time_search(search, X, y)
            if i:
                measured.append(taken)
    for name, measured in times.items():
        yield {"contestant": name, **_as_record_times(measured)}


# Work of Python


def host(rounds: int, quick: bool) -> Iterator[Measured]:
    """Yield the CPU time that a further member of tiny networks adds to a search."""
    few, many = (2, 12) if quick else HOST_MEMBERS
    network = MLPClassifier(8, batch_size=50, max_iter=1, random_state=0, device="cpu")
    times: dict[int, list[tuple[float, float]]] = {few: [], many: []}
    for i in range(rounds + 1):
        for members, measured in times.items():
            search = _make_search(PackedGridSearchCV, network, members, rows=100)
            taken = _time_search(*search)
            if i:  # the first round includes imports
                measured.append(taken)
    added = median(s for _, s in times[many]) - median(s for _, s in times[few])
    yield {
        "contestant": "packed",
        "members": many,
        "milliseconds_per_member": round(1e3 * added / (many - few), 4),
        **_as_record_times(times[many]),
    }


# Memory


def memory(quick: bool, data_home: str | None) -> Iterator[Measured]:
    """Yield the peak memory of a packed search of many members in a new process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found = pool.submit(measure_search_peak, quick, data_home).result()
    yield {"contestant": "packed", **found}


def measure_search_peak(quick: bool, data_home: str | None) -> Measured:
    """Search on a tenth of MNIST (`quick`: on digits), and return the peak memory."""
    from benchmarks.data import datasets

    data = datasets.load("digits" if quick else "mnist", data_home)
    members = 10 if quick else MEMBERS_IN_MEMORY
    X, y = data.X_train[::10] / (data.pixel_max or 1.0), data.y_train[::10]
    network = MLPClassifier(WIDER_UNITS, batch_size=BATCH, max_iter=1, random_state=0)
    grid = {"alpha": np.geomspace(1e-5, 1e-1, members // FOLDS)}
    before = environment.peak_memory()
    seconds, processor = _time_search(
        PackedGridSearchCV(network, grid, cv=FOLDS, refit=False), X, y
    )
    return {
        "members": members,
        "rows": len(X),
        "seconds": [seconds],
        "processor_seconds": [processor],
        "bytes_before": before,
        "bytes_at_peak": environment.peak_memory(),
    }


# Shared by all parts


def _time_search(search: Any, X: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Search and return wall-clock and CPU seconds. The few epochs are intended."""
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        started, processor = perf_counter(), process_time()
        search.fit(X, y)
        return perf_counter() - started, process_time() - processor


def _as_record_times(times: list[tuple[float, float]]) -> Measured:
    """Return times as two lists."""
    return {
        "seconds": [round(seconds, 4) for seconds, _ in times],
        "processor_seconds": [round(seconds, 4) for _, seconds in times],
    }
