"""Images next to their augmented copies."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from skmlp.inspection._images import (
    as_images,
    check_count,
    pixel_range,
    signals_as_images,
    to_shades,
)
from skmlp.inspection._networks import split_estimator
from skmlp.inspection._plotting import image_axes, plot_area

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class AugmentationDisplay:
    """Original images, each next to augmented copies of it.

    It is recommended to use `from_estimator` or `from_augmentation` to create a
    display. Copies are drawn with the pixel range of the originals.

    Parameters
    ----------
    originals : ndarray of shape (n_samples, height, width, channels)
        Images with 1 or 3 channels.
    copies : ndarray of shape (n_samples, n_copies, height, width, channels)
        Augmented copies of each image.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_samples, 1 + n_copies)
        One row of axes for each image: the original, then its copies.
    figure_ : matplotlib Figure
        The figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmlp.augmentation import RandomAffine
    >>> from skmlp.inspection import AugmentationDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> display = AugmentationDisplay.from_augmentation(
    ...     RandomAffine(degrees=20, translate=0.1), X[:3], n_copies=5, random_state=0
    ... )
    >>> display.copies.shape
    (3, 5, 8, 8, 1)
    """

    def __init__(self, *, originals: np.ndarray, copies: np.ndarray) -> None:
        self.originals = originals
        self.copies = copies

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_copies: int = 7,
        random_state: int | torch.Generator | None = None,
        image_shape: tuple[int, ...] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw images with the copies that ``augmentation`` of an estimator makes.

        Parameters
        ----------
        estimator : estimator
            An estimator with the parameter `augmentation`, fitted or not. In a
            Pipeline, the transformers have to be fitted. They transform X before the
            augmentation, as in training.
        X : array-like of shape (n_samples, n_features) or images
            The images to draw. A signal is drawn with a row for each channel.
        n_copies, random_state, image_shape, ax
            See `from_augmentation`.

        Returns
        -------
        display : AugmentationDisplay

        Raises
        ------
        ValueError
            If the estimator has no augmentation.
        """
        transformers, final = split_estimator(estimator)
        augmentation = getattr(final, "augmentation", None)
        if augmentation is None:
            raise ValueError(
                f"{type(final).__name__} has augmentation=None; set one of "
                "skmlp.augmentation."
            )
        fitted_shape = getattr(final, "image_shape_", None)
        if image_shape is None and np.ndim(X) == 2:
            image_shape = fitted_shape
        if transformers is not None:
            X = transformers.transform(X)
        if getattr(final, "conv_dims", 2) == 1:
            X, image_shape = signals_as_images(X, fitted_shape), None
            augmentation = partial(_augment_rows, augmentation)
        return cls.from_augmentation(
            augmentation,
            X,
            n_copies=n_copies,
            random_state=random_state,
            image_shape=image_shape,
            ax=ax,
        )

    @classmethod
    def from_augmentation(
        cls,
        augmentation: Callable[[Tensor, torch.Generator], Tensor],
        X: Any,
        *,
        n_copies: int = 7,
        random_state: int | torch.Generator | None = None,
        image_shape: tuple[int, ...] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw images with the copies that an augmentation makes of them.

        Parameters
        ----------
        augmentation : callable
            It is called once as ``augmentation(images, generator)``, where ``images``
            is a tensor of shape (batch, channels, height, width) with all copies.
        X : array-like of shape (n_samples, n_features) or images
            The images to draw. Types other than uint8 and float64 are cast to float32.
        n_copies : int, default=7
            Number of copies of each image.
        random_state : int, torch.Generator or None, default=None
            Seed or random number generator. None draws a new seed each time.
        image_shape : tuple of int, default=None
            Height, width and channels of flat samples. None assumes a square image.
        ax : matplotlib Axes, default=None
            See `plot`.

        Returns
        -------
        display : AugmentationDisplay

        Raises
        ------
        ValueError
            If X does not contain images with 1 or 3 channels, or if `n_copies` is less
            than 1.
        """
        check_count("n_copies", n_copies)
        originals = as_images(X, image_shape)
        if originals.shape[-1] not in (1, 3):
            raise ValueError(
                f"images have {originals.shape[-1]} channels; 1 or 3 can be drawn."
            )
        if originals.dtype not in (np.uint8, np.float64):
            originals = originals.astype(np.float32)
        batch = torch.tensor(originals).permute(0, 3, 1, 2)
        augmented = augmentation(
            batch.repeat_interleave(n_copies, dim=0), _as_generator(random_state)
        )
        copies = augmented.permute(0, 2, 3, 1).numpy()
        display = cls(
            originals=originals,
            copies=copies.reshape(len(originals), n_copies, *copies.shape[1:]),
        )
        return display.plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw one row of images for each original.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Its area is divided among the images. None creates a figure.

        Returns
        -------
        self : AugmentationDisplay
        """
        n, n_columns = len(self.originals), 1 + self.copies.shape[1]
        size = (max(1.1 * n_columns, 3), 1.1 * n + 0.7)
        figure, area = plot_area(
            f"{type(self).__name__}.plot", ax, size, "Augmentation"
        )
        self.figure_ = figure
        axes = image_axes(figure, area, n * n_columns, n, n_columns)
        self.axes_ = axes.reshape(n, n_columns)
        low, high = pixel_range(self.originals)
        for i, row in enumerate(self.axes_):
            for panel, image in zip(
                row, [self.originals[i], *self.copies[i]], strict=True
            ):
                panel.imshow(to_shades(image, low, high), cmap="gray", vmin=0, vmax=1)
            for spine in row[0].spines.values():
                spine.set_linewidth(2)
        self.axes_[0, 0].set_title("original", fontsize="small", fontweight="bold")
        for j in range(1, n_columns):
            self.axes_[0, j].set_title(f"copy {j}", fontsize="small")
        return self


def _augment_rows(
    augmentation: Callable[[Tensor, torch.Generator], Tensor],
    images: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Augment signals that are images ``(batch, 1, channels, length)``."""
    return augmentation(images.transpose(1, 2), generator).transpose(1, 2)


def _as_generator(random_state: int | torch.Generator | None) -> torch.Generator:
    """Return the given generator, or a new one with the given seed."""
    if isinstance(random_state, torch.Generator):
        return random_state
    generator = torch.Generator()
    if random_state is None:
        generator.seed()
    else:
        generator.manual_seed(random_state)
    return generator
