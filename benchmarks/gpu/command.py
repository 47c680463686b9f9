"""The command line: ``python -m benchmarks gpu [options]``."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from benchmarks.gpu import checks, speed
from benchmarks.result_store import result_files
from benchmarks.running import environment
from benchmarks.tables import timing_tables
from skmlp.exceptions import DataScaleWarning

OK, USAGE = 0, 2
# With the last measurement, which may begin just before, at most eight minutes.
SECONDS = 420.0

PARTS: dict[str, Callable[[str, bool], Iterator[checks.Measurement]]] = {
    "tests": checks.cuda_tests,
    "equality": checks.equality,
    "waits": checks.waits,
    "epochs": speed.epochs,
    "packs": speed.packs,
    "predictions": speed.predictions,
}
COLUMNS = ("part", "case", "value", "unit", "note")


def run_all(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the records of all parts, until the time is over."""
    device = _choose_device(args.device)
    start = perf_counter()
    command = f"python -m benchmarks gpu --device {args.device}"
    command += " --quick" if args.quick else ""
    shared = {
        "experiment": "gpu",
        "quick": args.quick,
        **environment.describe(),
        "peers": environment.peer_versions(),
        "device": environment.device_name(device),
        "command": command,
    }
    for part, measure in PARTS.items():
        for measured in _measure(measure, device, args.quick):
            finished = datetime.now(UTC).isoformat(timespec="seconds")
            yield {
                "part": part,
                **measured._asdict(),
                **shared,
                "finished": finished,
            }
            if perf_counter() - start > args.seconds:
                print(f"The time is over, in part {part!r}.", file=sys.stderr)
                return


def _choose_device(device: str) -> str:
    """Return the name of a device; 'auto' prefers CUDA."""
    environment.check_device(device)
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _measure(
    measure: Callable[[str, bool], Iterator[checks.Measurement]],
    device: str,
    quick: bool,
) -> Iterator[checks.Measurement]:
    """Yield the measurements of a part; an error becomes one of them."""
    with warnings.catch_warnings():
        # The few epochs and the unscaled pixels are intended.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DataScaleWarning)
        try:
            yield from measure(device, quick)
        except Exception as error:  # noqa: BLE001  # the next parts are measured
            note = f"{type(error).__name__}: {error}"
            yield checks.Measurement("ERROR", 1, "errors", note)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks gpu",
        description="Check a GPU: tests, equality with the CPU, waits, speed, memory.",
    )
    add = parser.add_argument
    add("--device", default="auto", help="auto, cpu, cuda, ... (default: auto)")
    add("--seconds", type=float, default=SECONDS, help=f"(default: {SECONDS:.0f})")
    add("--threads", type=int, default=None)
    add("--quick", action="store_true", help="a trial, not a result")
    add("--data-home", metavar="DIR", help="not used: all data are generated")
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"where records are stored (default: {result_files.DEFAULT_FOLDER})",
    )
    add("--tables", action="store_true", help="print the stored table, run nothing")
    add("--markdown", action="store_true", help="print the table as Markdown")
    return parser


def make_table(records: list[dict[str, Any]]) -> timing_tables.TimingTable:
    """Return the table of records."""
    last = records[-1]
    heading = f"GPU check on {last['device']}; {timing_tables.versions(last)}"
    rows = [
        (r["part"], r["case"], f"{r['value']:.4g}", r["unit"], r["note"])
        for r in records
    ]
    commands = list(dict.fromkeys(r["command"] for r in records))
    return timing_tables.TimingTable([heading], COLUMNS, rows, commands)


def main(argv: Sequence[str]) -> int:
    """Run the command line and return its exit status."""
    args = make_parser().parse_args(argv)
    name = f"gpu{'-quick' if args.quick else ''}.jsonl"
    try:
        if args.tables:
            path = (args.out or result_files.COMMITTED_FOLDER) / name
            records = timing_tables.read(path, "gpu", ("part", "case", "value"))
            make_table(records).show(args.markdown)
            return OK
        environment.use_threads(args.threads)
        path = result_files.open_folder(args.out or result_files.DEFAULT_FOLDER) / name
        records = []
        for record in run_all(args):
            result_files.append(path, record)
            records.append(record)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return USAGE
    make_table(records).show(args.markdown)
    print(f"Stored in {path}", file=sys.stderr)
    return OK
