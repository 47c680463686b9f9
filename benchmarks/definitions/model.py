"""A model of an experiment: public names and parameters, as plain data.

A definition imports nothing heavy. Listing the experiments is therefore instant, and a
definition can be printed, compared and stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Component:
    """A class or function by its public name, with its arguments.

    Arguments may hold further components, alone or in tuples (an augmentation, the
    members of an ensemble). They are built together with it.
    """

    path: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def build(self, **known_params: Any) -> Any:
        """Make the object.

        The seed, the device and the image shape are `known_params`. They are set where
        the object has such a parameter and the definition does not give it. None sets
        nothing.
        """
        module, _, name = self.path.rpartition(".")
        made = getattr(import_module(module), name)(
            **{
                key: _build_value(value, known_params)
                for key, value in self.params.items()
            }
        )
        if hasattr(made, "get_params"):
            own = made.get_params(deep=False)
            made.set_params(
                **{
                    key: value
                    for key, value in known_params.items()
                    if key in own and key not in self.params and value is not None
                }
            )
        return made


def _build_value(value: Any, known_params: Mapping[str, Any]) -> Any:
    """Build the components in a parameter's value, also in tuples and lists."""
    if isinstance(value, Component):
        return value.build(**known_params)
    if isinstance(value, tuple | list):
        return type(value)(_build_value(item, known_params) for item in value)
    return value


@dataclass(frozen=True)
class Validation:
    """The validation set: which part of the training samples it is.

    Parameters
    ----------
    fraction : float
        Fraction of the training samples, in (0, 1).
    random_state : int, optional
        Seed of the split, the same for every seed of the weights. Without it the last
        samples are taken, as Keras's ``validation_split`` does.

    Notes
    -----
    `fit` receives the samples as ``X_val, y_val``. The estimator's parameters say
    whether they stop training and choose the weights.
    """

    fraction: float
    random_state: int | None = None


@dataclass(frozen=True)
class WeeklySchedule:
    """Training samples that arrive week by week; every week the test set is scored.

    Every week's network passes over that week's samples `max_iter` times.

    Parameters
    ----------
    continual : bool
        Whether a week continues with the network of the week before, by `partial_fit`.
        Otherwise it starts with new weights.
    season : float
        In [0, 1): how far the share of a class rises and falls over the weeks. With 0
        all weeks are alike.
    n_weeks : int
        The number of weeks. Each sample comes once.
    """

    continual: bool
    season: float = 0.0
    n_weeks: int = 12


@dataclass(frozen=True)
class Model:
    """One line of an experiment's table.

    Parameters
    ----------
    name, estimator, preprocessing, validation
        The network and its data. The preprocessing steps are fitted on the training
        set, without the validation set.
    reported : tuple of float
        The experiment's figure (`Experiment.figure`) as its source prints it. There are
        two where text and table of the source differ.
    reported_curves : mapping of str to tuple of float
        Values that the source prints for every epoch, by the names of a record's
        curves.
    monitor : tuple of str
        Sets that are scored after every epoch in addition to the validation set:
        ``"train"``, ``"test"``, and ``"running"`` (the training accuracy of the batches
        during the epoch). These scores decide nothing.
    weeks : WeeklySchedule, optional
        How the training samples arrive, if not at once.
    train_size : int, optional
        The number of training samples (every k-th) for this model alone.
    dataset : str, optional
        The model's own data set in an experiment that is `BUNDLED`.
    note : str
        A sentence on the reported figure. It is shown where the figure is.
    """

    name: str
    estimator: Component
    preprocessing: tuple[Component, ...] = ()
    validation: Validation | None = None
    reported: tuple[float, ...] = ()
    reported_curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    monitor: tuple[str, ...] = ()
    weeks: WeeklySchedule | None = None
    train_size: int | None = None
    dataset: str | None = None
    note: str = ""

    @property
    def needs_images(self) -> bool:
        """Whether the model is a convolutional network, or an ensemble of them."""
        member = self.estimator.params.get("estimator")
        paths = [self.estimator.path, getattr(member, "path", "")]
        return any(path.endswith(".CNNClassifier") for path in paths)

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
            text = f"conv {_dashed(channels)} {_dashed(kernel)}"
            if params.get("conv_dims") == 1:
                text = f"1-D {text}"
            else:
                text += f"x{_dashed(kernel)}"
            text += f"/{_dashed(strides)}" if strides != 1 else ""
            if pool := params.get("pool", "max"):
                text += f" {_dashed(pool)}-pool"
            if params.get("block") == "residual":
                text += ", residual"
            parts.append(text)
        if hidden := params.get("hidden_layer_sizes"):
            parts.append(f"dense {_dashed(hidden)}")
        if code := params.get("n_components"):
            parts.append(f"code {code}")
        return ", ".join(parts) or "softmax"


def _dashed(sizes: Any) -> str:
    """Write one value or several as ``5`` or ``10-40-80``."""
    return "-".join(map(str, sizes)) if isinstance(sizes, tuple | list) else str(sizes)
