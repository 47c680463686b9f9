"""Draw the weights of each unit as an image.

Optionally, the weights from the units to one output are drawn as bars.
"""

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
    use_integer_ticks,
)
from skmlp.neural_network._layers.names import layer_index

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Frames also differ in line style and width, for color-blind readers.
_FRAMES: dict[str | None, dict[str, Any]] = {
    "over": {"color": GREEN, "linestyle": "-", "linewidth": 3.0},
    "under": {"color": RED, "linestyle": (0, (2, 1)), "linewidth": 3.0},
    None: {"color": NEUTRAL, "linestyle": "-", "linewidth": 0.5},
}


class WeightImageDisplay:
    """The weights of every unit as an image, all on one color scale.

    It is recommended to use `from_estimator` to create a display.

    - With one channel, a weight of zero is white.
    - With three channels, the weights are shown as red, green and blue, and a weight of
      zero is gray.

    Parameters
    ----------
    images : ndarray of shape (n_units, height, width, channels)
        Weights with 1 or 3 channels.
    unit_names : list of str, default=None
        Titles of the images. None numbers them from 0.
    output_weights : ndarray of shape (n_units,), default=None
        Weights from these units to one output unit.
    output_name : str, default=None
        Name of that output unit.
    threshold : float, default=0.75
        Images with an output weight above `threshold` have a green solid frame. Images
        with an output weight below ``-threshold`` have a red dashed frame.

    Attributes
    ----------
    limit : float
        Largest absolute weight. The color scale ranges from ``-limit`` to ``limit``.
    frames : list of {'over', 'under', None}
        Frame of each image.
    axes_ : ndarray of matplotlib Axes
        One for each image.
    bar_ax_ : matplotlib Axes or None
        Axes of the output weights as bars.
    figure_ : matplotlib Figure
        The figure of the axes.

    See Also
    --------
    FeatureMapDisplay : The outputs of the layers for one image.

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
            An estimator of `skmlp.neural_network`, alone or at the end of a Pipeline.
        layer : int, default=0
            Index in ``coefs_``. Only the first layer and convolutions can be drawn.

            - A filter of one channel is one image.
            - A filter of three channels is one color image in the first layer.
            - A filter of signals is one image with a row for each input channel.
            - Other filters are drawn as one image for each input channel. A later
              convolution has feature maps as its input, so three channels are not
              colors.
        output : label, default=None
            Class label, or index of the target in regression. The weights from the
            units to this output are drawn as bars and determine the frames. The layer
            has to be the last one before the output.
        threshold : float, default=0.75
            Images whose output weight has a larger absolute value have a colored frame.
        image_shape : tuple of int, default=None
            Height, width and channels of flat samples. None uses ``image_shape_`` of
            the estimator, or a square.
        max_images, ax
            See `plot`.

        Returns
        -------
        display : WeightImageDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator is not from `skmlp.neural_network`.
        ValueError
            If the layer cannot be drawn as images, if `output` is given and the next
            layer is not the output, or if there is no such output.
        """
        _, final = fitted_network(estimator, f"{cls.__name__}.from_estimator")
        coefs = final.coefs_
        layer = layer_index(layer, len(coefs))
        weights = coefs[layer]
        names = None
        if weights.ndim == 3:  # (steps, in, out) of signals
            images = weights.transpose(2, 1, 0)[..., np.newaxis]
        elif weights.ndim == 4:
            images, names = _filter_images(weights, layer)
        elif layer == 0:
            shape = image_shape or final.image_shape_
            images = as_images(weights.T, shape)
            if images.shape[-1] not in (1, 3):
                raise ValueError(
                    f"images have {images.shape[-1]} channels; 1 or 3 can be drawn."
                )
        else:
            raise ValueError(
                f"layer={layer} is dense and its inputs are not pixels; only layer=0 "
                "and convolutions can be drawn as images."
            )
        labels = getattr(final, "classes_", ())
        # Without a hidden layer, each image belongs to a class.
        if len(coefs) == 1 and weights.shape[1] == len(labels):
            names = [str(label) for label in labels]
        output_weights = None
        if output is not None:
            output_weights = _read_output_weights(final, layer, output)
            if len(images) != len(output_weights):
                raise ValueError(
                    f"output={output!r} has {len(output_weights)} weights, but there "
                    f"are {len(images)} images; each unit has to be one image."
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
            Its area is divided among the images. None creates a figure.
        max_images : int, default=50
            Largest number of units that are drawn as images and bars.

        Returns
        -------
        self : WeightImageDisplay

        Raises
        ------
        ValueError
            If `max_images` is below 1.
        """
        check_count("max_images", max_images)
        n = min(len(self.images), max_images)
        n_rows, n_columns = grid_shape(n)
        bars = self.output_weights is not None
        height, width = self.images.shape[1:3]
        # Sizes in inches. An image with its title is about 0.9 x 1.05, the bars have a
        # height of 2.
        aspect = min(max(height / width, 0.3), 3)
        size = (max(n_columns * 0.9 + 1, 6), n_rows * 1.05 * aspect + 1 + 2 * bars)
        figure, area = plot_area(
            f"{type(self).__name__}.plot", ax, size, self._title(n)
        )
        if bars:
            halves = area.subgridspec(
                2, 1, height_ratios=[n_rows * 1.05 * aspect + 0.5, 2]
            )
            area = halves[0]
        self.figure_ = figure
        self.axes_ = image_axes(figure, area, n, n_rows, n_columns)
        self._plot_images(n)
        self.bar_ax_ = None
        if bars:
            self.bar_ax_ = figure.add_subplot(halves[1])
            self._plot_bars(self.bar_ax_, n)
        return self

    def _title(self, n: int) -> str:
        """Return the title of a figure with n images."""
        title = "Weights"
        if n < len(self.images):
            title += f" (first {n} of {len(self.images)})"
        if self.images.shape[-1] == 3:
            title += f", gray is 0, range ±{self.limit:.2g}"
        return title

    def _plot_images(self, n: int) -> None:
        """Draw the first n images with their frames."""
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
                # The default line cap of spines fills the gaps of a dashed line.
                spine.set(capstyle="butt", **_FRAMES[frame])
        if self.images.shape[-1] == 1:
            self.figure_.colorbar(drawn, ax=list(self.axes_), label="Weight")

    def _plot_bars(self, ax: "Axes", n: int) -> None:
        """Draw the first n output weights with the threshold."""
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
        use_integer_ticks(ax)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), title="Frame")


def _filter_images(
    weights: np.ndarray, layer: int
) -> tuple[np.ndarray, list[str] | None]:
    """Return images of filters ``(height, width, in, out)``, and names for them."""
    n_inputs, n_outputs = weights.shape[2:]
    filters = weights.transpose(3, 0, 1, 2)
    if n_inputs == 1 or (n_inputs == 3 and layer == 0):
        return filters, None
    images = filters.transpose(0, 3, 1, 2).reshape(-1, *weights.shape[:2], 1)
    names = [f"{i} to {o}" for o in range(n_outputs) for i in range(n_inputs)]
    return images, names


def _read_output_weights(estimator: Any, layer: int, output: Any) -> np.ndarray:
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
    if coefs[-1].shape[1] < len(labels):
        # A binary classifier has one logit, for the second class. For the first class
        # the sign is reversed.
        return coefs[-1][:, 0] if index else -coefs[-1][:, 0]
    return coefs[-1][:, index]
