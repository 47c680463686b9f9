"""Learning rates over time."""

import math
from dataclasses import dataclass

from torch.optim import Optimizer

NAMES = ("constant", "invscaling", "adaptive", "cosine", "onecycle", "step")

# As in scikit-learn, these act on plain gradient descent alone.
_SGD_ONLY = frozenset({"invscaling", "adaptive"})

# These are drawn up for a number of epochs, at the end of which they end.
WITH_PLANNED_END = ("cosine", "onecycle")

# These are functions of the step; the others move the rate from where it stands.
_BY_STEP = frozenset({"cosine", "onecycle", "step"})

_SMALLEST_ADAPTIVE_RATE = 1e-6
_ADAPTIVE_DIVISOR = 5.0

# Defaults of torch.optim.lr_scheduler.OneCycleLR (Smith and Topin 2017).
_ONECYCLE_RISE = 0.3
_ONECYCLE_START = 1 / 25.0
_ONECYCLE_END = _ONECYCLE_START / 1e4


def _cosine(start: float, end: float, fraction: float) -> float:
    """Half a cosine wave from `start` to `end`."""
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * fraction))


@dataclass
class Schedule:
    """Sets an optimizer's learning rate before batches and after epochs.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    learning_rate_init : float
        The highest rate.
    power_t : float
        Exponent of 'invscaling'.
    step_size, gamma : int, float
        'step' multiplies the rate by `gamma` every `step_size` epochs.
    warmup_epochs : float
        Epochs in which the rate rises linearly to where the schedule starts.
    total_epochs : int
        Length of 'cosine' and 'onecycle'.
    """

    name: str
    learning_rate_init: float
    power_t: float = 0.5
    step_size: int = 10
    gamma: float = 0.1
    warmup_epochs: float = 0.0
    total_epochs: int = 1
    steps_done: int = 0
    batches_per_epoch: int = 0

    @classmethod
    def for_solver(cls, solver: str, name: str, **params: float) -> "Schedule":
        """Return the schedule, constant where the solver ignores it."""
        if name in _SGD_ONLY and solver != "sgd":
            name = "constant"
        return cls(name, **params)  # type: ignore[arg-type]

    @property
    def has_planned_end(self) -> bool:
        """Whether the rate has come to its end after the last epoch, as planned."""
        return self.name in WITH_PLANNED_END

    @property
    def is_past_planned_end(self) -> bool:
        """Whether steps were taken after the planned end, at the rate that is left."""
        planned = self.total_epochs * self.batches_per_epoch
        return self.has_planned_end and self.steps_done > planned

    @property
    def moves_within_epochs(self) -> bool:
        """Whether the rate is not the same for all batches of an epoch."""
        return self.name in _BY_STEP or self.warmup_epochs > 0

    def before_batch(self, optimizer: Optimizer, batches_per_epoch: int) -> None:
        """Set the rate of the coming step."""
        if batches_per_epoch != self.batches_per_epoch:
            if self.batches_per_epoch:  # other rows: as many epochs are behind it
                epochs = self.steps_done / self.batches_per_epoch
                self.steps_done = round(epochs * batches_per_epoch)
            self.batches_per_epoch = batches_per_epoch
        if self.moves_within_epochs:
            warmup = round(self.warmup_epochs * batches_per_epoch)
            # The step after the warm-up is the first at the schedule's own rate.
            if self.name in _BY_STEP or self.steps_done <= warmup:
                factor = self.factor(self.steps_done, batches_per_epoch)
                _set_rate(optimizer, self.learning_rate_init * factor)
        self.steps_done += 1

    def factor(self, step: int, batches_per_epoch: int) -> float:
        """Return what multiplies the initial rate at `step`, counted from 0."""
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
        if self.name == "step":
            return self.gamma ** (step // batches_per_epoch // self.step_size)
        return 1.0

    def after_epoch(self, optimizer: Optimizer, samples_seen: int) -> None:
        """Scale the rate by the number of samples seen, where it depends on it."""
        if self.name == "invscaling":
            rate = self.learning_rate_init / (samples_seen + 1) ** self.power_t
            _set_rate(optimizer, rate)

    def on_plateau(self, optimizer: Optimizer) -> tuple[bool, str]:
        """Return whether to stop when training stalls, and a word on it."""
        if self.name != "adaptive":
            return True, " Stopping."
        rate = optimizer.param_groups[0]["lr"]
        if rate <= _SMALLEST_ADAPTIVE_RATE:
            return True, " Learning rate too small. Stopping."
        rate /= _ADAPTIVE_DIVISOR
        _set_rate(optimizer, rate)
        return False, f" Setting learning rate to {rate:f}"


def _set_rate(optimizer: Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
