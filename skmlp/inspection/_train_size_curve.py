"""Scores over the number of training samples."""

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import cross_validate

from skmlp.inspection._plotting import CYCLE, as_mapping, import_pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = "osD^vPX"


class TrainSizeCurveDisplay:
    """Validation scores over the number of training samples.

    Lines show the mean over several seeds, bands show the spread.

    It is recommended to use `from_estimator` to create a display from data. The
    constructor takes scores that are known already.

    Parameters
    ----------
    train_sizes : array-like of int of shape (n_sizes,)
        Numbers of training samples.
    scores : dict of str to array-like of shape (n_sizes, n_seeds)
        Scores of each model.
    score_name : str, default=None
        Label of the axis of the scores. None uses "Score".

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the curves.
    figure_ : matplotlib Figure
        The figure of the axes.
    lines_ : dict of str to matplotlib Line2D
        Lines of the means by the name of the model.
    bands_ : dict of str to matplotlib PolyCollection
        Bands by the name of the model. A model with one seed has none.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores of one model in
        cross-validation.

    Examples
    --------
    >>> from skmlp.inspection import TrainSizeCurveDisplay
    >>> display = TrainSizeCurveDisplay(
    ...     train_sizes=[100, 1000, 10000],
    ...     scores={"MLP": [[0.80, 0.82], [0.90, 0.91], [0.95, 0.95]]},
    ...     score_name="Accuracy",
    ... )
    >>> display.plot().ax_.get_xscale()
    'log'

    Repeat the training with two seeds. Each seed gives other training subsets and other
    initial weights:

    >>> from sklearn.datasets import load_digits
    >>> from skmlp.model_selection import TrainSizeSplit
    >>> from skmlp.neural_network import SoftmaxRegression
    >>> X, y = load_digits(return_X_y=True)
    >>> model = SoftmaxRegression(solver="lbfgs", tol=0.01)
    >>> display = TrainSizeCurveDisplay.from_estimator(
    ...     model, X / 16, y, cv=TrainSizeSplit((0.1, 1.0)), seeds=(0, 1)
    ... )
    >>> display.train_sizes
    array([ 144, 1438])
    >>> display.scores["SoftmaxRegression"].shape
    (2, 2)
    """

    def __init__(
        self,
        *,
        train_sizes: Any,
        scores: Mapping[str, Any],
        score_name: str | None = None,
    ) -> None:
        self.train_sizes = np.asarray(train_sizes)
        self.scores = {name: np.asarray(values) for name, values in scores.items()}
        self.score_name = score_name
        for name, values in self.scores.items():
            if (
                values.ndim != 2
                or len(values) != len(self.train_sizes)
                or not values.size
            ):
                raise ValueError(
                    f"scores[{name!r}] has shape {values.shape}, but needs (n_sizes, "
                    f"n_seeds) with n_sizes={len(self.train_sizes)}."
                )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        cv: Any,
        seeds: Sequence[int] = (0, 1, 2),
        scoring: Any = None,
        n_jobs: int | None = None,
        name: str | None = None,
        ax: "Axes | None" = None,
        score_name: str | None = None,
        band: Literal["std", "range"] = "std",
    ) -> Self:
        """Train on subsets of growing size with every seed, and draw the scores.

        Parameters
        ----------
        estimator : estimator or dict of str to estimator
            Clones are fitted. The estimators themselves stay unchanged.
        X : array-like of shape (n_samples, n_features) or images
            Samples to split into training and validation sets.
        y : array-like of shape (n_samples,)
            Targets.
        cv : splitter
            A splitter such as `skmlp.model_selection.TrainSizeSplit`: each split has a
            training set of another size.
        seeds : sequence of int, default=(0, 1, 2)
            Each seed is set as `random_state` of `cv`, and as every `random_state`
            parameter of the estimator and of its nested estimators. Subsets and initial
            weights differ between seeds. All models are trained on the same subsets.
        scoring : str or callable, default=None
            See `sklearn.model_selection.cross_validate`.
        n_jobs : int, default=None
            Number of fits at the same time.
        name : str, default=None
            Name of a single estimator in the legend. None uses the name of its class.
        ax, score_name, band
            See `plot`.

        Returns
        -------
        display : TrainSizeCurveDisplay
        """
        scores: dict[str, np.ndarray] = {}
        train_sizes = np.array([], dtype=int)
        for key, model in as_mapping(estimator, name).items():
            columns = []
            for seed in seeds:
                result = cross_validate(
                    _clone_with_seed(model, seed),
                    X,
                    y,
                    cv=_splitter_with_seed(cv, seed),
                    scoring=scoring,
                    n_jobs=n_jobs,
                    return_indices=True,
                    error_score="raise",
                )
                train_sizes = np.array([len(i) for i in result["indices"]["train"]])
                columns.append(result["test_score"])
            scores[key] = np.column_stack(columns)
        if score_name is None and isinstance(scoring, str):
            score_name = scoring.removeprefix("neg_").replace("_", " ").capitalize()
        display = cls(train_sizes=train_sizes, scores=scores, score_name=score_name)
        return display.plot(ax, band=band)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        score_name: str | None = None,
        band: Literal["std", "range"] = "std",
    ) -> Self:
        """Draw means and bands.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None creates a figure.
        score_name : str, default=None
            Label of the axis of the scores. None uses the `score_name` of the display.
        band : {'std', 'range'}, default='std'
            - 'std': one standard deviation (``ddof=1``) below and above the mean.
            - 'range': from the lowest to the highest score of a seed.

        Returns
        -------
        self : TrainSizeCurveDisplay

        Raises
        ------
        ValueError
            If `band` has another value.
        """
        if band not in ("std", "range"):
            raise ValueError(f"band={band!r} must be 'std' or 'range'.")
        plt = import_pyplot(f"{type(self).__name__}.plot")
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        assert ax is not None
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_: dict[str, Any] = {}
        self.bands_: dict[str, Any] = {}
        for i, (name, scores) in enumerate(self.scores.items()):
            color = CYCLE[i % len(CYCLE)]
            mean = scores.mean(axis=1)
            (self.lines_[name],) = ax.plot(
                self.train_sizes,
                mean,
                marker=_MARKERS[i % len(_MARKERS)],
                color=color,
                label=name,
            )
            if scores.shape[1] > 1:
                low, high = scores.min(axis=1), scores.max(axis=1)
                if band == "std":
                    deviation = scores.std(axis=1, ddof=1)
                    low, high = mean - deviation, mean + deviation
                self.bands_[name] = ax.fill_between(
                    self.train_sizes, low, high, color=color, alpha=0.2, linewidth=0
                )
        ax.set_xscale("log")
        ax.set_xticks(
            self.train_sizes,
            [f"{size:,}" for size in self.train_sizes],
            rotation=45 if _labels_overlap(self.train_sizes) else 0,
        )
        ax.set_xticks([], minor=True)
        ax.set(
            xlabel="Training samples (log scale)",
            ylabel=score_name or self.score_name or "Score",
        )
        ax.grid(alpha=0.3)
        if self.bands_:
            n_seeds = max(scores.shape[1] for scores in self.scores.values())
            spread = "± 1 standard deviation" if band == "std" else "range"
            title = f"Mean and {spread}\nof {n_seeds} seeds"
            ax.legend(title=title, alignment="left")
        else:
            ax.legend()
        return self


def _labels_overlap(train_sizes: np.ndarray) -> bool:
    """Return whether horizontal labels would overlap on a log axis."""
    # A label takes about 15 % of the axis.
    positions = np.sort(np.log(train_sizes))
    return bool((np.diff(positions) < 0.15 * np.ptp(positions)).any())


def _clone_with_seed(estimator: Any, seed: int) -> Any:
    """Return a clone with the seed for every `random_state`."""
    names = [
        name
        for name in estimator.get_params()
        if name == "random_state" or name.endswith("__random_state")
    ]
    return clone(estimator).set_params(**dict.fromkeys(names, seed))


def _splitter_with_seed(cv: Any, seed: int) -> Any:
    """Return a copy of a splitter, with the seed if it has a `random_state`."""
    cv = copy.copy(cv)
    if hasattr(cv, "random_state"):
        cv.random_state = seed
    return cv
