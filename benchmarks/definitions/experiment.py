"""An experiment: models, the data that they are compared on, and what is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from benchmarks.definitions.model import Model

# The name for data sets that come with scikit-learn, where an experiment has several.
BUNDLED = "bundled"

# The name for digits that are written to files, to be read from them again.
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
    """Models, and the data they are compared on.

    Parameters
    ----------
    name, summary, models
        What ``--list`` prints.
    dataset : str
        The default, or `BUNDLED` for an experiment that has several of its own.
    train_size : float or int, optional
        A share or a number of rows, every k-th; all for ``None``.
    seeds : int
        Runs of each model.
    reported_for : tuple of str and train size, optional
        Data set and train size that the reported figures hold for. They stand beside
        ours for no other.
    figure : str
        The figure of a record that `reported` is to be compared with.
    first_look : tuple of str
        Models that run when nothing at all is asked for; all for none.
    quick_dataset : str
        What a trial runs on: a data set that every machine has.
    runner : str
        The module whose `run_all` yields the records.
    layout : str
        The module whose `print_table` and `markdown` show them.
    columns, details : tuple of str
        Columns of the table, and the names of the tables below it
        (``benchmarks.tables.detail_tables``).
    pictures : tuple of Picture
        What is drawn when the runs have ended.
    example : int, optional
        Number of a test row whose label is predicted before and after training.
    saves_models : bool
        Whether the fitted models of seed 0 are saved beside the records.
    spares_test_rows : bool
        Whether models are scored on the training rows that the train size leaves out,
        as is right where what comes out decides how models are trained.
    notes : tuple of str
        Sentences shown under the table.
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
    first_look: tuple[str, ...] = ()
    quick_dataset: str = "digits"
    runner: str = "benchmarks.running.fitting"
    layout: str = "benchmarks.tables.model_table"
    columns: tuple[str, ...] = COLUMNS
    details: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = (Picture("curves"),)
    example: int | None = None
    saves_models: bool = False
    spares_test_rows: bool = False
    notes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def lacks(self) -> str | None:
        """What keeps it from running here, if anything does."""
        absent = [name for name in self.needs if find_spec(name) is None]
        if not absent:
            return None
        return f"{self.name} needs {' and '.join(absent)}; pip install skmlp[peers]"

    def select(self, names: tuple[str, ...]) -> tuple[Model, ...]:
        """Return the named models in the experiment's order; all for no name."""
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
    """A command with options, records and a table of its own: ``module.main(argv)``."""

    name: str
    summary: str
    module: str
