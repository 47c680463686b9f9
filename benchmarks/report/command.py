"""The command line: ``python -m benchmarks report --out PAGE.html [FOLDER ...]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.result_store import result_files

OK, USAGE = 0, 2


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks report",
        description="Write stored runs on one HTML page that needs no network.",
    )
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="folders of stored runs (default: the folder of --out if it has runs, "
        f"else {result_files.DEFAULT_FOLDER}, else the committed ones)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="PAGE.html", help="the page"
    )
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command line and return its exit status."""
    args = make_parser().parse_args(argv)
    try:
        n_runs = write(args.folders or [find_folder(args.out)], args.out)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return USAGE
    size = args.out.stat().st_size / 1e6
    print(f"{args.out}: {n_runs:,} run{'s' * (n_runs != 1)}, {size:.2f} MB")
    return OK


def find_folder(page: Path) -> Path:
    """Return the folder of the runs that were made last, as far as can be known."""
    for folder in (page.parent, result_files.DEFAULT_FOLDER):
        if any(folder.glob("*.jsonl")):
            return folder
    return result_files.COMMITTED_FOLDER


def write(folders: Sequence[Path], path: Path) -> int:
    """Write the page and return the number of runs that it shows.

    Raises
    ------
    ValueError
        If there is no run, or a line is not a record. Nothing is written then.
    OSError
        If the page cannot be written.
    """
    from benchmarks.report import html_page, stored_runs

    found = stored_runs.read(folders)
    page = html_page.render(found)
    # A damaged record may hold half of a surrogate pair, which UTF-8 cannot encode.
    path.write_bytes(page.encode("utf-8", "xmlcharrefreplace"))
    return len(found.runs)
