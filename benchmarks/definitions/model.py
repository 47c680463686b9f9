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
