"""The command line: ``python -m benchmarks speed [options]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.result_store import result_files
from benchmarks.speed import interleaved_rounds, speed_table
from benchmarks.speed.workloads import WORKLOADS, Workload, find_workload
from benchmarks.tables import timing_tables

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
ROUNDS, QUICK_ROUNDS = 5, 1


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks speed",
        description="Compare the times of skmlp, peers and hand-written torch loops.",
    )
    add = parser.add_argument
    add(
        "--only",
        metavar="NAMES",
        help="workloads whose names start with words separated by ;: 'mlp;predict'",
    )
    add("--rounds", type=int, metavar="N", help=f"slices of each (default: {ROUNDS})")
    add(
        "--threads",
        type=int,
        metavar="N",
        help="threads for every contestant (default: torch's choice)",
    )
    add("--quick", action="store_true", help="a hundred samples, one round: a trial")
    add("--data-home", metavar="DIR", help="folder of the data sets")
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
    try:
        if args.tables:
            path = (args.out or result_files.COMMITTED_FOLDER) / file_name(args.quick)
            names = {work.name for work in chosen(args.only)}
            needed = "workload", "contestant", "slices"
            records = speed_table.latest(timing_tables.read(path, "speed", needed))
            shown = [r for r in records if r["workload"] in names]
            speed_table.table(shown).show(args.markdown)
            return OK
        for name in ("rounds", "threads"):
            value = getattr(args, name)
            if value is not None and value < 1:
                raise ValueError(f"--{name} {value} is not a positive integer.")
        return run(args)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return USAGE


def file_name(quick: bool) -> str:
    """Return the name of the file of records."""
    return "speed-quick.jsonl" if quick else "speed.jsonl"


def chosen(only: str | None) -> list[Workload]:
    """Return the workloads whose names start with one of the given words."""
    if only is None:
        return list(WORKLOADS)
    words = tuple(word.strip() for word in only.split(";") if word.strip())
    for word in words:
        if not any(work.name.startswith(word) for work in WORKLOADS):
            find_workload(word)
    return [work for work in WORKLOADS if work.name.startswith(words)]


def run(args: argparse.Namespace) -> int:
    """Run, store each record when it is complete, and print the table."""
    workloads = chosen(args.only)
    rounds = args.rounds or (QUICK_ROUNDS if args.quick else ROUNDS)
    threads = args.threads or torch.get_num_threads()
    words = ["python -m benchmarks speed", f"--rounds {rounds} --threads {threads}"]
    words += [f"--only '{args.only}'"] if args.only else []
    words += ["--quick"] if args.quick else []
    path = result_files.open_folder(
        args.out or result_files.DEFAULT_FOLDER
    ) / file_name(args.quick)
    records, status = [], OK
    try:
        for record in interleaved_rounds.run_all(
            workloads,
            rounds=rounds,
            threads=threads,
            quick=args.quick,
            data_home=args.data_home,
            command=" ".join(words),
            on_start=lambda name: print(name, file=sys.stderr),
        ):
            result_files.append(path, record)
            records.append(record)
    except KeyboardInterrupt:
        status = INTERRUPTED
    if records:
        speed_table.table(records).show(args.markdown)
        print(f"Stored in {path}", file=sys.stderr)
    return status
