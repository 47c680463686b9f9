"""An experiment: models, the data that they are compared on, and what is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from benchmarks.definitions.model import Model

# The data set name of experiments that use several data sets of scikit-learn.
BUNDLED = "bundled"

# The data set name of digits that are written to image files and read again.
IMAGE_FILES = "digit-files"

COLUMNS = (
    "model",
    "layers",
    "architecture",
    "parameters",
    "train size",
    "epochs",
    "fit s",
    "test accuracy",
)


@dataclass(frozen=True)
class Picture:
    """A picture that is stored next to the records.

    Parameters
    ----------
    name : str
        The last part of the file's name.
    function : str
        A function of ``benchmarks.tables.experiment_pictures``.
    models : tuple of str
        Models in the picture. An empty tuple means all.
    options : mapping
        Keyword arguments of the function.
    """

    name: str
    function: str = "curves"
    models: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """Models, and the data that they are compared on.

    Parameters
    ----------
    name, summary, models
        ``--list`` prints these.
    dataset : str
        The default data set, or `BUNDLED` if the experiment has several of its own.
    train_size : float or int, optional
        The fraction or number of training samples, every k-th. None means all.
    seeds : int
        The number of runs of each model.
    reported_for : tuple of str and train size, optional
        The data set and train size that the reported figures hold for. The table shows
        them for no other.
    figure : str
        The figure of a record that is compared with `reported`.
    default_models : tuple of str
        Models that run if the user chooses neither models nor a data set. An empty
        tuple means all.
    quick_dataset : str
        The data set of a trial. Every machine has it.
    runner : str
        The module whose `run_all` yields the records.
    layout : str
        The module whose `print_table` and `markdown` show the records.
    columns, details : tuple of str
        Columns of the table, and the names of the tables below it
        (``benchmarks.tables.detail_tables``).
    pictures : tuple of Picture
        Pictures that are drawn when the runs have ended.
    example : int, optional
        Index of a test sample whose label is predicted before and after training.
    saves_models : bool
        Whether the fitted models of seed 0 are saved next to the records.
    scores_left_out_samples : bool
        Whether models are scored on the training samples that the train size leaves
        out. Experiments whose outcome decides how models are trained need this, because
        the test set must not decide anything.
    notes : tuple of str
        Sentences below the table.
    needs : tuple of str
        Packages that only this experiment imports.
    """

    name: str
    summary: str
    models: tuple[Model, ...]
    dataset: str
    train_size: float | int | None = None
    seeds: int = 3
    reported_for: tuple[str, float | int | None] | None = None
    figure: str = "test_accuracy"
    default_models: tuple[str, ...] = ()
    quick_dataset: str = "digits"
    runner: str = "benchmarks.running.fitting"
    layout: str = "benchmarks.tables.model_table"
    columns: tuple[str, ...] = COLUMNS
    details: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = (Picture("curves"),)
    example: int | None = None
    saves_models: bool = False
    scores_left_out_samples: bool = False
    notes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def missing_packages(self) -> str | None:
        """Why the experiment cannot run here, or None."""
        absent = [name for name in self.needs if find_spec(name) is None]
        if not absent:
            return None
        return f"{self.name} needs {' and '.join(absent)}; pip install skmlp[peers]"

    def select(self, names: tuple[str, ...]) -> tuple[Model, ...]:
        """Return the named models in the experiment's order. No name means all."""
        known = {model.name for model in self.models}
        for name in names:
            if name not in known:
                raise ValueError(
                    f"Unknown model {name!r} in experiment {self.name!r}; "
                    f"it has {', '.join(model.name for model in self.models)}."
                )
        return tuple(m for m in self.models if not names or m.name in names)


@dataclass(frozen=True)
class Program:
    """A command with its own options, records and table: ``module.main(argv)``."""

    name: str
    summary: str
    module: str
