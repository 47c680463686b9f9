"""The command lines ``python -m benchmarks tables`` and ``... --target NAME``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.data.datasets import TARGET_COLUMN_NAMES
from benchmarks.frames import (
    csv_tables,
    large_fits,
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

_NEEDED = {
    False: ("table", "contestant", "seed", "all_rows", "error"),
    True: ("table", "preset", "error", "quick", "versions"),  # with --large
}


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
        help="a CSV file instead of the tables of packages",
    )
    add(
        "--target",
        metavar="NAME",
        help="the target column of --dataset (default: "
        f"{', '.join(TARGET_COLUMN_NAMES)}, else the last column)",
    )
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
    add(
        "--large",
        action="store_true",
        help="measure CPU seconds and memory of fits on all rows of large tables",
    )
    add(
        "--resume",
        action="store_true",
        help="leave out the fits that --out holds already, unless they failed",
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
    kind = "tables-large" if args.large else "tables"
    name = f"{kind}{'-quick' if args.quick else ''}.jsonl"
    try:
        if args.tables:
            path = (args.out or result_files.COMMITTED_FOLDER) / name
            records = timing_tables.read(path, "tables", _NEEDED[args.large])
            _show(records, args)
            return OK
        tables = [] if args.large else list(_load(args))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return USAGE
    environment.use_threads(1)
    folder = result_files.open_folder(args.out or result_files.DEFAULT_FOLDER)
    is_stored = args.dataset is None
    resumes = args.resume and is_stored and not args.large
    records = _stored(folder / name) if resumes else []
    if args.large:
        measured = large_fits.measure(args.quick)
    else:
        measured = _run(tables, args, done={_key(r) for r in records})
    facts = {
        **environment.describe(also=("pandas", *PEERS)),
        "experiment": "tables",
        "quick": args.quick,
        "peers": {},
        "command": _command(args),
    }
    for outcome in measured:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        records.append({**outcome, **facts, "finished": now})
        if is_stored:
            result_files.append(folder / name, records[-1])
    _show(records, args)
    if is_stored and not args.large:
        score_picture.draw(records, folder / f"{Path(name).stem}.png")
    if is_stored:
        print(f"Stored in {folder / name}", file=sys.stderr)
    return OK


def _command(args: argparse.Namespace) -> str:
    """Return the command line without the options that only select fits."""
    options = {
        "--large": args.large,
        "--all-rows": args.all_rows,
        "--quick": args.quick,
    }
    return " ".join(
        ["python -m benchmarks tables", *(k for k, given in options.items() if given)]
    )


def _load(args: argparse.Namespace) -> Iterator[TabularData]:
    """Yield the tables; name those whose packages are not installed."""
    if args.dataset is None and (args.target or args.task):
        raise ValueError(
            "--target and --task are about a CSV file; give its --dataset."
        )
    if args.dataset is not None:
        if args.dataset.is_dir():
            raise ValueError(
                f"{str(args.dataset)!r} is a folder, and --target and --task are of a "
                "CSV file; omit them for a folder of images."
            )
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


def _stored(path: Path) -> list[dict[str, Any]]:
    """Return the stored records of fits that did not fail."""
    if not path.exists():
        return []
    records = timing_tables.read(path, "tables", _NEEDED[False])
    return [record for record in records if record["error"] is None]


def _key(record: dict[str, Any]) -> tuple[Any, ...]:
    """Return what two records of the same fit share."""
    return tuple(record[name] for name in ("table", "all_rows", "seed", "contestant"))


def _run(
    tables: Sequence[TabularData],
    args: argparse.Namespace,
    done: Collection[tuple[Any, ...]] = (),
) -> Iterator[dict[str, Any]]:
    """Yield the records of all tables, split by split, without those in `done`."""
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
    for seed, table in product(seeds, tables):
        left = [
            name
            for name in contestants
            if (table.name, args.all_rows, seed, name) not in done
        ]
        yield from measurements.measure(table, [seed], left, max_rows)


def _show(records: Sequence[dict[str, Any]], args: argparse.Namespace) -> None:
    """Print all tables."""
    if args.large:
        large_fits.table_of(records).show(args.markdown)
        return
    for i, table in enumerate(score_table.tables_of(records)):
        if i:
            print()
        table.show(args.markdown)
