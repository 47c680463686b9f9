"""The command lines ``python -m benchmarks tables`` and ``... --target NAME``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.frames import (
    csv_tables,
    measurements,
    package_tables,
    score_picture,
    score_table,
)
from benchmarks.frames.contestants import CONTESTANTS
from benchmarks.frames.package_tables import CLASSIFICATION, REGRESSION, TabularData
from benchmarks.result_store import result_files
from benchmarks.running import environment
from benchmarks.tables import timing_tables

OK, USAGE = 0, 2
SPLITS = 3

# The contestants on a CSV file, unless others are named.
ON_CSV = ("linear", "Tabular, fast", "Tabular, default", "HistGradientBoosting")
QUICK_CONTESTANTS = ("linear", "Tabular, fast", "HistGradientBoosting")
PEERS = ("lightgbm", "xgboost", "catboost", "pytabkit")

_NEEDED = ("table", "contestant", "seed", "all_rows", "error")


def _names(known: Sequence[str]) -> Any:
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
        prog="python -m benchmarks tables",
        description="Compare estimators on tables with numbers, texts and gaps.",
    )
    add = parser.add_argument
    add(
        "--dataset",
        type=Path,
        metavar="FILE.csv",
        help="a CSV file instead of the tables of packages; needs --target",
    )
    add("--target", metavar="NAME", help="the target column of --dataset")
    add(
        "--task",
        choices=(CLASSIFICATION, REGRESSION),
        help="of --dataset (default: by the target's values)",
    )
    add(
        "--only",
        type=_names(package_tables.NAMES),
        default=package_tables.JUDGED,
        metavar="TABLES",
        help=f"of {'; '.join(package_tables.NAMES)}, separated by ';' "
        f"(default: {'; '.join(package_tables.JUDGED)})",
    )
    add(
        "--contestants",
        type=_names(tuple(CONTESTANTS)),
        metavar="NAMES",
        help=f"of {'; '.join(CONTESTANTS)}, separated by ';' (default: all)",
    )
    add("--splits", type=int, default=SPLITS)
    add("--first-split", type=int, default=0)
    add(
        "--all-rows",
        action="store_true",
        help="train on all training rows, not on at most 4,000",
    )
    add("--threads", type=int, default=1, help=argparse.SUPPRESS)
    add("--quick", action="store_true", help="a trial, not a result")
    add("--data-home", metavar="DIR", help=argparse.SUPPRESS)
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"where records are stored (default: {result_files.DEFAULT_FOLDER})",
    )
    add("--tables", action="store_true", help="print stored tables, run nothing")
    add("--markdown", action="store_true", help="print tables as Markdown")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command line and return its exit status."""
    args = make_parser().parse_args(argv)
    name = f"tables{'-quick' if args.quick else ''}.jsonl"
    try:
        if args.tables:
            path = (args.out or result_files.COMMITTED_FOLDER) / name
            records = timing_tables.read(path, "tables", _NEEDED)
            _show(records, args.markdown)
            return OK
        tables = list(_load(args))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return USAGE
    environment.use_threads(1)
    folder = result_files.open_folder(args.out or result_files.DEFAULT_FOLDER)
    records = []
    for record in _run(tables, args):
        records.append(record)
        if args.dataset is None:
            result_files.append(folder / name, record)
    _show(records, args.markdown)
    if args.dataset is None:
        score_picture.draw(records, folder / f"{Path(name).stem}.png")
        print(f"Stored in {folder / name}", file=sys.stderr)
    return OK


def _load(args: argparse.Namespace) -> Iterator[TabularData]:
    """Yield the tables; name those whose packages are not installed."""
    if (args.dataset is None) != (args.target is None):
        raise ValueError("--dataset and --target belong together; give both.")
    if args.dataset is not None:
        if not args.dataset.is_file():
            raise ValueError(f"There is no file {str(args.dataset)!r}.")
        yield csv_tables.read(args.dataset, args.target, args.task)
        return
    if args.quick:
        yield package_tables.load_bundled()
        return
    for name in args.only:
        try:
            yield package_tables.load(name)
        except package_tables.MissingPackageError as error:
            print(f"{name}: {error}", file=sys.stderr)


def _run(
    tables: Sequence[TabularData], args: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Yield the records of all tables."""
    contestants = args.contestants
    if contestants is None:
        contestants = tuple(CONTESTANTS)
        if args.dataset is not None:
            contestants = ON_CSV
        if args.quick:
            contestants = QUICK_CONTESTANTS
    n_splits = 1 if args.quick else args.splits
    seeds = range(args.first_split, args.first_split + n_splits)
    max_rows = None if args.all_rows else measurements.MAX_TRAIN_ROWS
    if args.quick:
        max_rows = measurements.QUICK_TRAIN_ROWS
    facts = environment.describe(also=("pandas", *PEERS))
    for table in tables:
        for record in measurements.measure(table, seeds, contestants, max_rows):
            yield {
                "experiment": "tables",
                **record,
                "quick": args.quick,
                **facts,
                "peers": {},
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                "command": "python -m benchmarks tables"
                + (" --all-rows" if args.all_rows else "")
                + (" --quick" if args.quick else ""),
            }


def _show(records: Sequence[dict[str, Any]], as_markdown: bool) -> None:
    """Print all tables."""
    for i, table in enumerate(score_table.tables_of(records)):
        if i:
            print()
        table.show(as_markdown)
