"""Colors, axes and the import of matplotlib."""

import subprocess
import sys
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from skmlp.inspection import WeightImageDisplay, _plotting


def test_missing_matplotlib_raises_and_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    display = WeightImageDisplay(images=np.zeros((1, 2, 2, 1)))
    with pytest.raises(ImportError, match=r"WeightImageDisplay.plot .*skmlp\[plot\]"):
        display.plot()


def test_importing_inspection_does_not_import_matplotlib():
    program = "import sys, skmlp.inspection\nprint('matplotlib' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_several_axes_are_drawn_in_the_area_of_the_given_one():
    figure, (left, right) = plt.subplots(ncols=2)
    display = WeightImageDisplay(images=np.zeros((4, 2, 2, 1))).plot(right)
    assert display.figure_ is figure
    assert all(ax.get_position().x0 > left.get_position().x1 for ax in display.axes_)


def test_ax_outside_a_grid_raises():
    ax = plt.figure().add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match=r"plt.subplots\(\)"):
        WeightImageDisplay(images=np.zeros((4, 2, 2, 1))).plot(ax)


# How eyes without one kind of cones see linear RGB: Machado, Oliveira and Fernandes
# (2009), "A physiologically-based model for simulation of color vision deficiency".
EYES = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
TO_XYZ = np.array(
    [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
)


def seen_as(color, eyes):
    """CIELAB coordinates of a color as other eyes see it."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = TO_XYZ @ np.clip(eyes @ linear, 0, 1)
    x, y, z = np.cbrt(np.maximum(xyz / TO_XYZ.sum(axis=1), 216 / 24389))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eyes", EYES)
def test_colors_differ_for_color_blind_readers(eyes):
    for one, other in combinations(_plotting.CYCLE, 2):
        # About 2 is the least that can be seen, side by side.
        distance = np.linalg.norm(seen_as(one, EYES[eyes]) - seen_as(other, EYES[eyes]))
        assert distance > 10, (one, other)


def test_color_blindness_reduces_the_distance_of_red_and_green():
    green, red = "#7f9f00", "#d07f00"
    distances = {
        name: np.linalg.norm(seen_as(green, eyes) - seen_as(red, eyes))
        for name, eyes in EYES.items()
    }
    assert distances["all cones"] > 2 * distances["deuteranopia"]
