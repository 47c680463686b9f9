"""One experiment from request to table: run, store, print and draw."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from benchmarks.definitions.experiment import BUNDLED
from benchmarks.definitions.model import Model
from benchmarks.definitions.request import Request
from benchmarks.result_store import result_files
from benchmarks.tables import results_page

OK, RUN_FAILED, INTERRUPTED = 0, 1, 130


def run(request: Request, args: argparse.Namespace, console: Console) -> int:
    """Run and store the experiment, print its table and draw its pictures."""
    from benchmarks.data import datasets
    from benchmarks.data.image_files import DEFAULT_SIZE, ReadOptions
    from benchmarks.running import environment

    if missing_packages := request.experiment.missing_packages:
        raise ValueError(missing_packages)
    environment.use_threads(request.threads)
    folder = result_files.open_folder(args.out or result_files.DEFAULT_FOLDER)
    data, dataset = None, BUNDLED
    if request.dataset != BUNDLED:
        reading = ReadOptions(request.image_size or DEFAULT_SIZE, request.grey)
        data = datasets.load(request.dataset, args.data_home, reading, request.target)
        dataset = data.name
        if data.image_shape is None:
            request = leave_out_convolutions(request)
    if request.experiment.saves_models:
        request = replace(request, models_folder=folder)
    name = result_files.result_name(request, dataset)
    path = folder / result_files.record_file_name(request, dataset)
    wanted = {
        result_files.request_key(request, dataset, model.name, seed)
        for model in request.experiment.select(request.models)
        for seed in range(request.seeds)
    }
    done: set[result_files.Key] = set()
    if args.resume and path.exists():
        stored = result_files.latest_runs(result_files.read([path]))
        done = wanted & {
            result_files.run_key(run) for run in stored if not run["error"]
        }
    runner = import_module(request.experiment.runner)
    status = OK
    with progress_bar() as progress:
        bar = progress.add_task("", total=len(wanted), completed=len(done))

        def on_start(model: Model, seed: int) -> None:
            progress.update(bar, description=f"{model.name} seed {seed}")

        try:
            for record in runner.run_all(request, data, on_start, frozenset(done)):
                result_files.append(path, record)
                done.add(result_files.run_key(record))
                progress.advance(bar)
                if not progress.console.is_terminal:
                    print(describe_end(record, len(done), len(wanted)), file=sys.stderr)
                status = RUN_FAILED if record["error"] else status
        except KeyboardInterrupt:
            status = INTERRUPTED
            said = f"Interrupted after {len(done)} of {len(wanted)} runs"
            progress.console.print(f"{said}; --resume runs the others.")
    if done:
        stored = [
            r for r in result_files.read([path]) if result_files.run_key(r) in done
        ]
        for records in result_files.group_by_table(stored):
            show(records, args.markdown, console)
            draw(request, records, folder, name)
        print(f"Stored in {path}", file=sys.stderr)
    return status


def leave_out_convolutions(request: Request) -> Request:
    """Return a request without models that need images, and say which they are.

    Raises
    ------
    ValueError
        If no other model is left.
    """
    models = request.experiment.select(request.models)
    left_out = [model.name for model in models if model.needs_images]
    if not left_out:
        return request
    others = tuple(model.name for model in models if not model.needs_images)
    if not others:
        raise ValueError(
            f"{', '.join(left_out)} need images, but the features of "
            f"{request.dataset!r} are columns of a table."
        )
    print(
        f"Left out, because they need images: {', '.join(left_out)}.",
        file=sys.stderr,
    )
    return replace(request, models=others)


def describe_end(record: result_files.Record, n_done: int, n_wanted: int) -> str:
    """Return a line about a run that ended, for output that is no terminal."""
    seconds = record.get("fit_seconds")
    took = f"{seconds:.1f} s" if isinstance(seconds, int | float) else "done"
    outcome = record["error"] or took
    run = f"{record['model']} seed {record['seed']}"
    return f"{run}: {outcome} ({n_done} of {n_wanted})"


def draw(
    request: Request, records: list[result_files.Record], folder: Path, name: str
) -> None:
    """Draw the experiment's pictures next to the records if matplotlib is installed."""
    if not request.experiment.pictures:
        return
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print(
            "No pictures without matplotlib: pip install 'skmlp[plot]'", file=sys.stderr
        )
        return
    from benchmarks.tables import experiment_pictures

    for path in experiment_pictures.draw(request.experiment, records, folder, name):
        print(f"Drawn in {path}", file=sys.stderr)


def show(records: list[result_files.Record], markdown: bool, console: Console) -> None:
    """Print one table in the requested form."""
    if markdown:
        print(results_page.markdown(records))
    else:
        results_page.print_table(records, console)


def progress_bar() -> Progress:
    """Return the progress bar; it writes to stderr, so stdout holds only tables."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
