"""The base of the regressors: `fit`, `predict` and the encoding of the targets."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils import column_or_1d
from torch import Tensor

from skmlp._sklearn_bases import RegressorMixin, fit_context
from skmlp._sklearn_compat import outputs_match_input
from skmlp.neural_network._base.inputs import ravel_column
from skmlp.neural_network._base.network import BaseNetwork
from skmlp.neural_network._base.parameters.availability import partial_fit_if_available
from skmlp.neural_network._base.rollback import restore_attributes_on_error
from skmlp.training.losses import (
    OUTPUT_ACTIVATIONS,
    Loss,
    UserLoss,
    regression_loss,
)


class BaseRegressor(RegressorMixin, BaseNetwork):
    """Base of the regressors; not for direct use."""

    loss: str | Callable[..., Tensor]

    # Pickles of earlier versions lack these parameters.
    quantile: float | Sequence[float] = 0.5
    huber_delta: float = 1.0

    _target_checks = {"multi_output": True, "y_numeric": True}  # noqa: RUF012

    @restore_attributes_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train on X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images of \
shape (n_samples, height, width[, channels])
            Training samples. The network trains in float64 if X is float64, else in
            float32 (see `dtype`). An out-of-core array (a `numpy.memmap`, zarr or h5py
            array, or any object with ``shape``, ``dtype`` and slices) is read during
            training.

            - An array up to 64 MB gives the same results as an array in memory. So does
              any array with ``shuffle=False``.
            - A larger array is shuffled in two levels. First its blocks are shuffled
              (1 MB each, or the chunks of the array). Then the samples are shuffled
              within a buffer of 64 MB.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights, none of them negative. As in scikit-learn, `alpha` is
            divided by their sum over a batch. Weights of one have the same effect as
            None. Smaller weights make the penalty stronger.
        X_val, y_val : as X and y, default=None
            Validation set. It replaces the validation split of `early_stopping`. The
            network gets the weights of the epoch with the best validation score.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Sample weights of the validation set. They weigh its loss and its score.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the data do not fit the parameters, if the training loss is not
            finite, or if `checkpoint` belongs to another fit. A damaged checkpoint
            raises `skmlp.persistence.ModelFileError`, which is a ValueError.
        OSError
            If `checkpoint` cannot be read or written. A full disk leaves the previous
            checkpoint unchanged.
        KeyboardInterrupt
            After Ctrl-C before the first epoch (the first iteration of L-BFGS) is over.
            In a search, a cross-validation, an ensemble or a job of joblib, after any
            Ctrl-C. Otherwise the fit ends with the epochs so far and a warning.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val)

    @partial_fit_if_available
    @restore_attributes_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train further by one epoch on X and y.

        Training continues after `fit` or `partial_fit`, with the state of the optimizer
        and the position in the learning rate schedule.

        - A deep copy includes both.
        - So does a pickle after `partial_fit`, or with ``warm_start=True``.
        - Any other pickle lacks the moments of the optimizer, which are larger than the
          weights. Training then continues with the learning rate, and with moments of
          zero.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self : object
        """
        return self._fit(X, y, sample_weight, incremental=True)

    @outputs_match_input
    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            With ``loss='quantile'`` and several levels, a column for each level.
        """
        return self._outputs_from_logits(self._logits(X), self.net_.criterion_)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True values.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
            As `sklearn.metrics.r2_score`. With ``loss='quantile'``, as
            `sklearn.metrics.d2_pinball_score` for the level `quantile`. Several levels
            are averaged.
        """
        return self._score_predictions(y, self.predict(X), sample_weight)

    def _score_predictions(self, y: Any, predicted: np.ndarray, weight: Any) -> float:
        """Return the score of predicted values; an ensemble calls it for averages."""
        if self._predicts_quantiles:
            return _d2_score(y, predicted, weight, self._quantile_levels)
        return r2_score(y, predicted, sample_weight=weight)

    @property
    def _predicts_quantiles(self) -> bool:
        """Whether the outputs are quantiles."""
        return isinstance(self.loss, str) and self.loss == "quantile"

    @property
    def _quantile_levels(self) -> tuple[float, ...]:
        """The levels of the quantiles."""
        return tuple(np.ravel(self.quantile).tolist())

    @property
    def _has_several_levels(self) -> bool:
        """Whether there is an output for each of several levels of one target."""
        return self._predicts_quantiles and len(self._quantile_levels) > 1

    def _outputs_from_logits(self, logits: Tensor, loss: Loss) -> np.ndarray:
        predicted = OUTPUT_ACTIVATIONS[loss.output_activation](logits).numpy()
        return predicted.ravel() if self.n_outputs_ == 1 else predicted

    def _describe_target_scale(self, y: Tensor) -> str:
        return f" and y (its values reach {float(y.abs().max()):g})"

    def _make_loss(self) -> Loss:
        if not isinstance(self.loss, str):
            return UserLoss(self.loss, "identity")
        return regression_loss(self.loss, self._quantile_levels, self.huber_delta)

    def _set_target_attributes(self, y: np.ndarray) -> None:
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        if not self._has_several_levels:
            return
        if self.n_outputs_ > 1:
            raise ValueError(
                f"quantile has {len(self._quantile_levels)} levels, which need one "
                f"number for each sample, but y has {self.n_outputs_} columns; fit one "
                "estimator for each column."
            )
        self.n_outputs_ = len(self._quantile_levels)

    def _check_new_targets(self, y: np.ndarray) -> None:
        n_levels = len(self._quantile_levels)
        if self._has_several_levels and n_levels != self.n_outputs_:
            raise ValueError(
                f"quantile has {n_levels} levels, but the network of the fit before "
                f"has {self.n_outputs_} outputs; set it back or fit a new estimator."
            )

    def _encode_targets(self, y: np.ndarray, name: str = "y") -> np.ndarray:
        if y.ndim == 2 and y.shape[1] == 1:
            y = ravel_column(y) if name == "y" else column_or_1d(y)
        y = y.reshape(len(y), -1)
        n_targets = 1 if self._has_several_levels else self.n_outputs_
        if y.shape[1] != n_targets:
            raise ValueError(
                f"{name} has {y.shape[1]} outputs, but fit has seen {n_targets}."
            )
        if y.dtype.kind not in "fiub":
            raise TypeError(f"{name} has dtype {y.dtype}, but has to hold numbers.")
        if self.loss == "poisson" and (y < 0).any():
            raise ValueError(f"loss='poisson' needs {name} >= 0.")
        return y.astype(np.float64)

    def _score_logits(
        self, logits: Tensor, y: np.ndarray, weight: np.ndarray | None
    ) -> float:
        predicted = self._outputs_from_logits(logits.cpu(), self._make_loss())
        if not np.isfinite(predicted).all():
            return np.nan
        if self._predicts_quantiles:
            return _d2_score(y, predicted, weight, self._quantile_levels)
        with np.errstate(over="ignore"):  # training diverges; the score is -inf
            return _r2_score(y, predicted, weight)


def _d2_score(
    y: Any, predicted: np.ndarray, weight: Any, levels: Sequence[float]
) -> float:
    """Return `sklearn.metrics.d2_pinball_score`, averaged over the levels."""
    columns = [predicted] if len(levels) == 1 else predicted.T
    scores = [
        d2_pinball_score(y, column, sample_weight=weight, alpha=level)
        for column, level in zip(columns, levels, strict=True)
    ]
    return float(np.mean(scores))


def _r2_score(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
    """Return `sklearn.metrics.r2_score`, without its slow input validation."""
    if len(y) < 2:
        return float(r2_score(y, predicted, sample_weight=weight))
    y, predicted = y.reshape(len(y), -1), predicted.reshape(len(y), -1)
    sample_weight = 1.0 if weight is None else weight[:, np.newaxis]
    residual = (sample_weight * (y - predicted) ** 2).sum(axis=0)
    mean = np.average(y, axis=0, weights=weight)
    total_sum_of_squares = (sample_weight * (y - mean) ** 2).sum(axis=0)
    # The score of constant targets is 1 if they are predicted exactly, else 0.
    scores = np.where(residual == 0.0, 1.0, 0.0)
    varied = total_sum_of_squares != 0.0
    scores[varied] = 1.0 - residual[varied] / total_sum_of_squares[varied]
    return float(scores.mean())
