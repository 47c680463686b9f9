"""The options of the command line, and the request that they make."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.definitions.experiment import BUNDLED, Experiment
from benchmarks.definitions.request import Request
from benchmarks.experiments import EXPERIMENTS, PROGRAMS, TOOLS
from benchmarks.result_store import result_files

USAGE = 2

# The name that runs every experiment and program.
ALL = "all"


class _Parser(argparse.ArgumentParser):
    """A parser that reports an error in one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{message}\n")


def train_size(text: str) -> float | int:
    """Read a fraction of the samples (with a decimal point) or a number of samples."""
    try:
        size = float(text) if "." in text else int(text)
    except ValueError:
        size = 0
    if not (0 < size <= 1 if isinstance(size, float) else size > 0):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a fraction of the samples in (0.0, 1.0] "
            "nor a positive number of samples."
        )
    return size


def count(text: str) -> int:
    """Read a positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer.")
    return int(text)


def image_size(text: str) -> tuple[int, int]:
    """Read a height and a width: ``32x32``."""
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 32x32.")
    return int(height), int(width)


def names(text: str) -> tuple[str, ...]:
    """Read names that are separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = _Parser(
        prog="python -m benchmarks",
        description="Run an experiment, store its runs, print its table, draw its "
        f"pictures. {', '.join(PROGRAMS)} have their own options.",
    )
    options: dict[str, dict[str, Any]] = {
        "experiment": {
            "nargs": "?",
            "help": f"default: compare; see --list; {ALL} runs every experiment",
        },
        "--list": {"action": "store_true", "help": "list the experiments"},
        "--dataset": {
            "metavar": "NAME",
            "help": "digits, mnist, fashion-mnist, cifar10, digit-files, or the path "
            "of a folder of images or of a CSV file (default: the experiment's own). "
            "Without an experiment, FILE.csv --target NAME [--task TASK] runs the "
            "program tables on any CSV file",
        },
        "--target": {
            "metavar": "NAME",
            "help": "column of the classes in a CSV file (default: label, target, "
            "class or y, else the last column)",
        },
        "--task": {
            "choices": ("classification", "regression"),
            "help": "of a CSV file; regression is for the program tables",
        },
        "--image-size": {
            "type": image_size,
            "metavar": "HxW",
            "help": "size of the images read from a folder (default: 32x32)",
        },
        "--grey": {
            "action": "store_true",
            "help": "read the images of a folder without color",
        },
        "--train-size": {
            "type": train_size,
            "metavar": "SIZE",
            "help": "fraction (0.1) or number (6000) of training samples, every k-th",
        },
        "--seeds": {
            "type": count,
            "metavar": "N",
            "help": "number of runs of each model, with the seeds 0 to N-1",
        },
        "--device": {"default": "auto", "help": "auto, cpu, cuda, ... (default: auto)"},
        "--threads": {
            "type": count,
            "metavar": "N",
            "help": "threads of a run (default: 1 on digits, else torch's choice); "
            "1 is fastest for small networks on a busy machine",
        },
        "--models": {
            "type": names,
            "default": (),
            "help": "only these models: a,b (default: all, or a few of them if "
            "--dataset is not given either)",
        },
        "--quick": {
            "action": "store_true",
            "help": "a trial, not a result: a few hundred samples, two epochs, one "
            "seed, on digits unless --dataset is given",
        },
        "--data-home": {"metavar": "DIR", "help": "folder of the data sets"},
        "--out": {
            "type": Path,
            "metavar": "DIR",
            "help": "folder of runs and pictures "
            f"(default: {result_files.DEFAULT_FOLDER})",
        },
        "--resume": {
            "action": "store_true",
            "help": "run only what --out does not have yet",
        },
        "--tables": {
            "action": "store_true",
            "help": "print the tables of the runs in --out (default: the committed "
            "ones) without running anything",
        },
        "--markdown": {"action": "store_true", "help": "print tables as Markdown"},
    }
    for name, settings in options.items():
        parser.add_argument(name, **settings)
    return parser


def find_experiment(name: str) -> Experiment:
    """Return the experiment with this name."""
    if name not in EXPERIMENTS:
        known = ", ".join([*EXPERIMENTS, *PROGRAMS, *TOOLS, ALL])
        raise ValueError(f"Unknown experiment {name!r}; there is {known}.")
    return EXPERIMENTS[name]


def make_request(args: argparse.Namespace) -> Request:
    """Check the options before any data are loaded, and return the request."""
    experiment = find_experiment(args.experiment or "compare")
    experiment.select(args.models)
    if args.task == "regression":
        raise ValueError(
            f"Experiment {experiment.name!r} compares classifiers; omit its name, so "
            "that --task regression compares regressors on the table."
        )
    dataset = choose_dataset(experiment, args)
    from benchmarks.running import environment

    environment.check_device(args.device)
    own_size = dataset == experiment.dataset or experiment.scores_left_out_samples
    return Request(
        experiment=experiment,
        dataset=dataset,
        train_size=args.train_size or (experiment.train_size if own_size else None),
        seeds=args.seeds or (1 if args.quick else experiment.seeds),
        device=args.device,
        # Images of 64 pixels are too little work for a second thread.
        threads=args.threads or (1 if dataset == "digits" else None),
        models=args.models
        or (experiment.default_models if args.dataset is None else ()),
        quick=args.quick,
        image_size=args.image_size,
        grey=args.grey,
        target=args.target,
    )


def choose_dataset(experiment: Experiment, args: argparse.Namespace) -> str:
    """Check and return the requested data set, or the default."""
    from benchmarks.data import datasets

    if experiment.dataset == BUNDLED:
        if args.dataset is not None or args.train_size is not None:
            raise ValueError(
                f"Experiment {experiment.name!r} has its own data sets; "
                "omit --dataset and --train-size."
            )
        return BUNDLED
    default = experiment.quick_dataset if args.quick else experiment.dataset
    dataset = args.dataset or default
    datasets.check_name(dataset)
    return dataset
