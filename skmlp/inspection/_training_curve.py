"""Curves of loss and score over the epochs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from skmlp.inspection._networks import split_estimator
from skmlp.inspection._plotting import (
    CYCLE,
    as_mapping,
    import_pyplot,
    use_integer_ticks,
)
from skmlp.neural_network._layers.history import values_by_epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class TrainingCurve(NamedTuple):
    """The losses and scores of one model.

    A field is None if the curve was not recorded.

    Attributes
    ----------
    train_loss : ndarray of shape (n_epochs,) or None
        Loss of the training set, with the penalty.
    valid_loss : ndarray of shape (n_epochs,) or None
        Loss of the validation set, without the penalty. NaN for epochs without a
        validation loss.
    train_score : ndarray of shape (n_epochs,) or None
        Score of the training set after every epoch. The estimators record it with
        ``record_train_score=True``.
    valid_score : ndarray of shape (n_epochs,) or None
        Score of the validation set after every epoch.
    best_epoch : int or None
        Epoch with the best validation score, counted from 1.

    Examples
    --------
    >>> from skmlp.inspection import TrainingCurve, TrainingCurveDisplay
    >>> curve = TrainingCurve([0.9, 0.5, 0.4], valid_score=[0.6, 0.8, 0.7],
    ...                       best_epoch=2)
    >>> display = TrainingCurveDisplay(curves={"by hand": curve}).plot()
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['Loss', 'Score']
    """

    train_loss: np.ndarray | None
    valid_loss: np.ndarray | None = None
    train_score: np.ndarray | None = None
    valid_score: np.ndarray | None = None
    best_epoch: int | None = None


class TrainingCurveDisplay:
    """Curves of loss and score over the epochs, of one model or several.

    It is recommended to use `from_estimator` to create a display.

    - Solid lines belong to the training set, dashed lines to the validation set.
    - A star and a dotted line mark the epoch with the best validation score.
    - Each model has its own color.

    Parameters
    ----------
    curves : dict of str to TrainingCurve
        Curves by the names of the models.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The axes of the loss and, if there are scores, the axes of the scores.
    ax_ : matplotlib Axes
        The axes of the loss.
    figure_ : matplotlib Figure
        The figure of the axes.
    lines_ : dict of str to dict of str to matplotlib Line2D
        Lines by the name of the model, then by the name of the curve as in
        `TrainingCurve`.

    See Also
    --------
    TrainSizeCurveDisplay : Scores over the number of training samples.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmlp.inspection import TrainingCurveDisplay
    >>> from skmlp.neural_network import MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier(30, early_stopping=True, record_train_score=True,
    ...                       random_state=0).fit(X / 16, y)
    >>> display = TrainingCurveDisplay.from_estimator(model)
    >>> display.curves["MLPClassifier"].best_epoch == model.best_epoch_
    True
    >>> list(display.lines_["MLPClassifier"])
    ['train_loss', 'valid_loss', 'train_score', 'valid_score']

    Several models on one picture, each with a name:

    >>> slow = MLPClassifier(30, early_stopping=True, learning_rate_init=1e-4,
    ...                      n_iter_no_change=2, random_state=0).fit(X / 16, y)
    >>> TrainingCurveDisplay.from_estimator({"0.001": model, "0.0001": slow})
    <skmlp.inspection...TrainingCurveDisplay object at ...>
    """

    def __init__(self, *, curves: Mapping[str, TrainingCurve]) -> None:
        self.curves = dict(curves)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        name: str | None = None,
        ax: "Axes | Sequence[Axes] | None" = None,
        score_name: str | None = None,
    ) -> Self:
        """Draw the curves that fitted estimators recorded.

        Parameters
        ----------
        estimator : fitted estimator or dict of str to fitted estimator
            Estimators of `skmlp.neural_network`, or ``MLPClassifier`` and
            ``MLPRegressor`` of scikit-learn, alone or at the end of a Pipeline.
        name : str, default=None
            Name of a single estimator in the legend. None uses the name of its class.
        ax, score_name
            See `plot`.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        ValueError
            If an estimator has no curve. It has none before `fit` and after a fit
            with ``solver='lbfgs'``.
        """
        named = as_mapping(estimator, name)
        display = cls(curves={name: _read_curve(e) for name, e in named.items()})
        return display.plot(ax, score_name=score_name)

    def plot(
        self,
        ax: "Axes | Sequence[Axes] | None" = None,
        *,
        score_name: str | None = None,
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or two of them, default=None
            Axes of the loss and of the scores. With one Axes, only the loss is drawn.
            None creates a figure.
        score_name : str, default=None
            Label of the axis of the scores. None uses "Score".

        Returns
        -------
        self : TrainingCurveDisplay
        """
        plt = import_pyplot(f"{type(self).__name__}.plot")
        has_scores = any(
            curve.train_score is not None or curve.valid_score is not None
            for curve in self.curves.values()
        )
        if ax is None:
            n_panels = 1 + has_scores
            _, ax = plt.subplots(
                ncols=n_panels, figsize=(1 + 4.5 * n_panels, 4), layout="constrained"
            )
        self.axes_ = np.atleast_1d(np.asarray(ax, dtype=object))
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        self.lines_: dict[str, dict[str, Any]] = {name: {} for name in self.curves}
        self._plot_panel(self.axes_[0], "loss", "Loss")
        if len(self.axes_) > 1:
            self._plot_panel(self.axes_[1], "score", score_name or "Score")
        return self

    def _plot_panel(self, ax: "Axes", quantity: str, label: str) -> None:
        """Draw the curves of all models, either their losses or their scores."""
        for i, (name, curve) in enumerate(self.curves.items()):
            color = CYCLE[i % len(CYCLE)]
            prefix = f"{name}, " if len(self.curves) > 1 else ""
            best = curve.best_epoch
            for split, label_of_split, linestyle in (
                ("train", "training", "-"),
                ("valid", "validation", "--"),
            ):
                values = getattr(curve, f"{split}_{quantity}")
                if values is None:
                    continue
                (self.lines_[name][f"{split}_{quantity}"],) = ax.plot(
                    np.arange(1, len(values) + 1),
                    values,
                    linestyle,
                    color=color,
                    label=prefix + label_of_split,
                    # A line needs two points, so a single epoch is a dot.
                    marker="o" if len(values) == 1 else None,
                )
                if best is not None and split == "valid":
                    ax.plot(
                        best,
                        values[best - 1],
                        "*",
                        color=color,
                        markeredgecolor="black",
                        markersize=12,
                    )
            if best is not None:
                ax.axvline(
                    best,
                    color=color,
                    linestyle=":",
                    linewidth=1,
                    label=f"{prefix}best epoch ({best})",
                )
        ax.set(xlabel="Epoch", ylabel=label)
        use_integer_ticks(ax)
        ax.legend()


def _read_curve(estimator: Any) -> TrainingCurve:
    """Return the curves that a fitted estimator recorded."""
    _, final = split_estimator(estimator)
    losses = getattr(final, "loss_curve_", None)
    if not losses:
        raise ValueError(
            f"{type(final).__name__} has no loss_curve_ to draw; fit it first, with a "
            "solver other than 'lbfgs'."
        )
    n_epochs = len(losses)
    history = list(getattr(final, "history_", ()))
    scores = getattr(final, "validation_scores_", None)
    valid_score = None if scores is None else np.asarray(scores, dtype=float)
    best_epoch = getattr(final, "best_epoch_", None)
    if best_epoch is None and valid_score is not None:
        best_epoch = int(np.argmax(valid_score)) + 1  # scikit-learn has no best_epoch_
    return TrainingCurve(
        train_loss=np.asarray(losses, dtype=float),
        valid_loss=_read_history(history, "valid_loss", n_epochs),
        train_score=_read_history(history, "train_score", n_epochs),
        valid_score=valid_score,
        best_epoch=best_epoch,
    )


def _read_history(
    history: list[dict[str, Any]], key: str, n_epochs: int
) -> np.ndarray | None:
    """Return one value of every epoch, or None if no epoch has it."""
    values = values_by_epoch(history, key, n_epochs)
    return np.asarray(values) if values else None
