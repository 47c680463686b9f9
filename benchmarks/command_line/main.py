"""The command line: ``python -m benchmarks [EXPERIMENT] [options]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.command_line import session
from benchmarks.command_line.arguments import (
    ALL,
    USAGE,
    find_experiment,
    make_parser,
    make_request,
)
from benchmarks.command_line.session import INTERRUPTED, OK
from benchmarks.definitions.experiment import BUNDLED
from benchmarks.experiments import EXPERIMENTS, PROGRAMS, TOOLS
from benchmarks.result_store import result_files
from benchmarks.tables import results_page

# Options that `all` passes to the programs, which have options of their own.
SHARED_OPTIONS = ("quick", "threads", "data_home", "out")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and (program := (PROGRAMS | TOOLS).get(words[0])):
        return import_module(program.module).main(words[1:])
    if is_about_a_table(words):
        return import_module(PROGRAMS["tables"].module).main(words)
    args = make_parser().parse_args(words)
    console = Console()
    try:
        if args.list:
            return list_experiments(console)
        if args.tables:
            return show_stored(args, console)
        if args.experiment == ALL:
            return run_every_one(words, args)
        return session.run(make_request(args), args, console)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return USAGE


def is_about_a_table(words: Sequence[str]) -> bool:
    """Return whether the program `tables` compares estimators on a CSV file.

    The words name no experiment, but a target column or a task.
    """
    options = {word.partition("=")[0] for word in words}
    return bool(options & {"--target", "--task"}) and words[0] not in EXPERIMENTS


def list_experiments(console: Console) -> int:
    """Print the name, summary, models and default data set of each experiment."""
    table = Table("experiment", "what it compares", box=box.SIMPLE_HEAD)
    for name, experiment in EXPERIMENTS.items():
        models = ", ".join(model.name for model in experiment.models)
        dataset = experiment.dataset
        place = "scikit-learn's data sets" if dataset == BUNDLED else dataset
        table.add_row(name, f"{experiment.summary}; on {place}")
        table.add_row("", models, style="dim", end_section=True)
    for name, program in (PROGRAMS | TOOLS).items():
        table.add_row(name, program.summary, end_section=True)
    console.print(table)
    return OK


def run_every_one(words: Sequence[str], args: argparse.Namespace) -> int:
    """Run every experiment and program in turn, and return the worst exit status."""
    others = [word for word in words if word != ALL]
    shared = [
        word
        for name in SHARED_OPTIONS
        if (value := getattr(args, name))
        for word in (f"--{name.replace('_', '-')}", *([] if value is True else [value]))
    ]
    worst = OK
    for name in (*EXPERIMENTS, *PROGRAMS):
        print(f"\n{name}", file=sys.stderr)
        if name in EXPERIMENTS and (
            missing_packages := EXPERIMENTS[name].missing_packages
        ):
            print(missing_packages, file=sys.stderr)
            continue
        options = [str(word) for word in shared] if name in PROGRAMS else others
        status = main([name, *options])
        if status == INTERRUPTED:
            return status
        worst = max(worst, status)
    return worst


def show_stored(args: argparse.Namespace, console: Console) -> int:
    """Print the tables of stored runs that match the options."""
    folder = args.out or result_files.COMMITTED_FOLDER
    if args.experiment:
        find_experiment(args.experiment)
    wanted = {k: getattr(args, k) for k in ("experiment", "dataset", "train_size")}
    records = [
        record
        for record in result_files.read(
            path
            for path in sorted(folder.glob("*.jsonl"))
            if not path.stem.startswith(tuple(PROGRAMS))
        )
        if all(record[k] == v for k, v in wanted.items() if v is not None)
        and (not args.models or record["model"] in args.models)
    ]
    if not records:
        raise ValueError(f"No stored run in {str(folder)!r} matches.")
    tables = result_files.group_by_table(records)
    if args.markdown:
        print(results_page.make_page(tables), end="")
        return OK
    for table in tables:
        session.show(table, False, console)
    return OK


if __name__ == "__main__":
    sys.exit(main())
