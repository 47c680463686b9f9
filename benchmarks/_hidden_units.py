"""`hidden-units`: a grid search over the number of hidden nodes, N1 to Nk.

All widths (of every hidden layer alike) and depths are candidates of one packed search;
its scores over the folds, of training and validation rows, make the validation curve,
which is drawn beside the records.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ValidationCurveDisplay
from sklearn.pipeline import make_pipeline

from benchmarks import _datasets, _environment, _results
from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import MLPClassifier
from skmlp.preprocessing import PixelScaler

NAME = "hidden-units"
DATASET = "fashion-mnist"
WIDTHS, DEPTHS, FOLDS = (5, 10, 20, 50, 100, 200), (1, 2), 3
ROWS, EPOCHS, BATCH = 6_000, 10, 50
QUICK_ROWS, QUICK_EPOCHS = 300, 2

Record = dict[str, Any]


def search(
    X: np.ndarray,
    y: np.ndarray,
    pixel_max: float,
    widths: Sequence[int],
    depths: Sequence[int],
    epochs: int,
) -> PackedGridSearchCV:
    """Search all widths and depths on the rows."""
    network = MLPClassifier(batch_size=BATCH, max_iter=epochs, random_state=0)
    sizes = [(width,) * depth for depth in depths for width in widths]
    grid = {"mlpclassifier__hidden_layer_sizes": sizes}
    found = PackedGridSearchCV(
        make_pipeline(PixelScaler(pixel_max=pixel_max), network),
        grid,
        cv=FOLDS,
        return_train_score=True,
        refit=False,
    )
    # So many epochs are meant.
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return found.fit(X, y)


def records_of(found: PackedGridSearchCV, common: Record) -> list[Record]:
    """Return one record for every candidate."""
    results = found.cv_results_
    return [
        {
            **common,
            "hidden_layer_sizes": list(params["mlpclassifier__hidden_layer_sizes"]),
            **{
                f"{part}_scores": [
                    results[f"split{split}_{part}_score"][i] for split in range(FOLDS)
                ]
                for part in ("train", "test")
            },
            "mean_fit_seconds": results["mean_fit_time"][i],
            "best": i == found.best_index_,
        }
        for i, params in enumerate(results["params"])
    ]


def draw(records: Sequence[Record], path: Path) -> None:
    """Draw accuracy over the width, a panel for every depth."""
    from matplotlib.figure import Figure

    depths = sorted({len(record["hidden_layer_sizes"]) for record in records})
    figure = Figure(figsize=(5 * len(depths), 4), layout="constrained")
    axes = figure.subplots(1, len(depths), squeeze=False, sharey=True)[0]
    for depth, panel in zip(depths, axes, strict=True):
        rows = [r for r in records if len(r["hidden_layer_sizes"]) == depth]
        ValidationCurveDisplay(
            param_name="units of each hidden layer",
            param_range=np.array([r["hidden_layer_sizes"][0] for r in rows]),
            train_scores=np.array([r["train_scores"] for r in rows]),
            test_scores=np.array([r["test_scores"] for r in rows]),
            score_name="accuracy",
        ).plot(ax=panel)
        panel.set_title(f"hidden layers: {depth}")
    figure.savefig(path)


def print_table(records: Sequence[Record], console: Console) -> None:
    """Print mean and deviation over the folds; the best candidate is marked."""
    columns = ("hidden layers", "training accuracy", "validation accuracy", "")
    table = Table(*columns, box=box.SIMPLE_HEAD)
    for record in records:
        table.add_row(
            "-".join(map(str, record["hidden_layer_sizes"])),
            *(
                f"{np.mean(scores):.4f} ± {np.std(scores):.4f}"
                for scores in (record["train_scores"], record["test_scores"])
            ),
            "best" if record["best"] else "",
        )
    console.print(table)


def _counts(text: str) -> tuple[int, ...]:
    """Read positive numbers with commas between them."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) for word in words):
        raise argparse.ArgumentTypeError(f"{text!r} are not numbers from 1.")
    return tuple(map(int, words))


def main(argv: Sequence[str]) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {NAME}", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--dataset", default=DATASET, help=f"default: {DATASET}")
    parser.add_argument("--widths", type=_counts, default=WIDTHS, metavar="N1,..,Nk")
    parser.add_argument("--depths", type=_counts, default=DEPTHS, metavar="D1,..")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--quick", action="store_true", help="a trial, not a result")
    parser.add_argument("--data-home", metavar="DIR")
    parser.add_argument("--out", type=Path, default=_results.DEFAULT, metavar="DIR")
    args = parser.parse_args(argv)
    _environment.use_threads(args.threads)
    try:
        data = _datasets.load(args.dataset, args.data_home)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    wanted = QUICK_ROWS if args.quick else ROWS
    every = max(1, len(data.y_train) // wanted)
    X, y = data.X_train[::every], data.y_train[::every]
    epochs = QUICK_EPOCHS if args.quick else EPOCHS
    found = search(X, y, data.pixel_max or 1.0, args.widths, args.depths, epochs)
    folder = _results.open_store(args.out)
    stem = f"{NAME}-{data.name}{'-quick' if args.quick else ''}"
    words = [f"python -m benchmarks {NAME} --dataset {args.dataset}"]
    words += [
        f"--{name} {','.join(map(str, getattr(args, name)))}"
        for name in ("widths", "depths")
    ]
    words += ["--quick"] if args.quick else []
    records = records_of(
        found,
        {
            "experiment": NAME,
            "dataset": data.name,
            "rows": len(X),
            "folds": FOLDS,
            "epochs": epochs,
            "quick": args.quick,
            **_environment.describe(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": " ".join(words),
        },
    )
    for record in records:
        _results.append(folder / f"{stem}.jsonl", record)
    draw(records, folder / f"{stem}.png")
    print_table(records, Console())
    print(f"Stored in {folder / stem}.jsonl and .png", file=sys.stderr)
    return 0
