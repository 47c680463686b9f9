"""The base of the ensembles: training of the members, and averages over them."""

import copy
import os
from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skmlp._sklearn_bases import BaseEnsemble, fit_context
from skmlp._sklearn_compat import check_sample_weight
from skmlp.neural_network._base.network import BaseNetwork
from skmlp.neural_network._base.rollback import restore_attributes_on_error
from skmlp.neural_network._ensembles.folds import (
    check_fold_validation,
    fit_members_on_folds,
)
from skmlp.neural_network._ensembles.members import (
    check_arrays,
    check_checkpoint,
    count_draws,
    fit_members,
    make_fit_params,
    update_members,
)
from skmlp.neural_network._layers.html import fitted_panel
from skmlp.neural_network._pipelines import final_estimator
from skmlp.training.compute.seeds import resolve_random_state

_MAX_SEED = np.iinfo(np.int32).max


class BaseNetworkEnsemble(BaseEnsemble):
    """Base of the ensembles; not for direct use."""

    # Keywords of scikit-learn's `validate_data` for the targets.
    _target_checks: ClassVar[dict[str, bool]] = {"multi_output": True}

    n_estimators: int
    estimators_samples_: list[np.ndarray]

    def __init__(
        self,
        estimator: Any = None,
        n_estimators: int = 5,
        *,
        bootstrap: bool = False,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        validation: str | None = None,
    ) -> None:
        super().__init__(estimator=estimator, n_estimators=n_estimators)
        self.bootstrap = bootstrap
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.checkpoint = checkpoint
        self.validation = validation

    # Hooks of the ensembles

    @abstractmethod
    def _get_estimator(self) -> Any:
        """Return the estimator to clone, or the default network."""

    def _set_target_attributes(self, y: Any) -> None:
        """Set the attributes that describe the targets; the members are fitted."""

    # Training

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
            Labels or target values, as `estimator` takes them.
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
        check_checkpoint(self)
        if self.validation == "folds":
            check_fold_validation(self, X_val)
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
        if self.validation == "folds":
            members = fit_members_on_folds(self, members, X, y, fit_params[0])
        else:
            members = fit_members(
                members, X, y, fit_params, self.n_jobs, self.checkpoint
            )
        self._set_fitted_attributes(members, samples, y)
        return self

    def _partial_fit(self, X: Any, y: Any, **given: Any) -> Self:
        """Call `partial_fit` of every member; arguments that are None are omitted."""
        first = not self.__sklearn_is_fitted__()
        X, y = check_arrays(self, X, y, reset=first)
        if first:
            members, samples = self._make_members(X.shape[0], None)
        else:
            # Copies are trained, so that an error leaves the fitted members unchanged.
            members = copy.deepcopy(self.estimators_)
            update_members(members, self._get_estimator(), self.n_estimators)
            samples = self.estimators_samples_
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
        self._set_target_attributes(y)

    # Averages and scores

    def _average_of_members(self, method: str, X: Any) -> np.ndarray:
        """Return the average over the members of what a method returns for X."""
        check_is_fitted(self)
        X = check_arrays(self, X, reset=False)
        total = getattr(self.estimators_[0], method)(X)
        for member in self.estimators_[1:]:
            total = total + getattr(member, method)(X)
        return total / len(self.estimators_)

    def member_scores(self, X: Any, y: Any, sample_weight: Any = None) -> np.ndarray:
        """Return the score of every single member.

        Parameters
        ----------
        X, y, sample_weight
            As in `score`.

        Returns
        -------
        scores : ndarray of shape (n_estimators,)
            Values of the members' `score`, in the order of `estimators_`.
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

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether the ensemble has been fitted."""
        return hasattr(self, "estimators_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        members = get_tags(self._get_estimator())
        tags.input_tags.sparse = members.input_tags.sparse
        tags.input_tags.allow_nan = members.input_tags.allow_nan
        tags.input_tags.pairwise = members.input_tags.pairwise
        return tags
