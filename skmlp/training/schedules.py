"""Learning-rate schedules."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer

NAMES = ("constant", "invscaling", "adaptive", "cosine", "onecycle", "step")

# As in scikit-learn, these change the learning rate of plain gradient descent only.
_SGD_ONLY = frozenset({"invscaling", "adaptive"})
_SGD_SOLVERS = ("sgd", "torch_sgd")

# The name of a schedule that a function of the user computes.
_USER_FUNCTION = "callable"

# The progress for which `check_user_schedule` calls such a function.
_N_CHECKED = 101

# These schedules are computed from a fixed number of epochs, `total_epochs`.
_WITH_PLANNED_END = ("cosine", "onecycle", _USER_FUNCTION)

# The learning rate of these schedules is computed from the step number in every step.
# The others change the current learning rate after an epoch.
_FUNCTIONS_OF_STEP = frozenset({"cosine", "onecycle", "step", _USER_FUNCTION})

_MIN_ADAPTIVE_LEARNING_RATE = 1e-6
_ADAPTIVE_DIVISOR = 5.0

# Defaults of torch.optim.lr_scheduler.OneCycleLR (Smith and Topin 2017).
_ONECYCLE_RISE = 0.3  # fraction of the steps
_ONECYCLE_START = 1 / 25.0  # fraction of the highest learning rate
_ONECYCLE_END = _ONECYCLE_START / 1e4


def _cosine(start: float, end: float, fraction: float) -> float:
    """Return a point of half a cosine wave from `start` to `end`."""
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * fraction))


@dataclass
class Schedule:
    """Sets an optimizer's learning rate before batches and after epochs.

    Parameters
    ----------
    name : str
        One of `NAMES`, or 'callable' for `function`.
    learning_rate_init : float
        Base learning rate, which is the maximum of every schedule.
    power_t : float
        Exponent of 'invscaling'.
    step_size, gamma : int, float
        'step' multiplies the learning rate by `gamma` every `step_size` epochs.
    warmup_epochs : float
        Number of epochs in which the learning rate rises linearly to the first value
        of the schedule.
    total_epochs : int
        Number of epochs of 'cosine', 'onecycle' and a callable.
    function : callable or None
        Maps the progress of the training, from 0 to 1, to the factor of the base
        learning rate.
    fade_start : float
        Fraction of `total_epochs` after which `fade` falls from 1 to 0.

    Attributes
    ----------
    steps_done : int
        Number of steps since the start of the schedule.
    batches_per_epoch : int
        Number of batches of the current epoch; 0 before the first step.
    """

    name: str
    learning_rate_init: float
    power_t: float = 0.5
    step_size: int = 10
    gamma: float = 0.1
    warmup_epochs: float = 0.0
    total_epochs: int = 1
    fade_start: float = 1.0
    steps_done: int = 0
    batches_per_epoch: int = 0
    function: Callable[[float], float] | None = None

    @classmethod
    def for_solver(
        cls, solver: Any, learning_rate: str | Callable[[float], float], **params: float
    ) -> "Schedule":
        """Return the schedule, or a constant one if the solver ignores it."""
        if not isinstance(learning_rate, str):
            return cls(
                _USER_FUNCTION,
                function=learning_rate,
                **params,  # type: ignore[arg-type]
            )
        if learning_rate in _SGD_ONLY and solver not in _SGD_SOLVERS:
            learning_rate = "constant"
        return cls(learning_rate, **params)  # type: ignore[arg-type]

    @property
    def has_planned_end(self) -> bool:
        """Whether the schedule is computed from a fixed number of epochs."""
        return has_planned_end(self.name)

    @property
    def is_past_planned_end(self) -> bool:
        """Whether steps were taken after the planned end, at the last learning rate."""
        planned = self.total_epochs * self.batches_per_epoch
        return self.has_planned_end and self.steps_done > planned

    @property
    def is_set_per_batch(self) -> bool:
        """Whether `before_batch` sets the learning rate."""
        return self.name in _FUNCTIONS_OF_STEP or self.warmup_epochs > 0

    @property
    def fades(self) -> bool:
        """Whether dropout and weight decay fade."""
        return self.fade_start < 1.0

    @property
    def changes_in_steps(self) -> bool:
        """Whether `Net.begin_step` has an effect."""
        return self.is_set_per_batch or self.fades

    @property
    def fade(self) -> float:
        """Factor of dropout and weight decay in the current epoch.

        It is 1 until `fade_start`, and then falls to 0 in half a cosine wave.
        """
        if not self.fades or self.batches_per_epoch == 0:
            return 1.0
        epoch = max(0, self.steps_done - 1) // self.batches_per_epoch
        fraction = epoch / self.total_epochs - self.fade_start
        return _cosine(1.0, 0.0, min(1.0, max(0.0, fraction / (1.0 - self.fade_start))))

    def before_batch(self, optimizer: Optimizer, batches_per_epoch: int) -> None:
        """Set the learning rate of the next step."""
        if batches_per_epoch != self.batches_per_epoch:
            # `partial_fit` got another number of samples. Convert the position in the
            # schedule to the new number of steps in an epoch.
            if self.batches_per_epoch:
                epochs = self.steps_done / self.batches_per_epoch
                self.steps_done = round(epochs * batches_per_epoch)
            self.batches_per_epoch = batches_per_epoch
        if self.is_set_per_batch:
            warmup = round(self.warmup_epochs * batches_per_epoch)
            # Schedules outside `_FUNCTIONS_OF_STEP` are set here during the warm-up,
            # and once at its end with the factor 1. Later only `after_epoch` and
            # `on_plateau` change them.
            if self.name in _FUNCTIONS_OF_STEP or self.steps_done <= warmup:
                factor = self.factor(self.steps_done, batches_per_epoch)
                _set_learning_rate(optimizer, self.learning_rate_init * factor)
        self.steps_done += 1

    def factor(self, step: int, batches_per_epoch: int) -> float:
        """Return the factor of the initial learning rate at `step`, counted from 0."""
        warmup = round(self.warmup_epochs * batches_per_epoch)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        step -= warmup
        total = max(1, self.total_epochs * batches_per_epoch - warmup)
        if self.name == "cosine":
            return _cosine(1.0, 0.0, min(1.0, step / total))
        if self.name == "onecycle":
            peak = _ONECYCLE_RISE * total - 1.0
            if step <= peak:
                return _cosine(_ONECYCLE_START, 1.0, step / peak)
            rest = (step - peak) / max(1.0, total - 1.0 - peak)
            return _cosine(1.0, _ONECYCLE_END, min(1.0, rest))
        if self.function is not None:
            return _call_user_function(self.function, min(1.0, step / total))
        if self.name == "step":
            return self.gamma ** (step // batches_per_epoch // self.step_size)
        return 1.0

    def after_epoch(self, optimizer: Optimizer, samples_seen: int) -> None:
        """Set the learning rate of 'invscaling'; do nothing for other schedules."""
        if self.name == "invscaling":
            factor = (samples_seen + 1) ** self.power_t
            _set_learning_rate(optimizer, self.learning_rate_init / factor)

    def on_plateau(self, optimizer: Optimizer) -> tuple[bool, str]:
        """Reduce the learning rate of 'adaptive' after the patience is exhausted.

        Returns
        -------
        stop : bool
            Whether training stops.
        message_end : str
            End of scikit-learn's message; `Monitor.stop_message` is its beginning.
        """
        if self.name != "adaptive":
            return True, " Stopping."
        learning_rate = optimizer.param_groups[0]["lr"]
        if learning_rate <= _MIN_ADAPTIVE_LEARNING_RATE:
            return True, " Learning rate too small. Stopping."
        learning_rate /= _ADAPTIVE_DIVISOR
        _set_learning_rate(optimizer, learning_rate)
        return False, f" Setting learning rate to {learning_rate:f}"


def has_planned_end(learning_rate: Any) -> bool:
    """Return whether a schedule is computed from a fixed number of epochs.

    `learning_rate` is a name, or a function of the progress.
    """
    return not isinstance(learning_rate, str) or learning_rate in _WITH_PLANNED_END


def check_user_schedule(function: Any) -> None:
    """Raise an error for a function that does not return a factor for all progress.

    Raises
    ------
    TypeError
        If it is a class.
    ValueError
        If it fails, or returns anything but finite numbers that are not negative.
    """
    if isinstance(function, type):
        raise TypeError(
            f"learning_rate is the class {function.__name__}; give a function from the "
            "progress in [0, 1] to the factor of learning_rate_init. A scheduler of "
            "torch is given as skorch.callbacks.LRScheduler in callbacks."
        )
    for i in range(_N_CHECKED):
        _call_user_function(function, i / (_N_CHECKED - 1))


def _call_user_function(function: Callable[[float], float], progress: float) -> float:
    """Return the factor of the learning rate, or raise ValueError."""
    try:
        factor = float(function(progress))
    except Exception as error:
        raise ValueError(
            f"learning_rate failed for progress={progress:g}: {error}"
        ) from error
    if not 0.0 <= factor < math.inf:
        raise ValueError(
            f"learning_rate returned {factor} for progress={progress:g}, but the "
            "factor has to be a finite number of at least 0."
        )
    return factor


def _set_learning_rate(optimizer: Optimizer, learning_rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
