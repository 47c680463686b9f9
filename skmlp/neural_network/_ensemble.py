"""An ensemble of networks whose probabilities are averaged."""

from typing import Any, Self

import numpy as np
import scipy.sparse
import torch
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length, column_or_1d, get_tags
from sklearn.utils.multiclass import type_of_target
from torch import Tensor

from skmlp._sklearn_bases import ClassifierMixin, available_if, fit_context
from skmlp._sklearn_compat import outputs_match_input, to_numpy
from skmlp.neural_network._base.labels import (
    check_columns,
    class_indices,
    has_columns,
    most_probable_classes,
)
from skmlp.neural_network._base.parameters.declaration import with_shared_parameters
from skmlp.neural_network._base.rollback import restore_attributes_on_error
from skmlp.neural_network._ensembles.base import BaseNetworkEnsemble
from skmlp.neural_network._ensembles.members import members_have_partial_fit
from skmlp.neural_network._ensembles.parameters import ensemble_parameters
from skmlp.neural_network._mlp import MLPClassifier
from skmlp.neural_network._pipelines import final_estimator
from skmlp.neural_network._temperature import (
    fit_temperature,
    logits_of_probabilities,
    temper_probabilities,
)
from skmlp.training.compute.ambient_modes import in_default_modes


@with_shared_parameters
class EnsembleClassifier(ClassifierMixin, BaseNetworkEnsemble):
    """Ensemble that averages the predicted probabilities of several networks.

    The members have different seeds. All members are trained on the same samples, or
    with ``bootstrap=True`` each member on a bootstrap sample.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.
    estimator_ : classifier
        The estimator that was cloned.
    estimators_ : list of classifiers
        The fitted members. They have no feature names.
    estimators_samples_ : list of ndarray of shape (n_samples,)
        Indices of the samples drawn for each member; empty without `bootstrap`.
    n_features_in_ : int
        Number of features; for images ``height * width * channels``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had names.
    temperature_ : float
        Temperature of the probabilities, after `calibrate_temperature`.

    See Also
    --------
    MLPClassifier : A single network.
    EnsembleRegressor : For continuous targets.
    sklearn.ensemble.BaggingClassifier : For any classifier; can draw features too.

    Notes
    -----
    The cross-entropy of averaged probabilities is at most the average cross-entropy of
    the members, by Jensen's inequality (Lakshminarayanan et al. 2017, arXiv:1612.01474,
    on ensembles of networks). There is no `decision_function`, because averaged logits
    may rank samples differently from averaged probabilities.

    Put the ensemble at the end of a Pipeline if possible. Then X is transformed once.
    In an ensemble of Pipelines, each member transforms X, and the transformers do not
    receive the sample weights.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skmlp.neural_network import EnsembleClassifier, MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    >>> network = MLPClassifier(20, early_stopping=True, max_iter=500)
    >>> model = EnsembleClassifier(network, 3, random_state=0).fit(X_train, y_train)
    >>> scores = model.member_scores(X_test, y_test)
    >>> scores.shape
    (3,)
    >>> bool(model.score(X_test, y_test) > scores.mean())
    True
    """

    classes_: np.ndarray
    temperature_: float

    _parameters_not_shared = ensemble_parameters(
        "classifier",
        "MLPClassifier",
        "predict_proba",
        "every member knows all classes, and ",
    )

    @available_if(members_have_partial_fit)
    @restore_attributes_on_error
    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> Self:
        """Call `partial_fit` of every member, one after the other.

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
        return self._partial_fit(X, y, sample_weight=sample_weight, classes=classes)

    def _set_target_attributes(self, y: Any) -> None:
        self.__dict__.pop("temperature_", None)
        first = self.estimators_[0]
        self.classes_ = first.classes_
        network = final_estimator(first)
        self._target_type = getattr(network, "_target_type", type_of_target(y))
        self._multilabel = self._target_type == "multilabel-indicator"
        self._sparse_targets = scipy.sparse.issparse(y)

    # Prediction

    @outputs_match_input
    def predict(self, X: Any) -> np.ndarray:
        """Return the class with the highest average probability; ties give the first.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images

        Returns
        -------
        y : ndarray of shape (n_samples,), or {ndarray, sparse matrix} of shape \
(n_samples, n_classes) of 0 and 1
            For multilabel targets, an indicator matrix with 1 for a probability above
            0.5. It is sparse if y was sparse in `fit`.
        """
        # Without the temperature, whose rounding could make probabilities equal.
        probabilities = self._average_of_members("predict_proba", X)
        if self._multilabel:
            labels = (probabilities > 0.5).astype(np.int64)
            return scipy.sparse.csr_matrix(labels) if self._sparse_targets else labels
        if len(self.classes_) == 1:  # networks have a second column even so
            probabilities = probabilities[:, :1]
        return self.classes_[probabilities.argmax(axis=1)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy: the fraction of samples with all labels correct.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True labels, or probabilities if the members were fitted to probabilities.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
        """
        predicted, y = to_numpy(self.predict(X)), to_numpy(y)
        # Ensembles that were pickled with an older version lack this attribute.
        if getattr(self, "_target_type", None) == "probabilities":
            y = most_probable_classes(y, len(self.classes_))
        return accuracy_score(y, predicted, sample_weight=sample_weight)

    @outputs_match_input
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the average of the members' probabilities.

        After `calibrate_temperature`, the temperature changes the average.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns are ordered as `classes_`.
        """
        average = self._average_of_members("predict_proba", X)
        temperature = getattr(self, "temperature_", 1.0)
        return temper_probabilities(average, temperature, self._multilabel)

    @outputs_match_input
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of the average probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(to_numpy(self.predict_proba(X)))

    @in_default_modes
    def calibrate_temperature(self, X: Any, y: Any) -> Self:
        """Fit a temperature of `predict_proba` to samples that were not trained on.

        The logarithms of the averaged probabilities are divided by the temperature, and
        a softmax makes them probabilities again. For several labels per sample, the
        log-odds are divided. The temperature minimizes the cross-entropy of the labels.
        Predicted classes do not change.

        The members are averaged first, because the average of calibrated members is not
        confident enough (Rahaman and Thiery 2021, arXiv:2007.08792). With one member,
        this is the temperature of a network (Guo et al. 2017, arXiv:1706.04599).

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

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.metrics import log_loss
        >>> from sklearn.utils import shuffle
        >>> from skmlp.neural_network import EnsembleClassifier, MLPClassifier
        >>> X, y = shuffle(*load_digits(return_X_y=True), random_state=0)
        >>> model = EnsembleClassifier(MLPClassifier(20, tol=0.01), 3, random_state=0)
        >>> model = model.fit(X[:800], y[:800])
        >>> before = log_loss(y[1300:], model.predict_proba(X[1300:]))
        >>> model = model.calibrate_temperature(X[800:1300], y[800:1300])
        >>> bool(log_loss(y[1300:], model.predict_proba(X[1300:])) < before)
        True
        """
        average = self._average_of_members("predict_proba", X)
        targets = self._encode_labels(y)
        check_consistent_length(average, targets)
        logits = torch.from_numpy(logits_of_probabilities(average, self._multilabel))
        self.temperature_ = fit_temperature(logits, targets, logistic=self._multilabel)
        return self

    def _encode_labels(self, y: Any) -> Tensor:
        """Return class indices, or rows with a number for each class."""
        y = y.to_numpy() if hasattr(y, "to_numpy") else y
        y = y.toarray() if scipy.sparse.issparse(y) else np.asarray(y)
        soft = getattr(self, "_target_type", None) == "probabilities" and has_columns(y)
        if soft or self._multilabel:
            check_columns(y, len(self.classes_), "y")
            return torch.from_numpy(y.astype(np.float64))
        return torch.from_numpy(class_indices(column_or_1d(y), self.classes_))

    def _get_estimator(self) -> Any:
        return MLPClassifier() if self.estimator is None else self.estimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        members = get_tags(self._get_estimator())
        if members.classifier_tags is not None:
            tags.classifier_tags.multi_label = members.classifier_tags.multi_label
        return tags
