"""Images with their true and predicted labels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.utils import check_consistent_length

from skmlp.inspection._images import (
    as_images,
    check_count,
    grid_shape,
    pixel_range,
    signals_as_images,
    to_shades,
)
from skmlp.inspection._networks import split_estimator
from skmlp.inspection._plotting import BLUE, RED, image_axes, plot_area

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class PredictionImageDisplay:
    """Images with true label, predicted label and probability of the predicted label.

    The worst predictions come first.

    It is recommended to use `from_estimator` or `from_predictions` to create a
    display.

    - The title of a correct prediction is blue.
    - The title of a wrong prediction is red, starts with a cross, and names both
      labels.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width, channels)
        Images with 1 or 3 channels.
    y_true, y_pred : ndarray of shape (n_samples,)
        True and predicted labels.
    probabilities : ndarray of shape (n_samples,)
        Probabilities of the predicted labels.
    indices : ndarray of int of shape (n_samples,)
        Indices of the images in the data.
    label_names : dict, default=None
        Names of the labels in titles. None writes the labels themselves.
    title : str, default="Predictions"
        Title of the figure.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for each image.
    figure_ : matplotlib Figure
        The figure of the axes.

    See Also
    --------
    sklearn.metrics.ConfusionMatrixDisplay : Numbers of predictions by true and
        predicted label.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmlp.inspection import PredictionImageDisplay
    >>> from skmlp.neural_network import MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier(50, solver="lbfgs", random_state=0)
    >>> model = model.fit(X[:1000] / 16, y[:1000])
    >>> display = PredictionImageDisplay.from_estimator(
    ...     model, X[1000:] / 16, y[1000:], n_images=10
    ... )
    >>> bool((display.y_pred != display.y_true).all())
    True
    """

    def __init__(
        self,
        *,
        images: np.ndarray,
        y_true: np.ndarray,
        y_pred: np.ndarray,
        probabilities: np.ndarray,
        indices: np.ndarray,
        label_names: dict[Any, str] | None = None,
        title: str = "Predictions",
    ) -> None:
        self.images = images
        self.y_true = y_true
        self.y_pred = y_pred
        self.probabilities = probabilities
        self.indices = indices
        self.label_names = label_names
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_images: int = 25,
        order: Literal["worst", "given"] = "worst",
        display_labels: Sequence[str] | None = None,
        image_shape: tuple[int, ...] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the predictions of a fitted classifier.

        Parameters
        ----------
        estimator : fitted classifier
            Any classifier with ``predict_proba``.
        X : array-like of shape (n_samples, n_features) or images
            Samples in the form that the estimator takes. They are drawn unchanged. A
            signal is drawn with a row for each channel.
        y : array-like of shape (n_samples,)
            True labels.
        n_images, order, display_labels, image_shape, ax
            See `from_predictions`.

        Returns
        -------
        display : PredictionImageDisplay
        """
        probabilities = estimator.predict_proba(X)
        _, final = split_estimator(estimator)
        if getattr(final, "conv_dims", 2) == 1:
            X, image_shape = signals_as_images(X, final.image_shape_), None
        return cls.from_predictions(
            y,
            probabilities,
            X,
            labels=estimator.classes_,
            n_images=n_images,
            order=order,
            display_labels=display_labels,
            image_shape=image_shape or _fitted_image_shape(estimator, X),
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_proba: Any,
        X: Any,
        *,
        labels: Any = None,
        n_images: int = 25,
        order: Literal["worst", "given"] = "worst",
        display_labels: Sequence[str] | None = None,
        image_shape: tuple[int, ...] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw predictions that are known already.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels.
        y_proba : array-like of shape (n_samples, n_classes)
            Probabilities of the classes. The class with the highest one is predicted.
        X : array-like of shape (n_samples, n_features) or images
            Samples of the predictions.
        labels : array-like of shape (n_classes,), default=None
            Classes of the columns of `y_proba`. None uses the sorted labels of
            `y_true`.
        n_images : int, default=25
            Largest number of images to draw.
        order : {'worst', 'given'}, default='worst'
            - 'worst': wrong predictions come first, then correct ones. Each group is
              sorted by the probability of the true label, lowest first. Ties have the
              order of X.
            - 'given': the order of X.
        display_labels : sequence of str of length n_classes, default=None
            Names of the classes in titles. None writes the labels themselves.
        image_shape : tuple of int, default=None
            Height, width and channels of flat samples. None assumes a square image.
        ax : matplotlib Axes, default=None
            See `plot`.

        Returns
        -------
        display : PredictionImageDisplay

        Raises
        ------
        ValueError
            If lengths differ, if a parameter is invalid, or if X does not contain
            images with 1 or 3 channels.
        """
        y_true, y_proba = np.asarray(y_true), np.asarray(y_proba)
        check_consistent_length(y_true, y_proba, X)
        labels = np.unique(y_true) if labels is None else np.asarray(labels)
        if y_proba.ndim != 2 or y_proba.shape[1] != len(labels):
            raise ValueError(
                f"y_proba has shape {y_proba.shape}, but needs a column for each of "
                f"the {len(labels)} labels; give labels=."
            )
        check_count("n_images", n_images)
        if order not in ("worst", "given"):
            raise ValueError(f"order={order!r} must be 'worst' or 'given'.")
        if display_labels is not None and len(display_labels) != len(labels):
            raise ValueError(
                f"display_labels has {len(display_labels)} names for {len(labels)} "
                "labels."
            )
        images = as_images(X, image_shape)
        if images.shape[-1] not in (1, 3):
            raise ValueError(
                f"images have {images.shape[-1]} channels; 1 or 3 can be drawn."
            )
        y_pred = labels[y_proba.argmax(axis=1)]
        n_wrong, n = int((y_pred != y_true).sum()), len(y_true)
        title = f"{n_wrong:,} of {n:,} predictions wrong"
        indices = np.arange(n)
        if order == "worst":
            title += ", worst first"
            # A true label that is not in `labels` has the probability 0.
            is_true = y_true[:, np.newaxis] == labels
            true_proba = np.where(is_true, y_proba, 0).sum(axis=1)
            indices = np.lexsort((true_proba, y_pred == y_true))
        indices = indices[:n_images]
        names = None
        if display_labels is not None:
            names = dict(zip(labels.tolist(), display_labels, strict=True))
        display = cls(
            images=images[indices],
            y_true=y_true[indices],
            y_pred=y_pred[indices],
            probabilities=y_proba[indices].max(axis=1),
            indices=indices,
            label_names=names,
            title=title,
        )
        return display.plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the images with their titles.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Its area is divided among the images. None creates a figure.

        Returns
        -------
        self : PredictionImageDisplay
        """
        n_rows, n_columns = grid_shape(len(self.images))
        titles = [self._image_title(i) for i in range(len(self.images))]
        longest = max(len(line) for title in titles for line in title.split("\n"))
        cell = max(1.3, 0.085 * longest)
        size = (max(cell * n_columns, 3), 1.75 * n_rows + 0.4)
        figure, area = plot_area(f"{type(self).__name__}.plot", ax, size, self.title)
        self.figure_ = figure
        self.axes_ = image_axes(figure, area, len(self.images), n_rows, n_columns)
        shades = to_shades(self.images, *pixel_range(self.images))
        for i, panel in enumerate(self.axes_):
            panel.imshow(shades[i], cmap="gray", vmin=0, vmax=1)
            color = BLUE if self.y_pred[i] == self.y_true[i] else RED
            panel.set_title(titles[i], fontsize="small", color=color)
        return self

    def _image_title(self, i: int) -> str:
        """Return the title of one image."""
        true = self._label_name(self.y_true[i])
        predicted = self._label_name(self.y_pred[i])
        percent = f"{self.probabilities[i]:.0%}"
        if self.y_pred[i] == self.y_true[i]:
            return f"{predicted} ({percent})"
        return f"✗ {predicted} ({percent})\ntrue: {true}"

    def _label_name(self, label: Any) -> str:
        """Return the name of a label, or the label as text."""
        label = label.item() if hasattr(label, "item") else label
        return str((self.label_names or {}).get(label, label))


def _fitted_image_shape(estimator: Any, X: Any) -> tuple[int, ...] | None:
    """Return `image_shape_` if X is flat and has `n_features_in_` features, else None.

    Both are attributes of the network at the end of the estimator.
    """
    _, final = split_estimator(estimator)
    shape = getattr(final, "image_shape_", None)
    n_features = getattr(final, "n_features_in_", None)
    return shape if np.ndim(X) == 2 and np.shape(X)[1] == n_features else None
