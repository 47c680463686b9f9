"""Colors, axes and legends that the displays share.

matplotlib is imported only when something is drawn.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.gridspec import SubplotSpec

# Colors of Okabe and Ito (2008), "Color universal design", which color-blind readers
# can distinguish. Their yellow is left out, because it is hard to see on white.
CYCLE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
BLUE, GREEN, RED = CYCLE[0], CYCLE[2], CYCLE[5]
NEUTRAL = "#777777"

# From purple over white to orange, safe for color-blind readers; zero is white.
DIVERGING = "PuOr_r"


def import_pyplot(caller: str) -> Any:
    """Return `matplotlib.pyplot`, or raise an error that says how to install it."""
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib, which is not installed; install it by "
            'pip install "skmlp[plot]".'
        ) from error
    return matplotlib.pyplot


def plot_area(
    caller: str, ax: "Axes | None", size: tuple[float, float], title: str
) -> "tuple[Figure | SubFigure, SubplotSpec]":
    """Return a figure, and the area in which several axes can be placed.

    - Without `ax`, a new figure with `title` is created.
    - With `ax`, its area is used. No title is set, because it could cover other titles
      in the figure of the user.
    """
    plt = import_pyplot(caller)
    if ax is None:
        figure = plt.figure(figsize=size, layout="constrained")
        figure.suptitle(title)
        return figure, figure.add_gridspec(1, 1)[0]
    area = ax.get_subplotspec()
    if area is None:
        raise ValueError(
            "ax is not part of a grid and cannot be divided; create it with "
            "plt.subplots()."
        )
    ax.set_axis_off()
    return ax.figure, area


def image_axes(
    figure: "Figure | SubFigure",
    area: "SubplotSpec",
    n: int,
    n_rows: int,
    n_columns: int,
) -> np.ndarray:
    """Return n axes without ticks in a grid that is filled row by row."""
    grid = area.subgridspec(n_rows, n_columns)
    axes = np.empty(n, dtype=object)
    for i in range(n):
        axes[i] = figure.add_subplot(grid[i // n_columns, i % n_columns])
        axes[i].set(xticks=[], yticks=[])
    return axes


def use_integer_ticks(ax: "Axes") -> None:
    """Use integer ticks on the x axis."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def as_mapping(estimator: Any, name: str | None) -> dict[str, Any]:
    """Return a dict from legend label to estimator."""
    if isinstance(estimator, dict):
        if name is not None:
            raise ValueError("name is for one estimator; a dict has names of its own.")
        return {str(key): value for key, value in estimator.items()}
    return {type(estimator).__name__ if name is None else name: estimator}
