"""What the displays share with matplotlib, which is imported on use alone."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.gridspec import SubplotSpec

# Okabe and Ito (2008), "Color universal design": told apart by all kinds of eyes.
# Their yellow is left out, which a white page hides.
CYCLE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
BLUE, GREEN, RED = CYCLE[0], CYCLE[2], CYCLE[5]
NEUTRAL = "#777777"

# From purple over white to orange, safe as well; zero is white.
DIVERGING = "PuOr_r"


def import_pyplot(user: str) -> Any:
    """Return `matplotlib.pyplot`, or say how to get it."""
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError(
            f"{user} needs matplotlib, which is not installed; install it by "
            'pip install "skmlp[plot]".'
        ) from error
    return matplotlib.pyplot


def plot_area(
    user: str, ax: "Axes | None", size: tuple[float, float], title: str
) -> "tuple[Figure | SubFigure, SubplotSpec]":
    """Return where to lay out several axes: a new titled figure, or the place of `ax`.

    A title over the place of `ax` would lie on those of the axes within.
    """
    plt = import_pyplot(user)
    if ax is None:
        figure = plt.figure(figsize=size, layout="constrained")
        figure.suptitle(title)
        return figure, figure.add_gridspec(1, 1)[0]
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            "ax stands freely in its figure and cannot be divided; make it by "
            "plt.subplots()."
        )
    ax.set_axis_off()
    return ax.figure, place


def image_axes(
    figure: "Figure | SubFigure",
    place: "SubplotSpec",
    n: int,
    n_rows: int,
    n_columns: int,
) -> np.ndarray:
    """Return n axes without ticks in a grid, row by row."""
    grid = place.subgridspec(n_rows, n_columns)
    axes = np.empty(n, dtype=object)
    for i in range(n):
        axes[i] = figure.add_subplot(grid[i // n_columns, i % n_columns])
        axes[i].set(xticks=[], yticks=[])
    return axes


def use_whole_ticks(ax: "Axes") -> None:
    """Let the horizontal axis count: epochs, units."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def as_mapping(estimator: Any, name: str | None) -> dict[str, Any]:
    """Return estimators by the names that a legend gives them."""
    if isinstance(estimator, dict):
        if name is not None:
            raise ValueError("name is for one estimator; a dict has names of its own.")
        return {str(key): value for key, value in estimator.items()}
    return {type(estimator).__name__ if name is None else name: estimator}
