"""What an experiment is: models by name, with parameters, as plain data.

A definition imports nothing heavy, so listing the experiments is instant, and it can
be printed, compared and stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Component:
    """A class or function by its public name, with the parameters to call it with.

    Parameters may hold further components (an augmentation, the members of an
    ensemble), alone or in tuples; they are built with it.
    """

    path: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def build(self, **facts: Any) -> Any:
        """Make the object.

        `facts` (the seed, the device, the image's shape) are set where the object has
        such a parameter and the definition leaves it open; ``None`` sets nothing.
        """
        module, _, name = self.path.rpartition(".")
        made = getattr(import_module(module), name)(
            **{key: _built(value, facts) for key, value in self.params.items()}
        )
        if hasattr(made, "get_params"):
            own = made.get_params(deep=False)
            made.set_params(
                **{
                    key: value
                    for key, value in facts.items()
                    if key in own and key not in self.params and value is not None
                }
            )
        return made


def _built(value: Any, facts: Mapping[str, Any]) -> Any:
    """Build the components in a parameter's value, in tuples and lists too."""
    if isinstance(value, Component):
        return value.build(**facts)
    if isinstance(value, tuple | list):
        return type(value)(_built(item, facts) for item in value)
    return value


@dataclass(frozen=True)
class Validation:
    """Which training rows are held out, and what they are for.

    Parameters
    ----------
    fraction : float
        Share of the training rows, in (0, 1).
    random_state : int, optional
        Drawn with this seed, the same rows for every seed of the weights; without it
        the last rows, as Keras's ``validation_split`` takes them.

    Notes
    -----
    They reach `fit` as ``X_val, y_val``; whether they stop training and choose weights
    is for the estimator's parameters to say.
    """

    fraction: float
    random_state: int | None = None


@dataclass(frozen=True)
class Weeks:
    """Training rows that arrive week by week; after each, the test rows are scored.

    Every week's network passes over that week's rows `max_iter` times.

    Parameters
    ----------
    continual : bool
        Whether a week goes on from the network of the week before, by `partial_fit`,
        rather than from new weights.
    season : float
        In [0, 1): how far a class's share of the rows rises and falls over the weeks.
        0 makes all weeks alike.
    n_weeks : int
        All rows come in so many weeks, each row once.
    """

    continual: bool
    season: float = 0.0
    n_weeks: int = 12


@dataclass(frozen=True)
class Model:
    """One row of an experiment's table.

    Parameters
    ----------
    name, estimator, preprocessing, validation
        What is trained on what; the steps before the estimator are fitted on the rows
        to train on.
    reported : tuple of float
        The experiment's figure (`Experiment.figure`) as its source prints it; where
        text and table of the source differ there are two.
    reported_curves : mapping of str to tuple of float
        What the source prints for every epoch, by the names of a record's curves.
    watch : tuple of str
        What is scored after every epoch besides validation rows: ``"train"`` and
        ``"test"`` rows, and ``"running"``, the training accuracy of the batches as
        they pass. Watched rows decide nothing.
    weeks : Weeks, optional
        How the training rows arrive, if not at once.
    train_size : int, optional
        Every k-th of the training rows, to that number, for this model alone.
    dataset : str, optional
        A data set of its own, where the experiment's are `BUNDLED`.
    note : str
        A sentence on the reported figure, shown under the table if that is.
    """

    name: str
    estimator: Component
    preprocessing: tuple[Component, ...] = ()
    validation: Validation | None = None
    reported: tuple[float, ...] = ()
    reported_curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    watch: tuple[str, ...] = ()
    weeks: Weeks | None = None
    train_size: int | None = None
    dataset: str | None = None
    note: str = ""

    @property
    def architecture(self) -> str:
        """The hidden layers in short: ``conv 10-40 5x5/2-1, dense 50``."""
        params = self.estimator.params
        if isinstance(member := params.get("estimator"), Component):
            layers = Model(self.name, member).architecture
            return f"{params['n_estimators']} of {layers}"
        parts = []
        if channels := params.get("conv_channels"):
            kernel, strides = (
                params.get("kernel_size", 3),
                params.get("conv_strides", 1),
            )
            text = f"conv {_dashed(channels)} {_dashed(kernel)}x{_dashed(kernel)}"
            text += f"/{_dashed(strides)}" if strides != 1 else ""
            if pool := params.get("pool", "max"):
                text += f" {_dashed(pool)}-pool"
            if params.get("block") == "residual":
                text += ", residual"
            parts.append(text)
        if hidden := params.get("hidden_layer_sizes"):
            parts.append(f"dense {_dashed(hidden)}")
        return ", ".join(parts) or "softmax"


def _dashed(sizes: Any) -> str:
    """Write one value or several as ``5`` or ``10-40-80``."""
    return "-".join(map(str, sizes)) if isinstance(sizes, tuple | list) else str(sizes)


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
    """What is drawn beside the records: a function of ``benchmarks._drawings``.

    `models` are those in the picture, all for none; `options` are the function's.
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
        Columns of the table, and what stands below it (``benchmarks._details``).
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
    runner: str = "benchmarks._run"
    layout: str = "benchmarks._tables"
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


@dataclass(frozen=True)
class Request:
    """What the user asked for: an experiment, on which data, with how many seeds.

    `image_size` and `grey` are how the files of a folder are read; `models_folder` is
    where fitted models are saved, if anywhere.
    """

    experiment: Experiment
    dataset: str
    train_size: float | int | None = None
    seeds: int = 3
    device: str = "auto"
    threads: int | None = None
    models: tuple[str, ...] = ()
    quick: bool = False
    image_size: tuple[int, int] | None = None
    grey: bool = False
    models_folder: Path | None = None

    def meets_protocol(self) -> bool:
        """Whether the reported figures hold for this."""
        place = (self.dataset, self.train_size)
        return not self.quick and self.experiment.reported_for == place

    @property
    def command(self) -> str:
        """The command that repeats this, without the places of files on one machine."""
        words = ["python -m benchmarks", self.experiment.name]
        if self.dataset != BUNDLED:
            words.append(f"--dataset {Path(self.dataset).name}")
        if self.image_size is not None:
            words.append("--image-size {}x{}".format(*self.image_size))
        if self.grey:
            words.append("--grey")
        if self.train_size is not None:
            words.append(f"--train-size {self.train_size}")
        words.append(f"--seeds {self.seeds}")
        if self.device != "auto":
            words.append(f"--device {self.device}")
        if self.threads is not None:
            words.append(f"--threads {self.threads}")
        if self.models:
            words.append(f"--models {','.join(self.models)}")
        if self.quick:
            words.append("--quick")
        return " ".join(words)
