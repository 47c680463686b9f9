"""The base of the estimators for tables: encoder, members, and their averages."""

import copy
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from skmlp._sklearn_bases import BaseEstimator
from skmlp._sklearn_compat import check_sample_weight
from skmlp.exceptions import DataScaleWarning
from skmlp.neural_network._base.parameters.combinations import (
    check_validation_arguments,
)
from skmlp.neural_network._packs.fold_fit import Fold, fit_together, make_folds
from skmlp.neural_network._tabular.encoder import TableEncoder
from skmlp.neural_network._tabular.presets import (
    PRESETS,
    choose_batch_size,
    choose_max_iter,
    choose_n_bins,
    choose_patience,
    resolve,
)
from skmlp.preprocessing import PiecewiseLinearEncoder
from skmlp.training.compute.seeds import resolve_random_state
from skmlp.training.compute.threads import single_threaded

_MAX_SEED = np.iinfo(np.int32).max

# Parameters of all members, from RealMLP (arXiv:2407.04491).
MEMBER_PARAMETERS: dict[str, Any] = {
    "solver": "adamw",
    "learning_rate": "cosine",
    "beta_1": 0.9,
    "beta_2": 0.95,
    "fade_start": 0.5,
    "init": "data_dependent",
    "input_scale": True,
    "learning_rate_factors": {
        "weights": "fan_in",
        "biases": 0.1,
        "scales": 6.0,
        "periodic": 0.1,
    },
    "scoring": "loss",
    "dtype": "float32",
}


# Entries of the history of a member.
_KEPT_IN_HISTORY = ("epoch", "train_loss", "valid_loss")


class BaseTabular(BaseEstimator):
    """Base of the estimators for tables; not for direct use."""

    preset: str
    n_estimators: int | str
    max_iter: int | str
    hidden_layer_sizes: int | Sequence[int]
    activation: str
    numerical_embedding: str | None
    categorical_features: Any
    learning_rate_init: float
    batch_size: int | str
    dropout: float
    weight_decay: float
    early_stopping: bool
    validation_fraction: float
    random_state: int | np.random.RandomState | None
    device: str | torch.device
    n_jobs: int | None
    verbose: bool | int | str

    n_features_in_: int
    estimators_: list[Any]
    encoder_: TableEncoder
    bin_encoder_: PiecewiseLinearEncoder | None

    # Model files hold the encoder.
    encoder_class = TableEncoder

    # Hooks of the estimators

    @abstractmethod
    def _check_targets(self, y: Any, name: str = "y") -> np.ndarray:
        """Return valid targets as an array."""

    @abstractmethod
    def _start_targets(self, y: np.ndarray) -> None:
        """Set the attributes that describe the targets of a fit."""

    @abstractmethod
    def _member_targets(self, y: np.ndarray) -> np.ndarray:
        """Return the targets that members are fitted to."""

    @abstractmethod
    def _make_member(self, params: dict[str, Any]) -> Any:
        """Return an unfitted member."""

    @abstractmethod
    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        """Return the classes for stratified folds, or None."""

    @abstractmethod
    def _member_outputs(self, member: Any, X: np.ndarray) -> np.ndarray:
        """Return the predictions of a member that are averaged."""

    @abstractmethod
    def _mean_loss(
        self, outputs: np.ndarray, y: np.ndarray, weight: np.ndarray | None
    ) -> float:
        """Return the loss of averaged outputs."""

    # Fit

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        X_val: Any,
        y_val: Any,
        sample_weight_val: Any,
    ) -> Self:
        """Encode the table and train all members."""
        check_validation_arguments("adamw", X_val, y_val, sample_weight_val)
        y = self._check_targets(y)
        random_state = resolve_random_state(self.random_state)
        encoder = self.encoder_class(
            self.categorical_features, random_state.randint(_MAX_SEED)
        )
        encoded = encoder.fit_transform(X)
        check_consistent_length(encoded, y)
        self._adopt_names(encoder)
        self.encoder_ = encoder
        self._start_targets(y)
        params: dict[str, Any] = {}
        if sample_weight is not None:
            params["sample_weight"] = check_sample_weight(
                sample_weight, encoded, dtype=np.float64, ensure_non_negative=True
            )
        preset = PRESETS[self.preset]
        n_members = resolve(self.n_estimators, preset.n_estimators)
        folds = None
        if X_val is not None:
            params["X_val"] = encoder.transform(X_val)
            params["y_val"] = self._member_targets(self._check_targets(y_val, "y_val"))
            if sample_weight_val is not None:
                params["sample_weight_val"] = sample_weight_val
        elif self.early_stopping:
            weight = params.get("sample_weight", np.ones(len(y)))
            folds = make_folds(
                self._strata(y),
                np.flatnonzero(weight),  # no part shall have weights of 0 only
                n_members,
                self.validation_fraction,
                random_state,
            )
        seeds = random_state.randint(_MAX_SEED, size=n_members)
        self._fit_embeddings(encoded, y, params, folds, seeds)
        return self

    def _adopt_names(self, encoder: TableEncoder) -> None:
        """Set the attributes of scikit-learn that describe the columns of X."""
        self.n_features_in_ = encoder.n_features_in_
        vars(self).pop("feature_names_in_", None)
        if hasattr(encoder, "feature_names_in_"):
            self.feature_names_in_ = encoder.feature_names_in_

    def _fit_embeddings(
        self,
        encoded: np.ndarray,
        y: np.ndarray,
        params: dict[str, Any],
        folds: Sequence[Fold] | None,
        seeds: np.ndarray,
    ) -> None:
        """Train the members with the embedding of the numbers, or with both."""
        n_numbers = self.encoder_.n_numbers
        embedding = self.numerical_embedding if n_numbers else None
        self.bin_encoder_ = None
        if embedding in ("ple", "auto"):
            bin_encoder = PiecewiseLinearEncoder(choose_n_bins(n_numbers))
            self.bin_encoder_ = bin_encoder.fit(encoded[:, :n_numbers])
        if embedding != "auto":
            self.estimators_ = self._train(embedding, encoded, y, params, folds, seeds)
            return
        candidates = [
            self._train(name, encoded, y, params, folds, seeds)
            for name in ("periodic", "ple")
        ]
        candidates.append([*candidates[0], *candidates[1]])
        losses = [
            self._validation_loss(members, encoded, y, params, folds)
            for members in candidates
        ]
        self.estimators_ = candidates[int(np.argmin(losses))]

    def _train(
        self,
        embedding: str | None,
        encoded: np.ndarray,
        y: np.ndarray,
        params: dict[str, Any],
        folds: Sequence[Fold] | None,
        seeds: np.ndarray,
    ) -> list[Any]:
        """Return trained members with one embedding."""
        n_samples = len(encoded if folds is None else folds[0].train)
        X = self._inputs(encoded, embedding == "ple")
        if "X_val" in params:
            params = params | {
                "X_val": self._inputs(params["X_val"], embedding == "ple")
            }
        max_iter = resolve(
            self.max_iter, choose_max_iter(PRESETS[self.preset], n_samples)
        )
        is_validated = folds is not None or "X_val" in params
        member_params = MEMBER_PARAMETERS | {
            "hidden_layer_sizes": self.hidden_layer_sizes,
            "activation": self.activation,
            "alpha": self.weight_decay,
            "dropout": self.dropout,
            "learning_rate_init": self.learning_rate_init,
            "max_iter": max_iter,
            "early_stopping": is_validated,
            "n_iter_no_change": choose_patience(max_iter) if is_validated else np.inf,
            "batch_size": min(
                n_samples, resolve(self.batch_size, choose_batch_size(n_samples))
            ),
            "categorical_features": self._code_columns(encoded.shape[1]),
            "device": self.device,
            "verbose": "bar" if self.verbose not in (False, 0, 1) else False,
        }
        if embedding == "periodic":
            member_params["periodic_features"] = list(range(self.encoder_.n_numbers))
        members = [
            self._make_member(member_params | {"random_state": int(seed)})
            for seed in seeds
        ]
        one_thread = single_threaded() if self.n_jobs == 1 else nullcontext()
        with one_thread, warnings.catch_warnings():
            # Transformed numbers and codes have different scales on purpose.
            warnings.simplefilter("ignore", DataScaleWarning)
            fit_together(members, X, self._member_targets(y), params, folds)
        for member in members:  # so that a pickle holds little more than weights
            member.history_[:] = [
                {k: v for k, v in row.items() if k in _KEPT_IN_HISTORY}
                for row in member.history_
            ]
        return members

    def _code_columns(self, n_encoded: int) -> dict[int, int] | None:
        """Return the encoded columns with codes, and their numbers of codes."""
        sizes = self.encoder_.n_codes_
        first = n_encoded - len(sizes)
        return {first + i: size for i, size in enumerate(sizes)} or None

    def _inputs(self, encoded: np.ndarray, with_bins: bool) -> np.ndarray:
        """Return the encoded table, with the bins of its numbers if wanted."""
        if not with_bins:
            return encoded
        assert self.bin_encoder_ is not None
        bins = self.bin_encoder_.transform(encoded[:, : self.encoder_.n_numbers])
        return np.hstack([encoded, np.asarray(bins)])

    def _validation_loss(
        self,
        members: Sequence[Any],
        encoded: np.ndarray,
        y: np.ndarray,
        params: dict[str, Any],
        folds: Sequence[Fold] | None,
    ) -> float:
        """Return the loss of averaged members on samples that they did not train on.

        A sample counts once for each fold that it is validated in. Without a validation
        set, all members are kept.
        """
        if "X_val" in params:
            outputs = self._average(members, params["X_val"])
            y_val, weight = params["y_val"], params.get("sample_weight_val")
            return self._mean_loss(outputs, y_val, weight)
        if folds is None:
            return -float(len(members))
        targets = self._member_targets(y)
        losses, sizes = [], []
        for i, fold in enumerate(folds):
            same_fold = members[i :: len(folds)]
            outputs = self._average(same_fold, encoded[fold.valid])
            weight = params.get("sample_weight")
            weight = None if weight is None else weight[fold.valid]
            losses.append(self._mean_loss(outputs, targets[fold.valid], weight))
            sizes.append(len(fold.valid))
        return float(np.average(losses, weights=sizes))

    # Prediction

    def _average(self, members: Sequence[Any], encoded: np.ndarray) -> np.ndarray:
        """Return the average of the members' outputs for an encoded table."""
        with_bins: np.ndarray | None = None
        total = None
        for member in members:
            X = encoded
            if member.n_features_in_ != encoded.shape[1]:
                with_bins = (
                    self._inputs(encoded, True) if with_bins is None else with_bins
                )
                X = with_bins
            outputs = self._member_outputs(_in_float64(member), X).astype(np.float64)
            total = outputs if total is None else total + outputs
        assert total is not None
        return total / len(members)

    def _predict_outputs(self, X: Any) -> np.ndarray:
        """Return the average of all members' outputs for a table."""
        check_is_fitted(self)
        return self._average(self.estimators_, self.encoder_.transform(X))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the encoded columns.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features,), default=None
            Names of the columns of X. If None, they are ``feature_names_in_`` if that
            is defined, and otherwise ``x0``, ``x1``, and so on.

        Returns
        -------
        feature_names_out : ndarray of str
        """
        check_is_fitted(self)
        return self.encoder_.get_feature_names_out(input_features)

    @property
    def n_iter_(self) -> int:
        """Number of epochs of the first member."""
        check_is_fitted(self)
        return self.estimators_[0].n_iter_

    @property
    def best_epoch_(self) -> int | None:
        """The epoch whose weights the first member has, counted from 1."""
        check_is_fitted(self)
        return self.estimators_[0].best_epoch_

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether the estimator has been fitted."""
        return "estimators_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _in_float64(member: Any) -> Any:
    """Return a copy of a fitted network that predicts in float64.

    The rounding of float32 depends on the number of samples that are predicted
    together.
    """
    if member.device_.type == "mps":  # has no float64
        return member
    copied = copy.copy(member)
    copied.net_ = member.net_.copy_for_prediction()
    copied.net_.module_.double()
    return copied
