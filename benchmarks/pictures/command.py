"""The command line: ``python -m benchmarks pictures [options]``."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.command_line.arguments import count, names, train_size
from benchmarks.data import datasets
from benchmarks.definitions.request import Request
from benchmarks.experiments import EXPERIMENTS
from benchmarks.result_store import result_files
from benchmarks.running import environment

NAME = "pictures"
DOTS_PER_INCH = 80


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {NAME}",
        description="Train small models and draw every display for them.",
    )
    options: dict[str, dict[str, Any]] = {
        "--dataset": {
            "default": "digits",
            "metavar": "NAME",
            "help": "default: digits",
        },
        "--train-size": {"type": train_size, "metavar": "SIZE"},
        "--only": {"type": names, "default": (), "metavar": "NAME,..."},
        "--device": {"default": "auto"},
        "--threads": {"type": count, "metavar": "N"},
        "--quick": {
            "action": "store_true",
            "help": "a trial: two epochs on a few samples",
        },
        "--data-home": {"metavar": "DIR"},
        "--out": {
            "type": Path,
            "metavar": "DIR",
            "default": result_files.DEFAULT_FOLDER / NAME,
        },
    }
    for name, settings in options.items():
        parser.add_argument(name, **settings)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command line and return its exit status."""
    args = make_parser().parse_args(argv)
    try:
        draw_all(args)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def draw_all(args: argparse.Namespace) -> None:
    """Draw the requested pictures, and a page that shows them if all are drawn."""
    import matplotlib as mpl

    mpl.use("Agg")
    from benchmarks.pictures.gallery import PICTURES, close
    from benchmarks.pictures.trained_models import TrainedModels

    for name in args.only:
        if name not in PICTURES:
            raise ValueError(
                f"Unknown picture {name!r}; there is {', '.join(PICTURES)}."
            )
    datasets.check_name(args.dataset)
    environment.check_device(args.device)
    environment.use_threads(args.threads)
    data = datasets.load(args.dataset, args.data_home)
    if data.image_shape is None:
        raise ValueError(f"{args.dataset!r} has no images.")
    request = Request(
        EXPERIMENTS["compare"],
        dataset=args.dataset,
        train_size=args.train_size,
        device=args.device,
        quick=args.quick,
    )
    studio = TrainedModels(data, request)
    if args.out.parts[0] == str(result_files.DEFAULT_FOLDER):
        result_files.open_folder(result_files.DEFAULT_FOLDER)
    args.out.mkdir(parents=True, exist_ok=True)
    captions = {}
    for name in args.only or PICTURES:
        figure, captions[name] = PICTURES[name](studio)
        save(figure, args.out / f"{name}.png")
        close(figure)
        print(f"{name}: {captions[name]}", file=sys.stderr)
    if not args.only:
        text = page(captions, command_of(args))
        (args.out / "README.md").write_text(text, encoding="utf-8")
    print(f"Stored in {args.out}", file=sys.stderr)


def save(figure: Any, path: Path) -> None:
    """Write a figure as a small PNG with the 256 colors nearest to its own."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=DOTS_PER_INCH)
    image = Image.open(drawn).convert("RGB")
    # The other methods merge rare colors, such as the ends of a color scale.
    few = image.quantize(method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def command_of(args: argparse.Namespace) -> str:
    """Return the command that repeats this."""
    words = [f"python -m benchmarks {NAME} --dataset {args.dataset}"]
    if args.train_size is not None:
        words.append(f"--train-size {args.train_size}")
    if args.quick:
        words.append("--quick")
    return " ".join(words)


def page(captions: dict[str, str], command: str) -> str:
    """Return the page that shows every picture."""
    lines = ["# Pictures", "", f"Made by `{command}`.", ""]
    for name, caption in captions.items():
        lines += [f"## {name}", "", caption, "", f"![{caption}]({name}.png)", ""]
    return "\n".join(lines)
