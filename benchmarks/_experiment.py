"""What an experiment is: models by name, with parameters, as plain data.

A definition imports nothing heavy, so listing the experiments is instant, and it can
be printed, compared and stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
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
class Model:
    """One row of an experiment's table.

    `reported` are the figures for test accuracy that the experiment's source prints;
    where its text and its table differ there are two.
    """

    name: str
    estimator: Component
    preprocessing: tuple[Component, ...] = ()
    validation: Validation | None = None
    reported: tuple[float, ...] = ()

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


@dataclass(frozen=True)
class Experiment:
    """Models, and the data they are compared on.

    `train_size` is a share (float), a number of rows (int) or ``None`` for all rows;
    the rows are every k-th. The models' reported figures hold for the data set and
    train size in `reported_for`, and stand beside ours for no other. `first_look` are
    the models that run when nothing at all is asked for; none means all.
    """

    name: str
    summary: str
    models: tuple[Model, ...]
    dataset: str
    train_size: float | int | None = None
    seeds: int = 3
    reported_for: tuple[str, float | int | None] | None = None
    first_look: tuple[str, ...] = ()

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
class Request:
    """What the user asked for: an experiment, on which data, with how many seeds."""

    experiment: Experiment
    dataset: str
    train_size: float | int | None = None
    seeds: int = 3
    device: str = "auto"
    threads: int | None = None
    models: tuple[str, ...] = ()
    quick: bool = False

    @property
    def command(self) -> str:
        """The command that repeats this, without the places of files on one machine."""
        words = ["python -m benchmarks", self.experiment.name]
        words.append(f"--dataset {self.dataset}")
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
