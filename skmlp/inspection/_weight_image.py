"""The weights of a layer as images, and what an output makes of its units."""

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from skmlp.inspection._images import as_images, check_count, grid_shape, to_shades
from skmlp.inspection._networks import fitted_network
from skmlp.inspection._plotting import (
    DIVERGING,
    GREEN,
    NEUTRAL,
    RED,
    image_axes,
    plot_area,
    use_whole_ticks,
)
from skmlp.neural_network._layers.names import layer_index

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colour, line and width of a frame: told apart without colours as well.
_FRAMES: dict[str | None, dict[str, Any]] = {
    "over": {"color": GREEN, "linestyle": "-", "linewidth": 3.0},
    "under": {"color": RED, "linestyle": (0, (2, 1)), "linewidth": 3.0},
    None: {"color": NEUTRAL, "linestyle": "-", "linewidth": 0.5},
}


class WeightImageDisplay:
    """Every unit's weights as an image, all on one colour scale.

    It is recommended to use `from_estimator` to create a display. The colour of a
    weight of zero is white; weights of three channels are shown as red, green and
    blue, and zero is grey.

    Parameters
    ----------
    images : ndarray of shape (n_units, height, width, channels)
        Weights, of 1 or 3 channels.
    unit_names : list of str, default=None
        Titles of the images; None counts them from 0.
    output_weights : ndarray of shape (n_units,), default=None
        Weights from these units to one output unit.
    output_name : str, default=None
        Name of that output unit.
    threshold : float, default=0.75
        An image is framed where its output weight is over `threshold` (green, a full
        line) or under ``-threshold`` (red, a dashed line).

    Attributes
    ----------
    limit : float
        Largest absolute weight; the colour scale is from ``-limit`` to ``limit``.
    frames : list of {'over', 'under', None}
        Frame of each image.
    axes_ : ndarray of matplotlib Axes
        One for each image.
    bar_ax_ : matplotlib Axes or None
        Output weights as bars.
    figure_ : matplotlib Figure

    See Also
    --------
    FeatureMapDisplay : What the layers make of an image.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmlp.inspection import WeightImageDisplay
    >>> from skmlp.neural_network import MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier(20, solver="lbfgs", tol=0.01, random_state=0)
    >>> display = WeightImageDisplay.from_estimator(model.fit(X / 16, y), output=3)
    >>> display.images.shape
    (20, 8, 8, 1)
    >>> display.output_weights.shape
    (20,)
    """

    def __init__(
        self,
        *,
        images: np.ndarray,
        unit_names: list[str] | None = None,
        output_weights: np.ndarray | None = None,
        output_name: str | None = None,
        threshold: float = 0.75,
    ) -> None:
        self.images = images
        self.unit_names = unit_names
        self.output_weights = output_weights
        self.output_name = output_name
        self.threshold = threshold

    @property
    def limit(self) -> float:
        """Largest absolute weight."""
        return float(np.abs(self.images).max()) or 1.0

    @property
    def frames(self) -> list[Literal["over", "under"] | None]:
        """Frame of each image."""
        if self.output_weights is None:
            return [None] * len(self.images)
        return [
            "over"
            if weight > self.threshold
            else "under"
            if weight < -self.threshold
            else None
            for weight in self.output_weights
        ]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        layer: int = 0,
        output: Any = None,
        threshold: float = 0.75,
        image_shape: tuple[int, ...] | None = None,
        max_images: int = 50,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the weights of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            One of `skmlp.neural_network`, alone or at the end of a Pipeline.
        layer : int, default=0
            Layer as in ``coefs_``: the first one, whose units look at pixels, or a
            convolution. A filter of other than 1 or 3 channels is one image for each.
        output : label, default=None
            Class (for regression, number of the target) whose weights are drawn as
            bars and as frames; the layer after `layer` must be the output.
        threshold : float, default=0.75
            Output weights beyond it have a frame.
        image_shape : tuple of int, default=None
            Height, width and channels of the rows; None takes the estimator's
            ``image_shape_``, else a square.
        max_images, ax
            See `plot`.

        Returns
        -------
        display : WeightImageDisplay

        Raises
        ------
        ValueError
            If the layer does not look at pixels or is not before the output, or if
            the output is unknown.
        """
        _, last = fitted_network(estimator, f"{cls.__name__}.from_estimator")
        coefs = last.coefs_
        layer = layer_index(layer, len(coefs))
        weights = coefs[layer]
        names = None
        if weights.ndim == 4:
            images, names = _filter_images(weights, layer)
        elif layer == 0:
            shape = image_shape or last.image_shape_
            images = as_images(weights.T, shape)
            if images.shape[-1] not in (1, 3):
                raise ValueError(
                    f"images have {images.shape[-1]} channels; 1 or 3 can be drawn."
                )
        else:
            raise ValueError(
                f"layer={layer} is dense and does not look at pixels; only layer=0 and "
                "convolutions can be drawn as images."
            )
        if len(coefs) == 1 and weights.shape[1] == len(getattr(last, "classes_", ())):
            names = [str(label) for label in last.classes_]
        output_weights = None
        if output is not None:
            output_weights = _output_weights(last, layer, output)
            if len(images) != len(output_weights):
                raise ValueError(
                    f"output={output!r} has {len(output_weights)} weights, but there "
                    f"are {len(images)} images; it needs one channel or three."
                )
        display = cls(
            images=images,
            unit_names=names,
            output_weights=output_weights,
            output_name=None if output is None else str(output),
            threshold=threshold,
        )
        return display.plot(ax, max_images=max_images)

    def plot(self, ax: "Axes | None" = None, *, max_images: int = 50) -> Self:
        """Draw the images, and the bars if there are output weights.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Its place is divided among the images; None makes a figure.
        max_images : int, default=50
            The images of the first so many units are drawn; bars are for the same.

        Returns
        -------
        self : WeightImageDisplay
        """
        check_count("max_images", max_images)
        n = min(len(self.images), max_images)
        n_rows, n_columns = grid_shape(n)
        bars = self.output_weights is not None
        height, width = self.images.shape[1:3]
        tall = min(max(height / width, 0.3), 3)
        size = (max(n_columns * 0.9 + 1, 6), n_rows * 1.05 * tall + 1 + 2 * bars)
        figure, place = plot_area(
            f"{type(self).__name__}.plot", ax, size, self._title(n)
        )
        if bars:
            halves = place.subgridspec(
                2, 1, height_ratios=[n_rows * 1.05 * tall + 0.5, 2]
            )
            place = halves[0]
        self.figure_ = figure
        self.axes_ = image_axes(figure, place, n, n_rows, n_columns)
        self._plot_images(n)
        self.bar_ax_ = None
        if bars:
            self.bar_ax_ = figure.add_subplot(halves[1])
            self._plot_bars(self.bar_ax_, n)
        return self

    def _title(self, n: int) -> str:
        some = "" if n == len(self.images) else f" (first {n} of {len(self.images)})"
        scale = f", grey is 0, ±{self.limit:.2g} at most" * (self.images.shape[-1] == 3)
        return f"Weights{some}{scale}"

    def _plot_images(self, n: int) -> None:
        limit = self.limit
        names = self.unit_names or [str(i) for i in range(len(self.images))]
        for ax, image, name, frame in zip(
            self.axes_, self.images[:n], names, self.frames, strict=False
        ):
            if image.shape[-1] == 3:
                drawn = ax.imshow(to_shades(image, -limit, limit))
            else:
                drawn = ax.imshow(
                    image[..., 0], cmap=DIVERGING, vmin=-limit, vmax=limit
                )
            ax.set_title(name, fontsize="small", pad=3)
            for spine in ax.spines.values():
                # The cap of spines would fill the gaps of a dashed line.
                spine.set(capstyle="butt", **_FRAMES[frame])
        if self.images.shape[-1] == 1:
            self.figure_.colorbar(drawn, ax=list(self.axes_), label="Weight")

    def _plot_bars(self, ax: "Axes", n: int) -> None:
        assert self.output_weights is not None
        colors = [
            NEUTRAL if frame is None else _FRAMES[frame]["color"]
            for frame in self.frames[:n]
        ]
        hatches = ["//" if frame == "under" else "" for frame in self.frames[:n]]
        ax.bar(range(n), self.output_weights[:n], color=colors, hatch=hatches)
        ax.axhline(0, color="black", linewidth=0.8)
        for level, frame in ((self.threshold, "over"), (-self.threshold, "under")):
            style = _FRAMES[frame]
            ax.axhline(
                level,
                color=style["color"],
                linestyle=style["linestyle"],
                linewidth=1,
                label=f"{frame} {level:g}",
            )
        ax.set(
            xlabel="Hidden unit",
            ylabel=f"Weight to output {self.output_name}",
            xlim=(-0.75, n - 0.25),
        )
        use_whole_ticks(ax)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), title="Frame")


def _filter_images(
    weights: np.ndarray, layer: int
) -> tuple[np.ndarray, list[str] | None]:
    """Return the images of filters ``(height, width, in, out)``, and their names."""
    n_inputs, n_outputs = weights.shape[2:]
    filters = weights.transpose(3, 0, 1, 2)
    if n_inputs == 1 or (n_inputs == 3 and layer == 0):
        return filters, None
    images = filters.transpose(0, 3, 1, 2).reshape(-1, *weights.shape[:2], 1)
    names = [f"{i} to {o}" for o in range(n_outputs) for i in range(n_inputs)]
    return images, names


def _output_weights(estimator: Any, layer: int, output: Any) -> np.ndarray:
    """Return the weights from a layer's units to an output unit."""
    coefs = estimator.coefs_
    n_units = coefs[layer].shape[-1]
    if len(coefs) != layer + 2 or len(coefs[-1]) != n_units:
        raise ValueError(
            f"output={output!r} needs the output to come right after layer={layer}; "
            f"this network has {len(coefs)} layers."
        )
    labels = list(getattr(estimator, "classes_", range(coefs[-1].shape[1])))
    if output not in labels:
        raise ValueError(f"output={output!r} is none of {labels}.")
    index = labels.index(output)
    if coefs[-1].shape[1] < len(labels):  # one logit for two classes
        return coefs[-1][:, 0] if index else -coefs[-1][:, 0]
    return coefs[-1][:, index]
