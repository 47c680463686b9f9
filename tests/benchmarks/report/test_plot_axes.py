from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.report import plot_axes

SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=8)
POSITIVE = st.lists(st.floats(1e-6, 1e12), min_size=1, max_size=8)


@pytest.mark.parametrize("make", [plot_axes.accuracy, plot_axes.linear])
@given(values=SHARES)
def test_accuracies_lie_in_order_between_the_ends(make, values):
    check(make(values, 300, 10), values)


@given(values=POSITIVE)
def test_costs_lie_in_order_between_the_ends(values):
    check(plot_axes.logarithmic(values, 40, 400), values)


def check(axis, values):
    low, high = sorted((axis.start, axis.stop))
    places = [axis.position(value) for value in sorted(values)]
    assert all(low - 1e-6 <= place <= high + 1e-6 for place in places)
    assert places == pytest.approx(sorted(places, reverse=axis.stop < axis.start))
    ticks = sorted(place for place, _ in axis.ticks)
    assert all(low - 1 <= place <= high + 1 for place in ticks)
    gaps = [b - a for a, b in pairwise(ticks)]
    assert all(gap >= 15 for gap in gaps)


def test_halving_the_error_always_has_the_same_length():
    axis = plot_axes.accuracy([0.5, 0.999], 0, 100)
    first = axis.position(0.95) - axis.position(0.9)
    assert axis.position(0.99) - axis.position(0.98) == pytest.approx(first)


def test_zero_error_is_drawn_at_the_end():
    axis = plot_axes.accuracy([0.9, 0.98, 1.0], 0, 100)
    assert axis.position(0.9) < axis.position(0.98) < 90
    assert axis.position(1.0) == pytest.approx(100)


def test_accuracy_ticks_are_the_most_important_values():
    ticks = [text for _, text in plot_axes.accuracy([0.3, 0.9995], 300, 0).ticks]
    assert {"0.5", "0.9", "0.99", "0.999"} <= set(ticks)
    close = [text for _, text in plot_axes.accuracy([0.873, 0.879], 300, 0).ticks]
    assert len(close) >= 2


def test_values_outside_accuracy_get_a_linear_axis():
    axis = plot_axes.accuracy([-1.0, 0.5], 0, 100)
    assert axis.position(-0.25) == pytest.approx(
        (axis.position(-1) + axis.position(0.5)) / 2
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(950, "950"), (39_760, "39.8k"), (2.5e6, "2.5M"), (3e9, "3G"), (0.03, "0.03")],
)
def test_numbers_are_formatted_briefly(value, text):
    assert plot_axes.format_short(value) == text
