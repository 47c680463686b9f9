"""The table of stored records: medians, ratios to ours, and targets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from benchmarks.speed.workloads import OURS, WORKLOADS
from benchmarks.tables.timing_tables import Record, TimingTable, commands_of, versions


@dataclass(frozen=True)
class SpeedRow:
    """One contestant's line of a workload.

    The figure of a fit next to busy processes is its time divided by its time alone.
    `ratio` is the contestant's time or memory divided by ours. Above 1, skmlp is faster
    or smaller. `cpu_ratio` is the ratio of CPU times, which other processes affect
    little.
    """

    workload: str
    contestant: str
    figure: str
    ratio: float | None
    cpu_ratio: float | None
    target: float | None

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells in the columns after the name of the work."""
        ratios = (_format_ratio(ratio) for ratio in (self.ratio, self.cpu_ratio))
        return (self.contestant, self.figure, *ratios, self.target_text)

    @property
    def target_text(self) -> str:
        """The least ratio that is aimed at, or our largest value."""
        if self.target is None:
            return ""
        return f"{'≤' if self.contestant == OURS else '≥'} {self.target:.2f}"


def latest(records: Iterable[Record]) -> list[Record]:
    """Return the last record of each workload and contestant, ordered by both."""
    last = {(r["workload"], r["contestant"]): r for r in records}
    order = {work.name: i for i, work in enumerate(WORKLOADS)}
    return sorted(last.values(), key=lambda r: order.get(r["workload"], len(order)))


def make_speed_rows(records: list[Record]) -> list[SpeedRow]:
    """Summarize each record as one line."""
    ours = {r["workload"]: r for r in records if r["contestant"] == OURS}
    targets = {work.name: work.targets for work in WORKLOADS}
    return [
        SpeedRow(
            record["workload"],
            record["contestant"],
            _figure(record),
            _ratio(record, ours.get(record["workload"])),
            _ratio(record, ours.get(record["workload"]), "cpu_seconds"),
            targets.get(record["workload"], {}).get(record["contestant"]),
        )
        for record in records
    ]


def _values(record: Record, name: str | None = None) -> list[float]:
    """Return the values called `name`, or those of the kind of work, of all rounds."""
    names = [name] if name else ["seconds", "bytes", "factor"]
    return [slice_[n] for slice_ in record["slices"] for n in names if n in slice_]


def _format_ratio(ratio: float | None) -> str:
    """Write a ratio with two decimals if it is below 10."""
    if ratio is None:
        return ""
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def _ratio(
    record: Record, ours: Record | None, name: str | None = None
) -> float | None:
    """Return the median over rounds of the ratio to ours."""
    if ours is None or ours is record:
        return None
    pairs = zip(_values(record, name), _values(ours, name), strict=False)
    ratios = [theirs / our for theirs, our in pairs if our]
    return median(ratios) if ratios else None


def _figure(record: Record) -> str:
    """Write the median with its unit."""
    values = _values(record)
    if not values:
        return "skipped" if record["error"] else ""
    value = median(values)
    if record["kind"] == "busy":
        return f"{value:.2f} x alone"
    if record["kind"] == "memory":
        return f"{value / 2**20:.0f} MiB"
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.0f} µs"


def heading(records: list[Record]) -> list[str]:
    """Describe the measurement, the versions and the hardware."""
    rounds = {len(r["slices"]) for r in records if r["slices"]}
    loads = [x for r in records for x in r["load_average"] if x is not None]
    said = [
        f"speed: medians of {_join(rounds)} rounds, one slice of each in turn"
        + (" (quick: a trial, not a result)" if records[0]["quick"] else ""),
        versions(records[0]),
        f"{records[0]['platform']}, {records[0]['cpu']}, "
        f"{_join({r['cpu_count'] for r in records})} CPUs, "
        f"{_join({r['threads'] for r in records})} threads for every contestant, on "
        f"{_join({r['finished'][:10] for r in records})}.",
    ]
    if loads:
        said.append(
            f"The machine had other work: load averages of {min(loads):.1f} to "
            f"{max(loads):.1f}, ours included."
        )
    return said


def _join(values: Iterable[object]) -> str:
    return " or ".join(map(str, sorted(values, key=str)))


def note_absences(records: list[Record]) -> list[str]:
    """Name the contestants that were skipped or failed, and the reason."""
    said = {f"{r['contestant']}: {r['error']}" for r in records if r["error"]}
    return sorted(said)


COLUMNS = ("work", "by", "median", "theirs / ours", "of CPU time", "target")


def _cells(records: list[Record]) -> list[tuple[str, ...]]:
    """Return the cells. The name of the work is written once."""
    rows: list[tuple[str, ...]] = []
    before = None
    for line in make_speed_rows(records):
        rows.append((line.workload if line.workload != before else "", *line.cells))
        before = line.workload
    return rows


def table(records: list[Record]) -> TimingTable:
    """Return the table of the records."""
    commands = commands_of(records)
    return TimingTable(
        heading(records), COLUMNS, _cells(records), commands, note_absences(records)
    )
