"""The command line: ``python -m benchmarks search [options]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.result_store import result_files
from benchmarks.running import environment
from benchmarks.search import measurements, search_table
from benchmarks.search.contestants import CONTESTANTS
from benchmarks.tables import timing_tables

OK, USAGE = 0, 2
ROUNDS = 3


def run_all(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the records of the requested parts."""
    command = f"python -m benchmarks search --rounds {args.rounds}"
    command += f" --threads {args.threads}" + (" --quick" if args.quick else "")
    if tuple(args.parts) != search_table.PARTS:
        command += f" --parts '{';'.join(args.parts)}'"
    runs: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
        "digits": partial(
            measurements.digits,
            args.rounds,
            args.quick,
            args.contestants,
            measurements.UNITS,
        ),
        "wider": partial(
            measurements.digits,
            args.rounds,
            args.quick,
            [
                name
                for name in args.contestants
                if name in measurements.FAST_CONTESTANTS
            ],
            measurements.WIDER_UNITS,
        ),
        "growth": partial(measurements.growth, args.rounds, args.quick),
        "convolutions": partial(measurements.convolutions, args.rounds, args.quick),
        "modules": partial(measurements.modules, args.rounds, args.quick),
        "halving": partial(measurements.halving, args.rounds, args.quick),
        "host": partial(measurements.host, args.rounds, args.quick),
        "memory": partial(measurements.memory, args.quick, args.data_home),
    }
    for part in args.parts:
        for measured in runs[part]():
            yield {
                "experiment": "search",
                "part": part,
                "quick": args.quick,
                "error": None,
                **measured,
                **environment.describe(),
                "peers": environment.peer_versions(),
                "threads": args.threads,
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                "command": command,
            }


def _parse_choice(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """Return a function that reads known names, separated by semicolons."""

    def read(text: str) -> tuple[str, ...]:
        given = tuple(name.strip() for name in text.split(";"))
        for name in given:
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"{name!r} is unknown; there is {'; '.join(known)}."
                )
        return given

    return read


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks search",
        description="Compare the time of packed searches and of searches "
        "that fit one by one.",
    )
    add = parser.add_argument
    add(
        "--parts",
        type=_parse_choice(search_table.PARTS),
        default=search_table.PARTS,
        help=f"parts of {'; '.join(search_table.PARTS)}, separated by ';' "
        "(default: all)",
    )
    add(
        "--contestants",
        type=_parse_choice(tuple(CONTESTANTS)),
        default=tuple(CONTESTANTS),
        help="in the searches on digits, separated by ';' (default: all)",
    )
    add("--rounds", type=int, default=ROUNDS)
    add("--threads", type=int, default=2)
    add("--quick", action="store_true", help="a trial, not a result")
    add("--data-home", metavar="DIR")
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"where records are stored (default: {result_files.DEFAULT_FOLDER})",
    )
    add(
        "--tables",
        action="store_true",
        help="print the stored table, run nothing",
    )
    add("--markdown", action="store_true", help="print the table as Markdown")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command line and return its exit status."""
    args = make_parser().parse_args(argv)
    name = f"search{'-quick' if args.quick else ''}.jsonl"
    if args.tables:
        try:
            path = (args.out or result_files.COMMITTED_FOLDER) / name
            records = timing_tables.read(
                path, "search", ("part", "contestant", "seconds")
            )
        except (ValueError, OSError) as error:
            print(error, file=sys.stderr)
            return USAGE
        shown = [r for r in search_table.latest(records) if r["part"] in args.parts]
        search_table.table(shown).show(args.markdown)
        return OK
    if args.quick:
        args.rounds = 1
    environment.use_threads(args.threads)
    path = result_files.open_folder(args.out or result_files.DEFAULT_FOLDER) / name
    records = []
    for record in run_all(args):
        result_files.append(path, record)
        records.append(record)
    search_table.table(records).show(args.markdown)
    print(f"Stored in {path}", file=sys.stderr)
    return OK
