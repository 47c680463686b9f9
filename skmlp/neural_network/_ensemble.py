"""Several networks whose probabilities are averaged."""

import copy
import os
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
from sklearn import get_config
from sklearn.utils import column_or_1d, get_tags
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skmlp._sklearn_bases import (
    BaseEnsemble,
    ClassifierMixin,
    available_if,
    fit_context,
)
from skmlp._sklearn_compat import HasMethods, Interval, check_sample_weight
from skmlp.neural_network._base.inputs import validate_arrays
from skmlp.neural_network._base.network import BaseNetwork
from skmlp.neural_network._base.rollback import restore_attributes_on_error
from skmlp.neural_network._ensemble_members import fit_members
from skmlp.neural_network._fit.checkpoint import refuse_shared_checkpoint
from skmlp.neural_network._fit.images import flatten_images
from skmlp.neural_network._layers.html import fitted_panel
from skmlp.neural_network._mlp import MLPClassifier
from skmlp.neural_network._pipelines import final_estimator, final_prefix
from skmlp.training.compute.seeds import resolve_random_state
from skmlp.training.data.sources import Source

_MAX_SEED = np.iinfo(np.int32).max


def _members_take_batches(ensemble: "EnsembleClassifier") -> bool:
    """Whether every member can go on from a batch; an AttributeError otherwise."""
    if ensemble.bootstrap:
        raise AttributeError("partial_fit is only available with bootstrap=False.")
    return callable(ensemble._get_estimator().partial_fit)


class EnsembleClassifier(ClassifierMixin, BaseEnsemble):
    """Average of several networks that start, and are shuffled, differently.

    All members are trained on the same rows with their own seeds, or with
    ``bootstrap=True`` each on a sample of the rows; their probabilities are averaged.

    Parameters
    ----------
    estimator : classifier or None, default=None
        What is trained several times: a network, or a `Pipeline` ending in one; None
        is ``MLPClassifier()``. It is cloned, and every ``random_state`` in it replaced.
    n_estimators : int, default=5
        Number of members.
    bootstrap : bool, default=False
        Whether each member is trained on as many rows as there are, drawn with
        replacement. A row counts as often as it was drawn, as its weight: no row is
        copied, every member knows all classes, and the validation rows of
        ``early_stopping`` are not among those trained on.
    random_state : int, RandomState instance or None, default=None
        Source of the members' seeds and samples. An int gives the same ensemble in
        every call.
    n_jobs : int or None, default=None
        Members trained at once, each on one thread, so that the ensemble is the same to
        the bit whatever the number; -1 is one for each processor. None (unless in a
        :obj:`joblib.parallel_config` context) trains small multi-layer perceptrons
        together, as one network with a leading dimension of members, and others one
        after the other, with all of torch's threads where there is work for them:
        there sums are rounded differently.
    checkpoint : str, path-like or None, default=None
        Folder in which every member keeps its progress, in a file of its own; see
        `MLPClassifier`. A fit that was killed goes on from it and ends as if it had
        not been, if `random_state` is given; members that were through are not trained
        again, and `n_estimators` may have grown. They are trained one by one, not
        together. `partial_fit` takes no notice of it.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.
    estimator_ : classifier
        What the members are clones of.
    estimators_ : list of classifiers
        The fitted members. They do not know the names of features.
    estimators_samples_ : list of ndarray of shape (n_samples,)
        Rows drawn for each member; empty without `bootstrap`.
    n_features_in_ : int
        Number of features of a row, pixels and channels counted alike.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had them.

    See Also
    --------
    MLPClassifier : A single network.
    sklearn.ensemble.BaggingClassifier : For any classifier, samples of features too.

    Notes
    -----
    The cross-entropy of averaged probabilities is at most the average cross-entropy of
    the members, by Jensen's inequality (Lakshminarayanan et al. 2017, arXiv:1612.01474,
    on ensembles of networks). There is no `decision_function`: averaged logits may rank
    rows otherwise than averaged probabilities.

    A Pipeline that ends in an ensemble transforms the rows once; one inside an ensemble
    does so for each member, and its transformers do not see the weights.

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

    # Members validate their own parameters.
    @restore_attributes_on_error
    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train all members on X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images of \
shape (n_samples, height, width[, channels])
            Rows to train on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels as `estimator` takes them.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; with ``bootstrap=True`` rows are drawn with
            probabilities proportional to them instead, as in
            `sklearn.ensemble.BaggingClassifier`.
        X_val, y_val : as X and y, default=None
            Rows for every member to validate on.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            If `estimator` takes no weights or no validation rows and needs to.
        ValueError
            If the data do not fit each other or the parameters, or if a file in
            `checkpoint` is of another fit.
        OSError
            If a file there cannot be read or written.
        """
        self._check_checkpoint()
        X, y = self._check_arrays(X, y, reset=True)
        if sample_weight is not None:
            sample_weight = check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
        if X_val is not None:
            X_val = self._check_arrays(X_val, reset=False)
        members, samples = self._make_members(X.shape[0], sample_weight)
        weights = (
            [np.bincount(rows, minlength=X.shape[0]).astype(float) for rows in samples]
            if self.bootstrap
            else [sample_weight] * len(members)
        )
        given = [
            self._name_for_members(sample_weight=weight, X_val=X_val, y_val=y_val)
            for weight in weights
        ]
        members = fit_members(members, X, y, given, self.n_jobs, self.checkpoint)
        return self._set_fitted_attributes(members, samples, y)

    @available_if(_members_take_batches)
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
            All labels there will be; needed in the first call.

        Returns
        -------
        self : object
        """
        first = not self.__sklearn_is_fitted__()
        X, y = self._check_arrays(X, y, reset=first)
        if first:
            members, samples = self._make_members(X.shape[0], None)
        else:
            # Copies: one that fails does not leave those before it ahead of the others.
            members = copy.deepcopy(self.estimators_)
            samples = self.estimators_samples_
        given = {"sample_weight": sample_weight, "classes": classes}
        given = {name: value for name, value in given.items() if value is not None}
        for member in members:
            member.partial_fit(X, y, **given)
        return self._set_fitted_attributes(members, samples, y)

    def _check_checkpoint(self) -> None:
        """Refuse members with one file, and seeds that no later fit would draw."""
        refuse_shared_checkpoint(self._get_estimator())
        if self.checkpoint is not None and self.random_state is None:
            raise ValueError(
                "checkpoint needs a random_state, from which a later fit would draw "
                "the same seeds of members; give an int."
            )

    def _check_arrays(self, X: Any, *y: Any, reset: bool) -> Any:
        """Check X, and y if given, once for all; images come back with channels."""
        X, shape = flatten_images(X)
        tags = get_tags(self._get_estimator()).input_tags
        checked = validate_arrays(
            self,
            X,
            *y,
            **({"multi_output": True} if y else {}),
            accept_sparse="csr" if tags.sparse else False,
            ensure_all_finite=not tags.allow_nan,
            reset=reset,
        )
        X = checked[0] if y else checked
        if shape is not None and not isinstance(X, Source):
            X = X.reshape(len(X), *shape)
        if not y:
            return X
        labels = checked[1]
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = column_or_1d(labels, warn=True)
        return X, labels

    def _make_members(
        self, n_rows: int, probabilities: np.ndarray | None
    ) -> tuple[list[Any], list[np.ndarray]]:
        """Return unfitted members, and for a bootstrap the rows drawn for each."""
        self._validate_estimator(self._get_estimator())
        random_state = resolve_random_state(self.random_state)
        if probabilities is not None:
            probabilities = probabilities / probabilities.sum()
        members, samples = [], []
        for seed in random_state.randint(_MAX_SEED, size=self.n_estimators):
            own = np.random.RandomState(seed)
            members.append(self._make_estimator(append=False, random_state=own))
            if self.bootstrap:
                samples.append(own.choice(n_rows, n_rows, p=probabilities))
        return members, samples

    def _name_for_members(self, **values: Any) -> dict[str, Any]:
        """Return the values that are given, by the names members have for them."""
        given = {name: value for name, value in values.items() if value is not None}
        estimator = final_estimator(self.estimator_)
        prefix = final_prefix(self.estimator_)
        if prefix:  # the members are Pipelines
            if get_config()["enable_metadata_routing"]:
                return given
            if "X_val" in given:
                raise ValueError(
                    "X_val would reach the network past the other steps of the "
                    "Pipeline; end a Pipeline in the ensemble instead, or enable "
                    "metadata routing and set transform_input=['X_val']."
                )
        for name in given:
            if not has_fit_parameter(estimator, name):
                why = ", which bootstrap=True needs" if self.bootstrap else ""
                raise TypeError(f"{type(estimator).__name__}.fit takes no {name}{why}.")
        return {prefix + name: value for name, value in given.items()}

    def _set_fitted_attributes(
        self, members: list[Any], samples: list[np.ndarray], y: Any
    ) -> Self:
        """Set the fitted attributes."""
        self.estimators_, self.estimators_samples_ = members, samples
        self.classes_ = members[0].classes_
        self._multilabel = type_of_target(y) == "multilabel-indicator"
        self._sparse_targets = scipy.sparse.issparse(y)
        return self

    # Prediction

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of highest average probability, of equal ones the first.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images

        Returns
        -------
        y : ndarray of shape (n_samples,), or {ndarray, sparse matrix} of shape \
(n_samples, n_classes) of 0 and 1
            The latter where rows have several labels, those of a probability over 0.5;
            sparse if those of `fit` were.
        """
        probabilities = self.predict_proba(X)
        if self._multilabel:
            labels = (probabilities > 0.5).astype(np.int64)
            return scipy.sparse.csr_matrix(labels) if self._sparse_targets else labels
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the average of the members' probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns as in `classes_`.
        """
        check_is_fitted(self)
        X = self._check_arrays(X, reset=False)
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
        """Return the score of every member by itself.

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
        X = self._check_arrays(X, reset=False)
        return np.array(
            [member.score(X, y, sample_weight) for member in self.estimators_]
        )

    def _html_repr(self) -> str:
        """Return scikit-learn's diagram and, after fit, what was trained."""
        members = getattr(self, "estimators_", ())
        last = [final_estimator(member) for member in members]
        ours = bool(last) and all(isinstance(m, BaseNetwork) for m in last)
        return super()._html_repr() + (fitted_panel(last) if ours else "")

    def _get_estimator(self) -> Any:
        return MLPClassifier() if self.estimator is None else self.estimator

    def __sklearn_is_fitted__(self) -> bool:
        """Whether `fit` came to its end."""
        return hasattr(self, "estimators_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        members = get_tags(self._get_estimator())
        tags.input_tags.sparse = members.input_tags.sparse
        tags.input_tags.allow_nan = members.input_tags.allow_nan
        tags.classifier_tags.multi_label = members.classifier_tags.multi_label
        return tags
