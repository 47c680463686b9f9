"""The base of the classifiers: `fit`, `predict`, probabilities and temperature."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import scipy.sparse
import torch
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skmlp._sklearn_bases import ClassifierMixin, fit_context
from skmlp._sklearn_compat import (
    check_partial_fit_first_call,
    outputs_match_input,
    to_numpy,
)
from skmlp.neural_network._base.labels import LabeledNetwork, most_probable_classes
from skmlp.neural_network._base.parameters.availability import partial_fit_if_available
from skmlp.neural_network._base.rollback import restore_attributes_on_error
from skmlp.neural_network._temperature import fit_temperature
from skmlp.training.compute.ambient_modes import in_default_modes
from skmlp.training.losses import OUTPUT_ACTIVATIONS


class DecisionFunctionMixin:
    """The logits as `decision_function`; not for direct use.

    Neither `MLPClassifier` nor scikit-learn's class has it. Scorers, calibration and
    plots would use a decision function instead of the probabilities.
    """

    n_outputs_: int
    _target_type: str
    _logits: Callable[..., Tensor]

    @outputs_match_input
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits, before the temperature divides them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images

        Returns
        -------
        logits : ndarray of shape (n_samples, n_classes), (n_samples,) for two classes
        """
        logits = self._logits(X).numpy()
        if self._target_type == "multiclass" and self.n_outputs_ == 2:
            return logits[:, 1] - logits[:, 0]
        return logits.ravel() if self.n_outputs_ == 1 else logits


class BaseClassifier(ClassifierMixin, LabeledNetwork):
    """Base of the classifiers; not for direct use."""

    temperature: float

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
            Labels of any type, an indicator matrix for several labels per sample, or
            probabilities for ``loss='kullback_leibler'``.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights, none of them negative. As in scikit-learn, `alpha` is
            divided by their sum over a batch. Weights of one have the same effect as
            None. Smaller weights make the penalty stronger.
        X_val, y_val : as X and y, default=None
            Validation set. It replaces the validation split of `early_stopping`. The
            network gets the weights of the epoch with the best validation score. If y
            holds probabilities, `y_val` may hold class numbers instead.
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
            In these cases:

            - Ctrl-C comes before the end of the first epoch (the first iteration of
              L-BFGS).
            - Ctrl-C comes at any time in a search, a cross-validation, an ensemble or a
              job of joblib.

            Otherwise the fit ends with the epochs so far and a warning.
        """
        # The state of an earlier `calibrate_temperature` or of a failed `partial_fit`.
        for name in ("temperature_", "_partial_classes"):
            self.__dict__.pop(name, None)
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val)

    @partial_fit_if_available
    @restore_attributes_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> Self:
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
        classes : array-like of shape (n_classes,), default=None
            All classes of all calls; required in the first call.

        Returns
        -------
        self : object
        """
        check_partial_fit_first_call(self, classes)
        # `check_partial_fit_first_call` has set `classes_`. `_partial_classes` passes
        # them to `_set_target_attributes`, which would otherwise use the labels in y.
        # The call after a failed first call needs them, too.
        if not self.__sklearn_is_fitted__():
            self._partial_classes = self.classes_
        self.__dict__.pop("temperature_", None)
        return self._fit(X, y, sample_weight, incremental=True)

    # Scores and predictions

    def _score_names(self) -> list[str]:
        # skorch's classifiers record their accuracy by this name.
        return super()._score_names() + ["valid_acc"] * (self.scoring is None)

    def _score_logits(
        self, logits: Tensor, y: np.ndarray, weight: np.ndarray | None
    ) -> float:
        if len(self.classes_) == 1:
            return 1.0  # `predict` knows this class only
        predicted = logits.cpu().numpy()
        if self.n_outputs_ > 1 and self._target_type != "multilabel-indicator":
            # y has class indices, or rows of probabilities; see `_encode_targets`.
            truth = y if y.ndim == 1 else y.argmax(axis=1)
            correct = predicted.argmax(axis=1) == truth
        else:
            correct = ((predicted > 0) == (y > 0.5)).all(axis=1)
        return float(np.average(correct, weights=weight))

    @outputs_match_input
    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images

        Returns
        -------
        y : ndarray of shape (n_samples,), or {ndarray, sparse matrix} of shape \
(n_samples, n_classes) of 0 and 1
            The matrix if samples have several labels; sparse if y in `fit` was.
        """
        logits = self._logits(X).numpy()
        if self._target_type == "multilabel-indicator":
            labels = (logits > 0).astype(np.int64)
            return scipy.sparse.csr_matrix(labels) if self._sparse_targets else labels
        if self.n_outputs_ > 1:
            return self.classes_[logits.argmax(axis=1)]
        is_second = (logits.ravel() > 0) & (len(self.classes_) > 1)
        return self.classes_[is_second.astype(int)]

    @outputs_match_input
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Softmax of the logits divided by the temperature; for two classes the
            logistic function. Columns are ordered as `classes_`. If `fit` has seen one
            class only, there is a second column, as in scikit-learn.
        """
        check_is_fitted(self)
        temperature = self._current_temperature()
        function = OUTPUT_ACTIVATIONS[self.net_.criterion_.output_activation]
        unscaled = temperature == 1.0  # a division by 1 would only copy the logits
        probabilities = self._logits(
            X, lambda z: function(z if unscaled else z / temperature)
        ).numpy()
        if self.n_outputs_ == 1:
            return np.hstack([1 - probabilities, probabilities])
        return probabilities

    @outputs_match_input
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
        """
        probabilities = to_numpy(self.predict_proba(X))
        with np.errstate(divide="ignore"):
            return np.log(probabilities, out=probabilities)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy: the fraction of samples with all labels correct.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True labels. If the network was fitted to probabilities, also a row of
            probabilities for each sample. The most probable class is then the label.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
            As `sklearn.metrics.accuracy_score`.
        """
        predicted, y = to_numpy(self.predict(X)), to_numpy(y)
        if self._target_type == "probabilities":
            y = most_probable_classes(y, len(self.classes_))
        # `accuracy_score` validates the labels, which takes longer than the prediction.
        # Simple label arrays are therefore compared directly.
        if sample_weight is None and type(y) is type(predicted) is np.ndarray:
            one_label_per_sample = y.ndim == 1 and y.shape == predicted.shape
            if one_label_per_sample and y.dtype.kind == predicted.dtype.kind in "biuU":
                return float((predicted == y).mean())
        return accuracy_score(y, predicted, sample_weight=sample_weight)

    @in_default_modes
    def calibrate_temperature(self, X: Any, y: Any) -> Self:
        """Fit the temperature of `predict_proba` to samples that were not trained on.

        The temperature minimizes the cross-entropy of the labels (Guo et al. 2017,
        arXiv:1706.04599). Predicted classes do not change.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Their labels, as in `fit`.

        Returns
        -------
        self : object
            With the attribute ``temperature_``, which the next fit deletes.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If y has unknown labels, or another length than X.
        """
        logits = self._logits(X).double()
        y = y.to_numpy() if hasattr(y, "to_numpy") else to_numpy(y)
        encoded = torch.from_numpy(
            self._encode_targets(y if scipy.sparse.issparse(y) else np.asarray(y))
        )
        check_consistent_length(logits, encoded)
        logistic = self.out_activation_ == "logistic"
        self.temperature_ = fit_temperature(logits, encoded, logistic=logistic)
        return self

    def _current_temperature(self) -> float:
        """Return the calibrated temperature, or the one of the constructor."""
        return getattr(self, "temperature_", self.temperature)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
