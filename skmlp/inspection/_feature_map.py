"""The outputs of all layers for one image."""

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import nn

from skmlp.inspection._images import (
    as_images,
    check_count,
    mosaic,
    pixel_range,
    to_shades,
)
from skmlp.inspection._networks import fitted_network
from skmlp.inspection._plotting import BLUE, DIVERGING, plot_area
from skmlp.training.modules.introspection import (
    RESHAPING_MODULES,
    channels_last,
    layer_of_module,
    module_outputs,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FIGURE_WIDTH = 8.0


class FeatureMapDisplay:
    """The feature maps of every layer for one image, from input to output.

    It is recommended to use `from_estimator` to create a display. All maps of a layer
    share a color scale:

    - It starts at 0 if no value is negative.
    - Otherwise it has two hues, and 0 is white.

    Parameters
    ----------
    maps : dict of str to ndarray
        The input with the key ``"input"``, then each layer by its name. Values are
        feature maps of shape (height, width, channels), maps of signals of shape
        (length, channels) or units of shape (n_units,).
    output_names : list of str, default=None
        Names of the units of the last layer.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for each entry of `maps`.
    figure_ : matplotlib Figure
        The figure of the axes.

    See Also
    --------
    WeightImageDisplay : The filters that compute the maps.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmlp.inspection import FeatureMapDisplay
    >>> from skmlp.neural_network import CNNClassifier
    >>> digits = load_digits()
    >>> model = CNNClassifier((4, 8), solver="lbfgs", tol=1, random_state=0)
    >>> model = model.fit(digits.images / 16, digits.target)
    >>> display = FeatureMapDisplay.from_estimator(model, digits.images[0] / 16)
    >>> {name: values.shape for name, values in display.maps.items()}
    {'input': (8, 8, 1), 'conv1': (4, 4, 4), 'conv2': (2, 2, 8),
     'dense1': (128,), 'output': (10,)}
    """

    def __init__(
        self,
        *,
        maps: Mapping[str, np.ndarray],
        output_names: Sequence[str] | None = None,
    ) -> None:
        self.maps = dict(maps)
        self.output_names = None if output_names is None else list(output_names)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        image: Any,
        *,
        image_shape: tuple[int, ...] | None = None,
        max_maps: int = 64,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the outputs of a fitted estimator's layers for an image.

        Parameters
        ----------
        estimator : fitted estimator
            An estimator of `skmlp.neural_network`, alone or at the end of a Pipeline.
            The other steps of the Pipeline transform the image first.
        image : array-like of shape (n_features,), (height, width), (height, width, \
channels) or (length, channels)
            One sample in the form that the estimator takes.
        image_shape : tuple of int, default=None
            Height, width and channels of a flat sample. None uses ``image_shape_`` of
            the estimator, or a square. A sample that is not a square image is drawn as
            a row of values.
        max_maps, ax
            See `plot`.

        Returns
        -------
        display : FeatureMapDisplay
            Each map is the output of a layer after activation and pooling. The map
            'output' contains the logits.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator is not from `skmlp.neural_network`.
        ValueError
            If the image has another size than the estimator takes.
        """
        transformers, final = fitted_network(
            estimator, f"{cls.__name__}.from_estimator"
        )
        batch = np.asarray(image)[np.newaxis]
        if transformers is not None:
            batch = np.asarray(transformers.transform(batch))
        if batch.size != final.n_features_in_:
            raise ValueError(
                f"image has shape {np.shape(image)}, which makes {batch.size} "
                f"features, but the network takes {final.n_features_in_}; give one "
                "image, such as X[0]."
            )
        sample = batch.reshape(1, -1)
        # Without any shape, a flat sample is drawn as a square image if possible.
        shape = image_shape or final.image_shape_ or batch.shape[1:]
        if final.image_shape_ is not None and len(final.image_shape_) == 2:  # signals
            maps = {"input": sample.reshape(final.image_shape_)}
        else:
            maps = {"input": _input_map(sample, shape if len(shape) > 1 else None)}
        maps |= _layer_maps(final.net_.module_, sample)
        labels = getattr(final, "classes_", ())
        has_names = len(labels) == len(maps["output"])
        names = [str(label) for label in labels] if has_names else None
        display = cls(maps=maps, output_names=names)
        return display.plot(ax, max_maps=max_maps)

    def plot(
        self, ax: "Axes | None" = None, *, max_maps: int = 64, n_columns: int = 16
    ) -> Self:
        """Draw one row for each layer.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Its area is divided among the layers. None creates a figure.
        max_maps : int, default=64
            Largest number of maps of a layer that are drawn.
        n_columns : int, default=16
            Number of maps side by side.

        Returns
        -------
        self : FeatureMapDisplay

        Raises
        ------
        ValueError
            If `max_maps` or `n_columns` is below 1.
        """
        check_count("max_maps", max_maps)
        check_count("n_columns", n_columns)
        heights = [
            _drawn_height(values, min(max_maps, values.shape[-1]), n_columns)
            for values in self.maps.values()
        ]
        # In inches; a title has a height of 0.45.
        size = (_FIGURE_WIDTH, sum(heights) + 0.45 * len(heights) + 0.3)
        figure, area = plot_area(
            f"{type(self).__name__}.plot", ax, size, "Feature maps"
        )
        grid = area.subgridspec(len(heights), 1, height_ratios=heights)
        self.figure_ = figure
        self.axes_ = np.empty(len(heights), dtype=object)
        for i, (name, values) in enumerate(self.maps.items()):
            self.axes_[i] = panel = figure.add_subplot(grid[i])
            if name == "input" and values.ndim == 3:
                low, high = pixel_range(values)
                panel.imshow(to_shades(values, low, high), cmap="gray", vmin=0, vmax=1)
                panel.set(xticks=[], yticks=[])
            elif name == "input" and values.ndim == 2:
                panel.plot(values[:, :max_maps], linewidth=1)
                panel.set_xlim(0, len(values) - 1 or 1)
            elif name == "output" and self.output_names is not None:
                _plot_output(panel, values, self.output_names)
            else:
                _plot_maps(panel, values, max_maps, n_columns)
            panel.set_title(
                _title(name, values, max_maps), fontsize="small", loc="left"
            )
            panel.set_anchor("W")
        return self


def _plot_output(ax: "Axes", values: np.ndarray, names: list[str]) -> None:
    """Draw logits as bars."""
    ax.bar(range(len(values)), values, color=BLUE)
    ax.axhline(0, color="black", linewidth=0.8)
    if max(map(len, names)) > 4:
        ax.set_xticks(
            range(len(values)), names, rotation=30, ha="right", rotation_mode="anchor"
        )
    else:
        ax.set_xticks(range(len(values)), names)
    ax.set_ylabel("Logit")


def _plot_maps(ax: "Axes", values: np.ndarray, max_maps: int, n_columns: int) -> None:
    """Draw maps side by side, maps of signals one below the other, units as a strip."""
    if values.ndim == 3:
        picture = mosaic(values.transpose(2, 0, 1)[:max_maps], n_columns)
    elif values.ndim == 2:
        picture = values.T[:max_maps]
    else:
        picture = values[np.newaxis]
    limit = float(np.abs(values).max()) or 1.0
    signed = values.min() < 0
    drawn = ax.imshow(
        picture,
        cmap=DIVERGING if signed else "viridis",
        vmin=-limit if signed else 0,
        vmax=limit,
        aspect="equal" if values.ndim == 3 else "auto",
        interpolation="nearest",
    )
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(values.ndim == 1)
    ax.figure.colorbar(drawn, ax=ax, pad=0.01, aspect=8)


def _layer_maps(network: nn.Module, sample: np.ndarray) -> dict[str, np.ndarray]:
    """Return the output of every layer after its activation and pooling.

    The modules of a layer have the same key, so the last output replaces the others.
    """
    # A copy, because the hooks would disturb a prediction in another thread.
    network = copy.deepcopy(network)
    first = next(network.parameters())
    x = torch.tensor(sample, dtype=first.dtype, device=first.device)
    maps: dict[str, np.ndarray] = {}
    for name, _, output in module_outputs(network, x):
        # Modules inside blocks, and modules that only reshape, are left out.
        if name and "." not in name and name not in RESHAPING_MODULES:
            values = channels_last(output, network)[0]
            maps[layer_of_module(name)] = values.cpu().numpy()
    return maps


def _input_map(sample: np.ndarray, image_shape: tuple[int, ...] | None) -> np.ndarray:
    """Return the input as an image, or as a vector if it cannot be drawn as one."""
    try:
        image = as_images(sample, image_shape)[0]
    except ValueError:
        if image_shape is not None:
            raise
        return sample[0]
    return image if image.shape[-1] in (1, 3) else sample[0]


def _drawn_height(values: np.ndarray, n_maps: int, n_columns: int) -> float:
    """Return the height in inches of the picture of a layer."""
    if values.ndim == 1:
        return 0.4 if len(values) > 30 else 0.8
    if values.ndim == 2:  # signals
        return min(max(0.12 * n_maps, 0.8), 2.0)
    height, width = values.shape[:2]
    if n_maps <= 3:  # the input image, or at most three maps
        return 1.2
    n_rows = -(-n_maps // n_columns)
    tile = min(_FIGURE_WIDTH * 0.9 / min(n_maps, n_columns), 1.0)
    return n_rows * tile * min(max(height / width, 0.2), 5)


def _title(name: str, values: np.ndarray, max_maps: int) -> str:
    """Return the title of the picture of a layer."""
    if values.ndim == 1:
        return f"{name}: {len(values)} {'unit' if len(values) == 1 else 'units'}"
    *sides, n_maps = values.shape
    size = " x ".join(map(str, sides)) + (" steps" if len(sides) == 1 else "")
    if name == "input":
        return f"input: {size}" + (f" x {n_maps}" if n_maps > 1 else "")
    some = f", first {max_maps} drawn" if n_maps > max_maps else ""
    return f"{name}: {n_maps} maps of {size}{some}"
