"""Losses over the learning rate, and the rate to train with."""

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning

from skmlp._sklearn_compat import num_samples
from skmlp.inspection._networks import check_has_network, split_estimator
from skmlp.inspection._plotting import BLUE, NEUTRAL, RED, import_pyplot
from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network._pipelines import final_prefix

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Five rates in every power of ten.
_DEFAULT_RATES = (1e-5, 1.0, 26)

# Fraction of the samples on which the loss is measured.
_HELD_OUT = 0.2

# Batches of a training, if the estimator has as many.
_N_BATCHES = 300

# Trainings with each rate are repeated until about 500 samples were held out, because
# the loss of a few samples is a matter of chance.
_N_HELD_OUT = 500
_MAX_REPEATS = 20


class LearningRateDisplay:
    """Losses after a short training with each of many learning rates.

    It is recommended to use `from_estimator` to create a display.

    The range test of Smith [1]_ raises the learning rate during one training, and looks
    where the loss falls. Here every rate has a training of its own, from the same
    initial weights and with the same batches, so the loss of a rate does not depend on
    the rates before it. The networks train together as a pack. With few samples, every
    rate is trained several times, and the losses are averaged.

    Parameters
    ----------
    learning_rates : array-like of shape (n_rates,)
        Learning rates in increasing order.
    train_losses : array-like of shape (n_rates,)
        Loss of the training samples in the last epoch. NaN where training diverged.
    valid_losses : array-like of shape (n_rates,)
        Loss of held-out samples in the best epoch. NaN where training diverged.
    name : str, default=None
        Name of the estimator in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the curves.
    figure_ : matplotlib Figure
        The figure of the axes.
    lines_ : dict of str to matplotlib Line2D
        The lines ``'train_loss'`` and ``'valid_loss'``, and ``'suggestion'``.

    See Also
    --------
    skmlp.model_selection.PackedGridSearchCV : Search over rates and other parameters.

    References
    ----------
    .. [1] L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", WACV
       2017, section 3.3. arXiv:1506.01186.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmlp.inspection import LearningRateDisplay
    >>> from skmlp.neural_network import MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier(30, random_state=0)
    >>> display = LearningRateDisplay.from_estimator(model, X / 16, y, n_epochs=5)
    >>> rate = display.suggest()
    >>> 0.001 < rate < 0.1
    True
    >>> model = model.set_params(learning_rate_init=rate)
    """

    def __init__(
        self,
        *,
        learning_rates: Any,
        train_losses: Any,
        valid_losses: Any,
        name: str | None = None,
    ) -> None:
        self.learning_rates = np.asarray(learning_rates, dtype=float)
        self.train_losses = np.asarray(train_losses, dtype=float)
        self.valid_losses = np.asarray(valid_losses, dtype=float)
        self.name = name
        for losses in ("train_losses", "valid_losses"):
            shape = getattr(self, losses).shape
            if self.learning_rates.ndim != 1 or shape != self.learning_rates.shape:
                raise ValueError(
                    f"{losses} has shape {shape}, but learning_rates has "
                    f"{self.learning_rates.shape}; both need (n_rates,)."
                )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        learning_rates: Any = None,
        n_epochs: int | None = None,
        n_repeats: int | None = None,
        fit_params: Mapping[str, Any] | None = None,
        name: str | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Train copies of an estimator with many learning rates, and draw the losses.

        The estimator itself stays unchanged. A copy holds out a fifth of the samples,
        on which its loss is measured after every epoch.

        Parameters
        ----------
        estimator : estimator
            A network of `skmlp.neural_network`, fitted or not, alone or at the end of a
            Pipeline.
        X : array-like of shape (n_samples, n_features) or images
            Training samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets.
        learning_rates : array-like of shape (n_rates,), default=None
            Two or more positive rates. None means 26 rates from 1e-5 to 1, five in
            every power of ten.
        n_epochs : int, default=None
            Epochs of every training. None trains for about 300 batches, and at most for
            the epochs of the estimator.
        n_repeats : int, default=None
            Trainings with each rate. They have other initial weights and hold out other
            samples, and their losses are averaged. None means 1 for 2500 samples or
            more, and up to 20 for fewer samples.
        fit_params : dict, default=None
            Further arguments of `fit`, such as ``{"sample_weight": weights}``. A
            Pipeline takes ``<step>__sample_weight``. Samples that are given as
            ``X_val`` and ``y_val`` are the held-out samples.
        name : str, default=None
            Name of the estimator in the legend. None uses the name of its class.
        ax
            See `plot`.

        Returns
        -------
        display : LearningRateDisplay

        Raises
        ------
        TypeError
            If the estimator is no network of skmlp.
        ValueError
            If its solver is 'lbfgs', which has no learning rate, if `learning_rates`,
            `n_epochs` or `n_repeats` is not positive, or if `fit` would raise it.
        """
        model, prefix = _copy_for_trials(estimator)
        rates = _check_rates(learning_rates)
        if n_epochs is None:
            n_epochs = _choose_n_epochs(model, num_samples(X))
        if n_repeats is None:
            n_held_out = max(1.0, _HELD_OUT * num_samples(X))
            n_repeats = min(_MAX_REPEATS, math.ceil(_N_HELD_OUT / n_held_out))
        for argument, value in {"n_epochs": n_epochs, "n_repeats": n_repeats}.items():
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{argument}={value!r} must be a positive integer.")
        model.set_params(
            **{f"{prefix}max_iter": n_epochs, f"{prefix}n_iter_no_change": n_epochs}
        )
        seed = split_estimator(model).final.random_state
        grid = {
            f"{prefix}learning_rate_init": rates,
            f"{prefix}random_state": seed + np.arange(n_repeats),
        }
        losses = _measure_losses(model, grid, X, y, dict(fit_params or {}))
        display = cls(
            learning_rates=rates,
            train_losses=losses[0],
            valid_losses=losses[1],
            name=type(split_estimator(model).final).__name__ if name is None else name,
        )
        return display.plot(ax)

    def suggest(self) -> float:
        """Return the learning rate with the lowest loss of the held-out samples.

        The loss of a rate is averaged with the losses of its two neighbors. So a rate
        next to one that diverges is not suggested if another one is as good, and the
        chance of a single training matters less.

        Returns
        -------
        learning_rate : float
            One of the `learning_rates`.

        Raises
        ------
        ValueError
            If training diverged with every rate.
        """
        losses = np.where(np.isfinite(self.valid_losses), self.valid_losses, np.inf)
        if not np.isfinite(losses).any():
            raise ValueError(
                "Training diverged with every learning rate; give smaller "
                "learning_rates, or scale X."
            )
        padded = np.concatenate([losses[:1], losses, losses[-1:]])
        smooth = np.convolve(padded, np.full(3, 1 / 3), mode="valid")
        if not np.isfinite(smooth).any():
            smooth = losses
        return float(self.learning_rates[np.argmin(smooth)])

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the losses over the learning rates, and mark the suggested rate.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None creates a figure.

        Returns
        -------
        self : LearningRateDisplay
        """
        plt = import_pyplot(f"{type(self).__name__}.plot")
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        assert ax is not None
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_: dict[str, Any] = {}
        prefix = "" if self.name is None else f"{self.name}, "
        for losses, label, linestyle, color in (
            ("train_losses", "training", "-", NEUTRAL),
            ("valid_losses", "held-out samples", "--", BLUE),
        ):
            (self.lines_[losses],) = ax.plot(
                self.learning_rates,
                getattr(self, losses),
                linestyle,
                marker=".",
                color=color,
                label=prefix + label,
            )
        suggested = self.suggest()
        self.lines_["suggestion"] = ax.axvline(
            suggested, linestyle=":", color=RED, label=f"suggestion ({suggested:.2g})"
        )
        ax.set_xscale("log")
        ax.set_ylim(*_loss_limits(self.train_losses, self.valid_losses))
        ax.set(xlabel="Learning rate (log scale)", ylabel="Loss after a short training")
        ax.grid(alpha=0.3)
        ax.legend()
        return self


def _copy_for_trials(estimator: Any) -> tuple[Any, str]:
    """Return a copy that holds out samples, and the prefix of its parameters."""
    model = clone(getattr(estimator, "best_estimator_", estimator))
    final = split_estimator(model).final
    check_has_network(final, "LearningRateDisplay.from_estimator")
    known = final.get_params(deep=False)
    if "learning_rate_init" not in known or known.get("solver") == "lbfgs":
        raise ValueError(
            f"{type(final).__name__} has no learning rate"
            + (" with solver='lbfgs'." if "solver" in known else ".")
        )
    # Copies of all rates need the same initial weights, batches and held-out samples.
    seed = 0 if final.random_state is None else final.random_state
    if isinstance(seed, np.random.RandomState):
        seed = seed.randint(2**31)
    settings = {
        "callbacks": None,
        "checkpoint": None,
        "early_stopping": True,
        "random_state": seed,
        "record_train_score": False,
        "refit_full": False,
        "scoring": None,
        "validation_fraction": _HELD_OUT,
        "verbose": False,
        "warm_start": False,
    }
    prefix = final_prefix(model)
    model.set_params(**{prefix + k: v for k, v in settings.items() if k in known})
    return model, prefix


def _check_rates(learning_rates: Any) -> np.ndarray:
    """Return distinct positive learning rates in increasing order."""
    if learning_rates is None:
        return np.geomspace(*_DEFAULT_RATES)
    rates = np.unique(np.asarray(learning_rates, dtype=float))
    if rates.size < 2 or not (np.isfinite(rates).all() and rates[0] > 0):
        raise ValueError(
            f"learning_rates={learning_rates!r} must be two or more positive finite "
            "numbers."
        )
    return rates


def _choose_n_epochs(model: Any, n_samples: int) -> int:
    """Return the number of epochs that have about `_N_BATCHES` batches."""
    final = split_estimator(model).final
    n_trained = max(1, int(n_samples * (1 - _HELD_OUT)))
    batch_size = final.batch_size
    if not isinstance(batch_size, int | np.integer):
        batch_size = min(200, n_trained)
    batches_per_epoch = -(-n_trained // min(int(batch_size), n_trained))
    return max(1, min(int(final.max_iter), -(-_N_BATCHES // batches_per_epoch)))


def _measure_losses(
    model: Any, grid: dict[str, np.ndarray], X: Any, y: Any, fit_params: dict[str, Any]
) -> np.ndarray:
    """Train a copy for each rate and seed in packs; return training, held-out losses.

    The result has the shape (2, n_rates): means over the seeds.
    """

    def read_losses(fitted: Any, X: Any, y: Any = None) -> dict[str, float]:
        final = split_estimator(fitted).final
        train = final.history_[-1].get("train_loss", np.nan)
        # The epoch of a loss that is not finite has no record of the held-out loss.
        valid = np.min([epoch.get("valid_loss", np.nan) for epoch in final.history_])
        ended_early = len(final.history_) < final.max_iter
        if ended_early or not np.isfinite([train, valid]).all():
            train = valid = np.nan
        return {"train": train, "valid": valid}

    search = PackedGridSearchCV(
        model,
        grid,
        # Every copy is trained on all samples, and read_losses scores none of them.
        cv=[(np.arange(num_samples(X)), np.arange(1))],
        scoring=read_losses,
        refit=False,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        warnings.filterwarnings("ignore", category=FitFailedWarning)
        warnings.filterwarnings("ignore", message="Training loss became non-finite")
        warnings.filterwarnings("ignore", message="One or more of the test scores")
        try:
            search.fit(X, y, **fit_params)
        except ValueError:
            # If all fits fail, the error of one of them is short and says why.
            model.set_params(**{name: values[0] for name, values in grid.items()})
            model.fit(X, y, **fit_params)
            raise
    by_seed = [
        search.cv_results_[f"mean_test_{losses}"].reshape(
            [len(values) for values in grid.values()]
        )
        for losses in ("train", "valid")
    ]
    return np.mean(by_seed, axis=2)


def _loss_limits(*losses: np.ndarray) -> tuple[float, float]:
    """Return limits of the axis, without the largest losses of diverging networks."""
    finite = np.concatenate([values[np.isfinite(values)] for values in losses])
    low = float(finite.min())
    # Rates that are too small leave the loss near its initial value.
    high = max(float(values[np.isfinite(values)][0]) for values in losses)
    margin = 0.1 * max(high - low, 1e-12)
    return low - margin, high + 3 * margin
