"""The command line: ``python -m benchmarks [EXPERIMENT] [options]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from benchmarks import _results, _tables
from benchmarks._experiment import Experiment, Model, Request
from benchmarks.experiments import EXPERIMENTS

OK, RUN_FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

# It compares two packages, not models of ours, and so has runs and a table of its own.
DROPIN = "dropin"

# Of contestants in processes of their own; it has options of its own too.
SPEED = "speed"

# Of whole searches; likewise.
SEARCH, HIDDEN_UNITS = "search", "hidden-units"

# Of stored runs: it runs nothing.
REPORT = "report"


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{message}\n")


def train_size(text: str) -> float | int:
    """Read a share of the rows (with a decimal point) or a number of rows."""
    try:
        size = float(text) if "." in text else int(text)
    except ValueError:
        size = 0
    if not (0 < size <= 1 if isinstance(size, float) else size > 0):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a share of the rows in (0.0, 1.0] "
            "nor a positive number of rows."
        )
    return size


def count(text: str) -> int:
    """Read a number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1.")
    return int(text)


def names(text: str) -> tuple[str, ...]:
    """Read names with commas between them."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def make_parser() -> argparse.ArgumentParser:
    """Describe the options."""
    parser = _Parser(
        prog="python -m benchmarks",
        description="Run an experiment, store its runs, print its table.",
    )
    options: dict[str, dict[str, Any]] = {
        "experiment": {"nargs": "?", "help": "default: compare; see --list"},
        "--list": {"action": "store_true", "help": "name the experiments"},
        "--dataset": {
            "metavar": "NAME",
            "help": "digits, mnist, fashion-mnist, cifar10, or the path of a folder "
            "of images or of a CSV file (default: the experiment's own)",
        },
        "--train-size": {
            "type": train_size,
            "metavar": "SIZE",
            "help": "share (0.1) or number (6000) of training rows, every k-th",
        },
        "--seeds": {
            "type": count,
            "metavar": "N",
            "help": "runs of each model, with the seeds 0 to N-1",
        },
        "--device": {"default": "auto", "help": "auto, cpu, cuda, ... (default: auto)"},
        "--threads": {
            "type": count,
            "metavar": "N",
            "help": "threads for one run (default: 1 on digits, else torch's choice); "
            "with many small networks and a busy machine 1 is fastest",
        },
        "--models": {
            "type": names,
            "default": (),
            "help": "only these: a,b (default: all; a few of them if no --dataset is "
            "given either)",
        },
        "--quick": {
            "action": "store_true",
            "help": "a few hundred rows, two epochs, one seed: a trial, not a result",
        },
        "--data-home": {"metavar": "DIR", "help": "where data sets are, or are put"},
        "--out": {
            "type": Path,
            "metavar": "DIR",
            "help": f"where runs are stored (default: {_results.DEFAULT})",
        },
        "--resume": {
            "action": "store_true",
            "help": "keep the runs that --out already has, do the others",
        },
        "--tables": {
            "action": "store_true",
            "help": "run nothing; print the tables of the runs stored in --out "
            "(default: the committed ones)",
        },
        "--markdown": {"action": "store_true", "help": "print tables as Markdown"},
    }
    for name, settings in options.items():
        parser.add_argument(name, **settings)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == [SPEED]:
        from benchmarks.speed import _command

        return _command.main(words[1:])
    if words[:1] == [SEARCH]:
        from benchmarks import _search

        return _search.main(words[1:])
    if words[:1] == [HIDDEN_UNITS]:
        from benchmarks import _hidden_units

        return _hidden_units.main(words[1:])
    if words[:1] == [REPORT]:
        from benchmarks.report import _command as _report

        return _report.main(words[1:])
    args = make_parser().parse_args(words)
    console = Console()
    try:
        if args.list:
            return list_experiments(console)
        if args.tables:
            return show_stored(args, console)
        if args.experiment == DROPIN:
            return run_dropin(args, console)
        return run(make_request(args), args, console)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return USAGE


def list_experiments(console: Console) -> int:
    """Name each experiment, what it is, its models and its default data set."""
    table = Table("experiment", "what it compares", box=box.SIMPLE_HEAD)
    for name, experiment in EXPERIMENTS.items():
        models = ", ".join(model.name for model in experiment.models)
        table.add_row(name, f"{experiment.summary}; on {experiment.dataset}")
        table.add_row("", models, style="dim", end_section=True)
    table.add_row(DROPIN, "scikit-learn's networks beside ours, weight by weight")
    table.add_row(HIDDEN_UNITS, "a packed search over widths, its validation curve")
    table.add_row(SEARCH, "packed grid searches beside those that fit one by one")
    table.add_row(SPEED, "seconds and memory beside peers' and hand-written loops'")
    table.add_row(REPORT, "nothing: it shows the stored runs on one HTML page")
    console.print(table)
    return OK


def make_request(args: argparse.Namespace) -> Request:
    """Check what was asked for, before anything is loaded."""
    experiment = find_experiment(args.experiment or "compare")
    experiment.select(args.models)
    from benchmarks import _datasets, _environment

    dataset = args.dataset or experiment.dataset
    _datasets.check_name(dataset)
    _environment.check_device(args.device)
    own_data = args.dataset in (None, experiment.dataset)
    return Request(
        experiment=experiment,
        dataset=dataset,
        train_size=args.train_size or (experiment.train_size if own_data else None),
        seeds=args.seeds or (1 if args.quick else experiment.seeds),
        device=args.device,
        # 64 pixels are too little work to share: a second thread would only wait.
        threads=args.threads or (1 if dataset == "digits" else None),
        models=args.models or (experiment.first_look if args.dataset is None else ()),
        quick=args.quick,
    )


def find_experiment(name: str) -> Experiment:
    """Look an experiment up by name."""
    if name not in EXPERIMENTS:
        known = ", ".join([*EXPERIMENTS, DROPIN, SPEED, SEARCH, HIDDEN_UNITS])
        raise ValueError(f"Unknown experiment {name!r}; there is {known}.")
    return EXPERIMENTS[name]


def show_stored(args: argparse.Namespace, console: Console) -> int:
    """Print the tables of stored runs that match the options."""
    folder = args.out or _results.COMMITTED
    if args.experiment and args.experiment != DROPIN:
        find_experiment(args.experiment)
    wanted = {k: getattr(args, k) for k in ("experiment", "dataset", "train_size")}
    records = [
        record
        for record in _results.read(
            path
            for path in sorted(folder.glob("*.jsonl"))
            if not path.stem.startswith((SPEED, SEARCH, HIDDEN_UNITS))
        )
        if all(record[k] == v for k, v in wanted.items() if v is not None)
        and (not args.models or record["model"] in args.models)
    ]
    if not records:
        raise ValueError(f"No stored run in {str(folder)!r} matches.")
    tables = _results.grouped(records)
    if args.markdown:
        print(_tables.page(tables), end="")
        return OK
    for table in tables:
        show(table, False, console)
    return OK


def show(records: list[_results.Record], markdown: bool, console: Console) -> None:
    """Print one table in the asked form."""
    if markdown:
        print(_tables.markdown(records))
    else:
        _tables.print_table(records, console)


def run_dropin(args: argparse.Namespace, console: Console) -> int:
    """Run scikit-learn's networks beside ours; options about data do not apply."""
    from benchmarks import _dropin, _environment

    _environment.use_threads(args.threads)
    folder = _results.open_store(args.out or _results.DEFAULT)
    path = folder / f"{DROPIN}{'-quick' if args.quick else ''}.jsonl"
    seeds = args.seeds or (1 if args.quick else _dropin.SEEDS)
    command = f"python -m benchmarks {DROPIN} --seeds {seeds}"
    command += f" --threads {args.threads}" if args.threads else ""
    command += " --quick" if args.quick else ""
    records = []
    for record in _dropin.run_all(args.models, seeds, args.quick, command):
        _results.append(path, record)
        records.append(record)
    show(records, args.markdown, console)
    print(f"Stored in {path}", file=sys.stderr)
    return OK


def run(request: Request, args: argparse.Namespace, console: Console) -> int:
    """Run, store each run as it ends, and print the table of what was stored."""
    from benchmarks import _datasets, _environment, _run

    _environment.use_threads(request.threads)
    folder = _results.open_store(args.out or _results.DEFAULT)
    data = _datasets.load(request.dataset, args.data_home)
    path = folder / _results.file_name(request, data.name)
    wanted = {
        _results.key_of(request, data.name, model.name, seed)
        for model in request.experiment.select(request.models)
        for seed in range(request.seeds)
    }
    done: set[_results.Key] = set()
    if args.resume and path.exists():
        stored = _results.latest(_results.read([path]))
        done = wanted & {_results.key(run) for run in stored if not run["error"]}
    status = OK
    with progress_bar() as progress:
        bar = progress.add_task("", total=len(wanted), completed=len(done))

        def starting(model: Model, seed: int) -> None:
            progress.update(bar, description=f"{model.name} seed {seed}")

        try:
            for record in _run.run_all(request, data, starting, frozenset(done)):
                _results.append(path, record)
                done.add(_results.key(record))
                progress.advance(bar)
                status = RUN_FAILED if record["error"] else status
        except KeyboardInterrupt:
            status = INTERRUPTED
            said = f"Interrupted after {len(done)} of {len(wanted)} runs"
            progress.console.print(f"{said}; --resume does the others.")
    if done:
        stored = [r for r in _results.read([path]) if _results.key(r) in done]
        for table in _results.grouped(stored):
            show(table, args.markdown, console)
        print(f"Stored in {path}", file=sys.stderr)
    return status


def progress_bar() -> Progress:
    """Make the bar over the runs, on stderr so that stdout holds only tables."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


if __name__ == "__main__":
    sys.exit(main())
