"""Pictures of an experiment, from its stored records and saved models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import ValidationCurveDisplay

from benchmarks.definitions.experiment import Experiment
from benchmarks.result_store import reconstruction_images
from benchmarks.result_store.result_files import Record
from benchmarks.tables.detail_tables import mean_curve
from skmlp.inspection import FeatureMapDisplay, TrainingCurve, TrainingCurveDisplay
from skmlp.persistence import load_model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Models = Mapping[str, Sequence[Record]]

# Names of a record's curves, and the curves that replace missing ones.
TRAIN_LOSS, TEST_LOSS = "train_loss", "test_loss"
TRAIN_SCORE, TEST_SCORE = "train_score", "test_score"
ALL_LINES = (TRAIN_LOSS, TEST_LOSS, TRAIN_SCORE, TEST_SCORE)
INSTEAD = {
    TRAIN_LOSS: "loss_curve",
    TEST_LOSS: "validation_loss",
    TEST_SCORE: "validation_scores",
}


def draw(
    experiment: Experiment, records: Sequence[Record], folder: Path, stem: str
) -> list[Path]:
    """Draw all pictures for which the records suffice; return their paths."""
    paths = []
    for picture in experiment.pictures:
        models: dict[str, list[Record]] = {}
        for record in records:
            wanted = not picture.models or record["model"] in picture.models
            if wanted and not record["error"]:
                models.setdefault(record["model"], []).append(record)
        if not models:
            continue
        figure = DRAW[picture.function](models, folder, **picture.options)
        if figure is not None:
            paths.append(folder / f"{stem}-{picture.name}.png")
            figure.savefig(paths[-1], dpi=110)
    return paths


def curves(
    models: Models,
    folder: Path,
    *,
    lines: Sequence[str] = ALL_LINES,
    log_loss_axis: bool = False,
) -> Figure | None:
    """Draw loss and accuracy over the epochs, as means over seeds."""
    drawn, held_out = {}, "validation"
    for model, runs in models.items():
        found = dict.fromkeys(ALL_LINES)
        for line in lines:
            curve = mean_curve(runs, line)
            if curve and line in (TEST_LOSS, TEST_SCORE):
                held_out = "test"
            curve = curve or mean_curve(runs, INSTEAD.get(line, line))
            found[line] = np.asarray(curve) if curve else None
        if any(curve is not None for curve in found.values()):
            drawn[model] = TrainingCurve(*found.values())
    if not drawn:
        return None
    scored = any(
        c.train_score is not None or c.valid_score is not None for c in drawn.values()
    )
    figure, axes = _figure(1 + scored)
    TrainingCurveDisplay(curves=drawn).plot(axes, score_name="Accuracy")
    for ax in axes:
        _name_lines(ax, held_out, len(drawn) > 1)
    lines_by_name = {line.get_label(): line for ax in axes for line in ax.get_lines()}
    figure.legend(
        lines_by_name.values(),
        lines_by_name,
        loc="outside right upper",
        fontsize="small",
    )
    if log_loss_axis:
        axes[0].set_yscale("log")
    return figure


def weeks(models: Models, folder: Path) -> Figure:
    """Draw test accuracy over the weeks, as means over seeds."""
    figure, (ax,) = _figure(1)
    for model, runs in models.items():
        scores = mean_curve(runs, "week_score")
        ax.plot(np.arange(1, len(scores) + 1), scores, marker="o", label=model)
    ax.set(xlabel="Week", ylabel="Accuracy")
    ax.set_title("test rows", fontsize="medium")
    ax.legend(fontsize="small")
    return figure


def _name_lines(ax: Any, held_out: str, several: bool) -> None:
    """Name the set that each line shows, and omit what all lines have in common."""
    kinds = {line.get_label().rpartition(", ")[2] for line in ax.get_lines()}
    for line in ax.get_lines():
        name, _, kind = line.get_label().rpartition(", ")
        word = held_out if kind == "validation" else kind
        line.set_label(name if several and len(kinds) == 1 else f"{name}, {word}")
        if not several:
            line.set_label(word)
        if len(kinds) == 1:
            line.set_linestyle("-")
            ax.set_title(f"{word} rows", fontsize="medium")
    ax.get_legend().remove()


def validation_curve(models: Models, folder: Path) -> Figure | None:
    """Draw accuracy over the width, with a panel for every depth of several widths."""
    sizes = {
        m: runs[0]["parameters"]["hidden_layer_sizes"] for m, runs in models.items()
    }
    counts = Counter(len(widths) for widths in sizes.values())
    depths = sorted(depth for depth, n in counts.items() if n > 1)
    if not depths:
        return None
    figure, axes = _figure(len(depths), sharey=True)
    for depth, panel in zip(depths, axes, strict=True):
        chosen = [model for model, widths in sizes.items() if len(widths) == depth]
        train, held_out = (
            np.array([[s for r in models[m] for s in r[name]] for m in chosen])
            for name in ("train_scores", "validation_scores_of_folds")
        )
        ValidationCurveDisplay(
            param_name="units of each hidden layer",
            param_range=np.array([sizes[model][0] for model in chosen]),
            train_scores=train,
            test_scores=held_out,
            score_name="accuracy",
        ).plot(ax=panel)
        lines, _ = panel.get_legend_handles_labels()
        panel.legend(lines, ("training", "validation"))
        panel.set_title(f"hidden layers: {depth}")
    return figure


def confusion_matrix(models: Models, folder: Path) -> Figure:
    """Draw the confusion matrix of every model's first run."""
    figure, axes = _figure(len(models), width=5.5, height=5.0)
    for (model, runs), panel in zip(models.items(), axes, strict=True):
        first = runs[0]
        ConfusionMatrixDisplay(
            np.array(first["confusion_matrix"]), display_labels=first["classes"]
        ).plot(ax=panel, colorbar=False, text_kw={"fontsize": "small"})
        panel.set_title(f"{model}, seed {first['seed']}", fontsize="medium")
    return figure


def feature_maps(models: Models, folder: Path) -> Figure | None:
    """Draw the test sample's feature maps in the first saved model."""
    for runs in models.values():
        for run in runs:
            path = folder / (run.get("model_file") or "")
            if path.is_file() and run["example"] is not None:
                pixels = np.array(run["example"]["pixels"], dtype=np.float32)
                figure, (ax,) = _figure(1, width=8.0, height=9.0)
                FeatureMapDisplay.from_estimator(load_model(path), pixels, ax=ax)
                return figure
    return None


def reconstructions(models: Models, folder: Path) -> Figure | None:
    """Draw images of the test set above their reconstructions by every model."""
    rows: dict[str, np.ndarray] = {}
    for model, runs in models.items():
        if "reconstructions" in runs[0]:
            rows["original"] = reconstruction_images.decode(runs[0]["images"])
            rows[model] = reconstruction_images.decode(runs[0]["reconstructions"])
    if not rows:
        return None
    n_columns = len(rows["original"])
    figure, axes = _grid(len(rows), n_columns)
    for (name, images), panels in zip(rows.items(), axes, strict=True):
        panels[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for image, panel in zip(images, panels, strict=True):
            panel.imshow(image, cmap="gray", vmin=0, vmax=255)
            panel.set(xticks=[], yticks=[])
    return figure


DRAW: dict[str, Any] = {
    function.__name__: function
    for function in (
        curves,
        weeks,
        validation_curve,
        confusion_matrix,
        feature_maps,
        reconstructions,
    )
}


def _grid(n_rows: int, n_columns: int) -> tuple[Figure, Any]:
    """Make a figure with rows of small images."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(n_columns + 1.5, n_rows), layout="constrained")
    return figure, figure.subplots(n_rows, n_columns, squeeze=False)


def _figure(
    n_panels: int, width: float = 5.0, height: float = 4.0, **options: Any
) -> tuple[Figure, Any]:
    """Make a figure with panels side by side, without any window system."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * n_panels, height), layout="constrained")
    return figure, figure.subplots(1, n_panels, squeeze=False, **options)[0]
