"""The table of stored records: medians, ratios to a packed search, and targets."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any

from benchmarks.tables.timing_tables import Record, TimingTable, commands_of, versions

PARTS = (
    "digits",
    "wider",
    "growth",
    "convolutions",
    "modules",
    "halving",
    "host",
    "memory",
)
COLUMNS = ("work", "search", "s", "theirs / packed", "of CPU time", "target")

# The least ratio of a search's time to the packed search's time.
TARGETS = {
    ("digits", "scikit-learn"): 5.0,
    ("digits", "scikit-learn, 2 jobs"): 3.0,
    ("digits", "skorch"): 20.0,
    ("digits", "scikeras"): 60.0,
    ("digits", "one by one"): 10.0,
    ("growth", "one by one"): 0.95,
    ("convolutions", "one by one"): 0.95,
}
MAX_BYTES = 2e9
MAX_HOST_MILLISECONDS = 0.6  # for each member

_SIZES = ("members", "units", "rows", "filters", "module units")


def _comparison_key(record: Record) -> tuple[Any, ...]:
    """Return the key that the records of a packed search and its rivals share."""
    return record["part"], record.get("moved"), *map(record.get, _SIZES)


def latest(records: Iterable[Record]) -> list[Record]:
    """Return the last record of each comparison and contestant, ordered by part.

    Times of different machines or commands are not compared. So a record counts only if
    it is of the run of the last packed search.
    """
    last = {(_comparison_key(r), r["contestant"]): r for r in records}
    packed = {key: r for (key, name), r in last.items() if name == "packed"}
    comparable = [
        record
        for (key, _), record in last.items()
        if key not in packed or _run_key(record) == _run_key(packed[key])
    ]
    return sorted(comparable, key=lambda record: PARTS.index(record["part"]))


def _run_key(record: Record) -> tuple[Any, ...]:
    """Return the machine and the command of a record."""
    return record.get("cpu"), record.get("command")


def rows(records: list[Record]) -> list[tuple[str, ...]]:
    """Return the cells of every record."""
    packed = {_comparison_key(r): r for r in records if r["contestant"] == "packed"}
    return [_row(record, packed.get(_comparison_key(record))) for record in records]


def _row(record: Record, packed: Record | None) -> tuple[str, ...]:
    """Return the cells of one record."""
    start = _work_name(record), record["contestant"]
    if record["error"]:
        return (*start, record["error"], "", "", "")
    seconds = f"{median(record['seconds']):.3f}"
    if "bytes_at_peak" in record:
        peak = f"{record['bytes_at_peak'] / 1e6:.0f} MB"
        return (*start, seconds, peak, "", f"< {MAX_BYTES / 1e6:.0f} MB")
    if "milliseconds_per_member" in record:
        cost = f"{record['milliseconds_per_member']:.2f} ms / member"
        return (*start, seconds, cost, "", f"< {MAX_HOST_MILLISECONDS} ms")
    if packed is None or record is packed:
        return (*start, seconds, "", "", "")
    # The CPU time of this process does not include that of the jobs.
    of_cpu = (
        ""
        if "jobs" in record["contestant"]
        else _ratio(record, packed, "processor_seconds")
    )
    target = TARGETS.get((record["part"], record["contestant"]))
    return (
        *start,
        seconds,
        _ratio(record, packed, "seconds"),
        of_cpu,
        "" if target is None else f"≥ {target:.2f}",
    )


def _work_name(record: Record) -> str:
    """Return the name of a part, or the size that grows in it."""
    moved = record.get("moved", "filters")
    return f"{moved}: {record[moved]}" if moved in record else record["part"]


def _ratio(record: Record, packed: Record, name: str) -> str:
    """Write the median over rounds of the ratio to the packed search."""
    pairs = zip(record[name], packed[name], strict=False)
    return f"{median(theirs / ours for theirs, ours in pairs):.2f}"


def table(records: list[Record]) -> TimingTable:
    """Return the table of the records, with versions and hardware."""
    first = records[0]
    rounds = {len(r["seconds"]) for r in records if len(r["seconds"]) > 1} or {1}
    ends = sorted({min(rounds), max(rounds)})
    threads = sorted({r["threads"] for r in records})
    heading = [
        f"search: medians of {' to '.join(map(str, ends))} rounds, in turn"
        + (" (quick: a trial, not a result)" if first["quick"] else ""),
        versions(first),
        f"{first['platform']}, {first['cpu']}, {first['cpu_count']} CPUs, "
        f"{' or '.join(map(str, threads))} threads.",
    ]
    commands = commands_of(records)
    return TimingTable(heading, COLUMNS, rows(records), commands, whole_names=True)
