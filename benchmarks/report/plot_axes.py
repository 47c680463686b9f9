"""Axes: from values to positions in a drawing, with ticks at round values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.ticker import LogLocator, MaxNLocator

# Ticks in order of importance. A tick that is too close to an earlier one is omitted.
ACCURACIES = (0.9, 0.99, 0.5, 0.999, 0.95, 0.98, 0.8, 0.995, 0.998, 0.0, 0.7, 0.6, 0.3)

# Above this accuracy the error is a rounding error.
NO_ERROR = 1 - 1e-9


@dataclass(frozen=True)
class Axis:
    """A scale from `low` to `high` between the positions `start` and `stop`.

    Examples
    --------
    >>> axis = linear([0, 10], 0, 100)
    >>> axis.position(5), [text for _, text in axis.ticks]
    (50.0, ['0', '2', '4', '6', '8', '10'])
    """

    scale: Callable[[float], float]
    low: float
    high: float
    start: float
    stop: float
    marks: tuple[tuple[float, str], ...]

    def position(self, value: float) -> float:
        """Return the position of a value."""
        low, high = self.scale(self.low), self.scale(self.high)
        share = (self.scale(value) - low) / (high - low)
        return self.start + share * (self.stop - self.start)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Positions and labels of the ticks, without those that are too close."""
        kept: list[tuple[float, str]] = []
        for value, text in self.marks:
            position = self.position(value)
            inside = min(self.start, self.stop) - 0.5 <= position
            inside = inside and position <= max(self.start, self.stop) + 0.5
            if inside and all(abs(position - other) >= 16 for other, _ in kept):
                kept.append((position, text))
        return kept


def linear(values: Sequence[float], start: float, stop: float, most: int = 5) -> Axis:
    """Make a linear axis. Integer values get integer ticks."""
    low, high = _widen_single_value(min(values), max(values))
    whole = all(float(value).is_integer() for value in values)
    found = MaxNLocator(most, integer=whole, steps=[1, 2, 5, 10]).tick_values(low, high)
    marks = tuple((float(v), format_short(float(v))) for v in found if low <= v <= high)
    return Axis(float, low, high, start, stop, marks)


def logarithmic(values: Sequence[float], start: float, stop: float) -> Axis:
    """Make a logarithmic axis for positive values, with a margin at both ends."""
    low, high = min(values) / 1.35, max(values) * 1.35
    subs = (1.0,) if high / low > 1000 else (1.0, 3.0) if high / low > 30 else (1, 2, 5)
    found = LogLocator(subs=subs, numticks=20).tick_values(low, high)
    marks = tuple((float(v), format_short(float(v))) for v in found if low <= v <= high)
    return Axis(math.log10, low, high, start, stop, marks)


def accuracy(values: Sequence[float], start: float, stop: float) -> Axis:
    """Make an axis of accuracy that is spaced by the logarithm of the error.

    From 0.98 to 0.99 half of the errors vanish, as from 0.90 to 0.95. Both distances
    are equal. Values outside [0, 1] (for instance R²) get a linear axis.
    """
    if min(values) < 0 or max(values) > 1:
        return linear(values, start, stop)
    errors = [1 - value if value < NO_ERROR else 0.0 for value in values]
    most = max(errors) or 0.01
    # No error is drawn at the end, beyond half of the smallest error.
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


def format_short(value: float) -> str:
    """Write a number as ``10k`` or ``2.5M``; small numbers are unchanged."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _by_error(value: float, least: float) -> float:
    return -math.log10(max(1 - value, least))


def _widen_single_value(low: float, high: float) -> tuple[float, float]:
    """Add a margin to a single value."""
    if low == high:
        room = abs(low) / 10 or 1.0
        return low - room, high + room
    return low, high
