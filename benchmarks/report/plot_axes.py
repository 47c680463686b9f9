"""From figures to places in a drawing, with ticks where a reader expects them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.ticker import LogLocator, MaxNLocator

# By how much they tell: of two that would be too close the first is kept.
ACCURACIES = (0.9, 0.99, 0.5, 0.999, 0.95, 0.98, 0.8, 0.995, 0.998, 0.0, 0.7, 0.6, 0.3)

# From here an error is one of rounding.
NO_ERROR = 1 - 1e-9


@dataclass(frozen=True)
class Axis:
    """A scale from `low` to `high` laid between two places, `start` and `stop`.

    Examples
    --------
    >>> axis = linear([0, 10], 0, 100)
    >>> axis.place(5), [text for _, text in axis.ticks]
    (50.0, ['0', '2', '4', '6', '8', '10'])
    """

    scale: Callable[[float], float]
    low: float
    high: float
    start: float
    stop: float
    marks: tuple[tuple[float, str], ...]

    def place(self, value: float) -> float:
        """Return where a value is drawn."""
        low, high = self.scale(self.low), self.scale(self.high)
        share = (self.scale(value) - low) / (high - low)
        return self.start + share * (self.stop - self.start)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Places of ticks and their labels, too close ones left out."""
        kept: list[tuple[float, str]] = []
        for value, text in self.marks:
            place = self.place(value)
            inside = min(self.start, self.stop) - 0.5 <= place
            inside = inside and place <= max(self.start, self.stop) + 0.5
            if inside and all(abs(place - other) >= 16 for other, _ in kept):
                kept.append((place, text))
        return kept


def linear(values: Sequence[float], start: float, stop: float, most: int = 5) -> Axis:
    """Make an axis of equal steps; of whole numbers if the values are."""
    low, high = _apart(min(values), max(values))
    whole = all(float(value).is_integer() for value in values)
    found = MaxNLocator(most, integer=whole, steps=[1, 2, 5, 10]).tick_values(low, high)
    marks = tuple((float(v), short(float(v))) for v in found if low <= v <= high)
    return Axis(float, low, high, start, stop, marks)


def logarithmic(values: Sequence[float], start: float, stop: float) -> Axis:
    """Make an axis of equal ratios for positive values, with room at both ends."""
    low, high = min(values) / 1.35, max(values) * 1.35
    subs = (1.0,) if high / low > 1000 else (1.0, 3.0) if high / low > 30 else (1, 2, 5)
    found = LogLocator(subs=subs, numticks=20).tick_values(low, high)
    marks = tuple((float(v), short(float(v))) for v in found if low <= v <= high)
    return Axis(math.log10, low, high, start, stop, marks)


def accuracy(values: Sequence[float], start: float, stop: float) -> Axis:
    """Make an axis of accuracy spaced by the logarithm of the error.

    From 0.98 to 0.99 half the errors vanish, as from 0.90 to 0.95: both are as long.
    Values outside [0, 1] (an R², say) get equal steps.
    """
    if min(values) < 0 or max(values) > 1:
        return linear(values, start, stop)
    errors = [1 - value if value < NO_ERROR else 0.0 for value in values]
    most = max(errors) or 0.01
    # No error at all is drawn at the end, beyond half of the least one.
    least = min(errors) or min((e for e in errors if e), default=most) / 2
    ratio = max(1.12, (most / least) ** 0.06)
    low, high = 1 - min(1.0, most * ratio), 1 - least / ratio
    scale = partial(_by_error, least=least / ratio)
    if most / least > 2.5:
        marks = [(a, f"{a:g}") for a in ACCURACIES]
    else:
        found = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
        marks = [(float(v), f"{v:.4g}") for v in found]
    inside = tuple((v, text) for v, text in marks if low <= v <= high)
    return Axis(scale, low, high, start, stop, inside)


def short(value: float) -> str:
    """Write a number as ``10k`` or ``2.5M``, small ones as they are."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _by_error(value: float, least: float) -> float:
    return -math.log10(max(1 - value, least))


def _apart(low: float, high: float) -> tuple[float, float]:
    """Give a single value some room."""
    if low == high:
        room = abs(low) / 10 or 1.0
        return low - room, high + room
    return low, high
