"""An ensemble of networks whose probabilities are averaged."""

import copy
import os
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
from sklearn.metrics import accuracy_score
from sklearn.utils import get_tags
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from skmlp._sklearn_bases import (
    BaseEnsemble,
    ClassifierMixin,
    available_if,
    fit_context,
)
from skmlp._sklearn_compat import HasMethods, Interval, check_sample_weight
from skmlp.neural_network._base.labels import most_probable_classes
from skmlp.neural_network._base.network import BaseNetwork
from skmlp.neural_network._base.rollback import restore_attributes_on_error
from skmlp.neural_network._ensemble_members import (
    check_arrays,
    check_checkpoint,
    count_draws,
    fit_members,
    make_fit_params,
    members_have_partial_fit,
    update_members,
)
from skmlp.neural_network._layers.html import fitted_panel
from skmlp.neural_network._mlp import MLPClassifier
from skmlp.neural_network._pipelines import final_estimator
from skmlp.training.compute.seeds import resolve_random_state

_MAX_SEED = np.iinfo(np.int32).max


class EnsembleClassifier(ClassifierMixin, BaseEnsemble):
    """Ensemble that averages the predicted probabilities of several networks.

    The members have different seeds. All members are trained on the same samples, or
    with ``bootstrap=True`` each member on a bootstrap sample.

    Parameters
    ----------
    estimator : classifier or None, default=None
        The estimator to train several times: a network, or a `Pipeline` that ends in
        one. None is ``MLPClassifier()``. For each member it is cloned, and every
        `random_state` parameter is set to a seed of the member.
    n_estimators : int, default=5
        Number of members.
    bootstrap : bool, default=False
        Whether each member is trained on a bootstrap sample: n_samples samples that are
        drawn from X with replacement. Each member receives all samples. The weight of a
        sample is the number of times it was drawn, which may be 0. So every member
        knows all classes, and no sample is in both the training set and the validation
        set of ``early_stopping``.
    random_state : int, RandomState instance or None, default=None
        Generates the seeds of the members and the bootstrap samples. An int gives the
        same ensemble in every call.
    n_jobs : int or None, default=None
        Number of members that are trained at the same time; -1 is one for each
        processor.

        - With an int each member uses one thread. The ensemble is the same to the bit
          for any number.
        - With None, and without :obj:`joblib.parallel_config`, small networks are
          trained together in a pack, as in `PackedGridSearchCV`. Other networks are
          trained one after the other with all threads of torch. The last bits may then
          differ from a fit with an int.
    checkpoint : str, path-like or None, default=None
        Folder with one checkpoint file for each member; see `MLPClassifier`. An
        interrupted fit continues from these files, with the result of an uninterrupted
        fit. Finished members are not trained again. `n_estimators` may be larger than
        in the interrupted fit. It needs a `random_state`. Members are trained one by
        one, not in a pack. `partial_fit` ignores it.

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

    See Also
    --------
    MLPClassifier : A single network.
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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "bootstrap": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "checkpoint": [str, os.PathLike, None],
    }

    n_estimators: int

    def __init__(
        self,
        estimator: Any = None,
        n_estimators: int = 5,
        *,
        bootstrap: bool = False,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(estimator=estimator, n_estimators=n_estimators)
        self.bootstrap = bootstrap
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.checkpoint = checkpoint

    # Nested validation is not skipped: each member validates its own parameters.
    @restore_attributes_on_error
    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train all members on X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images of \
shape (n_samples, height, width[, channels])
            Training samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels, as `estimator` takes them.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. With ``bootstrap=True`` they are the probabilities of the
            samples to be drawn, as in `sklearn.ensemble.BaggingClassifier`.
        X_val, y_val, sample_weight_val : as X, y and sample_weight, default=None
            Validation set of every member.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            If `fit` of `estimator` has no parameter for the given sample weights or
            validation set, or for the weights that ``bootstrap=True`` needs.
        ValueError
            If data and parameters contradict each other, or if a file in `checkpoint`
            belongs to another fit.
        OSError
            If a file there cannot be read or written.
        """
        check_checkpoint(self._get_estimator(), self.checkpoint, self.random_state)
        X, y = check_arrays(self, X, y, reset=True)
        if sample_weight is not None:
            sample_weight = check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
        if X_val is not None:
            X_val = check_arrays(self, X_val, reset=False)
        members, samples = self._make_members(X.shape[0], sample_weight)
        weights = [sample_weight] * len(members)
        if self.bootstrap:
            weights = [count_draws(drawn, X.shape[0]) for drawn in samples]
        valid = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        fit_params = [
            make_fit_params(
                self.estimator_, self.bootstrap, {"sample_weight": weight, **valid}
            )
            for weight in weights
        ]
        members = fit_members(members, X, y, fit_params, self.n_jobs, self.checkpoint)
        self._set_fitted_attributes(members, samples, y)
        return self

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
        first = not self.__sklearn_is_fitted__()
        X, y = check_arrays(self, X, y, reset=first)
        if first:
            members, samples = self._make_members(X.shape[0], None)
        else:
            # Copies are trained, so that an error leaves the fitted members unchanged.
            members = copy.deepcopy(self.estimators_)
            update_members(members, self._get_estimator(), self.n_estimators)
            samples = self.estimators_samples_
        given = {"sample_weight": sample_weight, "classes": classes}
        given = {name: value for name, value in given.items() if value is not None}
        for member in members:
            member.partial_fit(X, y, **given)
        self._set_fitted_attributes(members, samples, y)
        return self

    def _make_members(
        self, n_samples: int, probabilities: np.ndarray | None
    ) -> tuple[list[Any], list[np.ndarray]]:
        """Return unfitted members, and for a bootstrap the indices drawn for each."""
        self._validate_estimator(self._get_estimator())
        random_state = resolve_random_state(self.random_state)
        if probabilities is not None:
            probabilities = probabilities / probabilities.sum()
        members, samples = [], []
        for seed in random_state.randint(_MAX_SEED, size=self.n_estimators):
            rng = np.random.RandomState(seed)
            members.append(self._make_estimator(append=False, random_state=rng))
            if self.bootstrap:
                samples.append(rng.choice(n_samples, n_samples, p=probabilities))
        return members, samples

    def _set_fitted_attributes(
        self, members: list[Any], samples: list[np.ndarray], y: Any
    ) -> None:
        """Set the fitted attributes."""
        self.estimators_, self.estimators_samples_ = members, samples
        self.classes_ = members[0].classes_
        network = final_estimator(members[0])
        self._target_type = getattr(network, "_target_type", type_of_target(y))
        self._multilabel = self._target_type == "multilabel-indicator"
        self._sparse_targets = scipy.sparse.issparse(y)

    # Prediction

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
        probabilities = self.predict_proba(X)
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
        predicted = self.predict(X)
        # Ensembles that were pickled with an older version lack this attribute.
        if getattr(self, "_target_type", None) == "probabilities":
            y = most_probable_classes(y, len(self.classes_))
        return accuracy_score(y, predicted, sample_weight=sample_weight)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the average of the members' probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns are ordered as `classes_`.
        """
        check_is_fitted(self)
        X = check_arrays(self, X, reset=False)
        total = self.estimators_[0].predict_proba(X)
        for member in self.estimators_[1:]:
            total += member.predict_proba(X)
        return total / len(self.estimators_)

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
            return np.log(self.predict_proba(X))

    def member_scores(self, X: Any, y: Any, sample_weight: Any = None) -> np.ndarray:
        """Return the score of every single member.

        Parameters
        ----------
        X, y, sample_weight
            As in `score`.

        Returns
        -------
        scores : ndarray of shape (n_estimators,)
            Accuracies, in the order of `estimators_`.
        """
        check_is_fitted(self)
        X = check_arrays(self, X, reset=False)
        return np.array([m.score(X, y, sample_weight) for m in self.estimators_])

    def _html_repr(self) -> str:
        """Return scikit-learn's diagram and, after fit, what was trained."""
        members = getattr(self, "estimators_", ())
        finals = [final_estimator(member) for member in members]
        are_networks = bool(finals) and all(isinstance(f, BaseNetwork) for f in finals)
        return super()._html_repr() + (fitted_panel(finals) if are_networks else "")

    def _get_estimator(self) -> Any:
        return MLPClassifier() if self.estimator is None else self.estimator

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether the ensemble has been fitted."""
        return hasattr(self, "estimators_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        members = get_tags(self._get_estimator())
        tags.input_tags.sparse = members.input_tags.sparse
        tags.input_tags.allow_nan = members.input_tags.allow_nan
        tags.input_tags.pairwise = members.input_tags.pairwise
        tags.classifier_tags.multi_label = members.classifier_tags.multi_label
        return tags
