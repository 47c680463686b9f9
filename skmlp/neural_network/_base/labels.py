"""Targets of the classifiers: labels, indicators, probabilities, class weights."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import (
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from torch import Tensor

from skmlp._sklearn_compat import attach_unique, pass_labels
from skmlp.neural_network._base.inputs import ravel_column
from skmlp.neural_network._base.network import BaseNetwork
from skmlp.neural_network._fit.fit_data import FitInputs, TrainValidSplit
from skmlp.training.losses import Loss, UserLoss, classification_loss

# Types of targets with exactly one label for each sample.
_SINGLE_LABEL = ("binary", "multiclass")


class LabeledNetwork(BaseNetwork):
    """Encodes targets and computes the weights of samples; not for direct use."""

    loss: str | Callable[..., Tensor]
    label_smoothing: float
    class_weight: Mapping[Any, float] | str | None

    # Pickles of earlier versions lack this parameter.
    focal_gamma: float = 2.0

    classes_: np.ndarray

    def _set_target_attributes(self, y: np.ndarray) -> None:
        # `partial_fit` stores its argument `classes` in this attribute.
        classes = self.__dict__.pop("_partial_classes", None)
        self._sparse_targets = scipy.sparse.issparse(y)
        if y.dtype.kind != "O":
            # This caches the unique labels, which several functions below compute.
            y = attach_unique(y)
        if self.loss == "kullback_leibler" and (
            (y.ndim == 2 and y.shape[1] > 1)
            or type_of_target(y) in ("continuous", "continuous-multioutput")
        ):
            self._check_probabilities(y, "y")
            self._target_type = "probabilities"
            self.classes_ = np.arange(y.shape[1])
        else:
            if y.ndim == 2 and y.shape[1] == 1:
                y = ravel_column(y)
            check_classification_targets(y)
            self._target_type = type_of_target(y, input_name="y")
            if self._target_type == "multilabel-indicator":
                self.classes_ = np.arange(y.shape[1])
            elif self._target_type == "multiclass-multioutput":
                raise ValueError(
                    "Multioutput target data is not supported; give one label for each "
                    "sample or an indicator matrix."
                )
            else:
                self.classes_ = unique_labels(y) if classes is None else classes
                # A single class counts as binary. As in scikit-learn, the logit
                # belongs to a second class, which no sample has.
                few = len(self.classes_) <= 2
                self._target_type = "binary" if few else "multiclass"
        self.n_outputs_ = 1 if self._target_type == "binary" else len(self.classes_)

    def _check_new_targets(self, y: np.ndarray) -> None:
        if self.warm_start and self._target_type in ("binary", "multiclass"):
            labels = unique_labels(y)
            if not np.array_equal(labels, self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in "
                    f"the previous call to fit. Previously got {self.classes_}, `y` "
                    f"has {labels}"
                )

    def _check_probabilities(self, y: np.ndarray, name: str) -> None:
        if y.ndim != 2 or (y < 0).any() or not np.allclose(y.sum(axis=1), 1.0):
            raise ValueError(
                f"{name} has to hold a row of probabilities that sum to 1 for each "
                "sample, or labels."
            )

    def _encode_targets(self, y: np.ndarray, name: str = "y") -> np.ndarray:
        if hasattr(y, "toarray"):
            y = y.toarray()
        # Samples with probabilities may be validated or scored by their class numbers.
        soft = self._target_type == "probabilities" and has_columns(y)
        if soft or self._target_type == "multilabel-indicator":
            check_columns(y, len(self.classes_), name)
            if soft and name != "y":  # y of `fit` has been checked
                self._check_probabilities(y, name)
            # float32 holds 0 and 1 exactly. Probabilities may be trained in float64.
            return y.astype(np.float64 if y.dtype.kind == "f" else np.float32)
        if y.ndim == 2:
            y = column_or_1d(y)
        index = class_indices(y, self.classes_, name)
        if self._target_type == "binary":
            return index[:, np.newaxis].astype(np.float32)
        if self.loss == "kullback_leibler":
            return np.eye(len(self.classes_), dtype=np.float32)[index]
        return index.astype(np.int64)

    def _make_loss(self) -> Loss:
        exclusive = self._target_type in ("multiclass", "probabilities")
        if not isinstance(self.loss, str):
            return UserLoss(self.loss, "softmax" if exclusive else "logistic")
        if self.loss == "kullback_leibler" and not exclusive:
            # For targets 0 and 1, the Kullback-Leibler divergence is the cross-entropy.
            return classification_loss("log_loss", exclusive, 0.0)
        return classification_loss(
            self.loss, exclusive, self.label_smoothing, self.focal_gamma
        )

    def _loss_weights(
        self, y: np.ndarray, weight: np.ndarray | None
    ) -> np.ndarray | None:
        if self.class_weight is None:
            return weight
        if self._target_type == "probabilities":
            raise ValueError(
                "class_weight needs labels, but y holds probabilities; use "
                "sample_weight."
            )
        weights = self._class_weights_per_sample(y)
        if not (weights >= 0).all() or np.isinf(weights).any():
            raise ValueError(
                f"class_weight={self.class_weight!r} has to hold finite numbers, none "
                "of them negative."
            )
        return weights if weight is None else weights * weight

    def _class_weights_per_sample(self, y: np.ndarray) -> np.ndarray:
        """Return for each sample the weight of its class."""
        if self.class_weight == "balanced" or self._target_type not in _SINGLE_LABEL:
            return compute_sample_weight(self.class_weight, y)
        # A dict may name classes that are missing in y, in `partial_fit` or in a
        # validation set. `compute_sample_weight` would raise an error for them.
        y, classes = y.ravel(), self.classes_
        class_weights = compute_class_weight(self.class_weight, classes=classes, y=y)
        return class_weights[np.searchsorted(classes, y)]

    def _give_classes_to_scorer(
        self, scorer: Callable[..., float]
    ) -> Callable[..., float]:
        if self._target_type not in _SINGLE_LABEL:
            return scorer
        return pass_labels(scorer, self.classes_)

    def _matches_sklearn_validation(self) -> bool:
        return False

    def _split(
        self, inputs: FitInputs, random_state: np.random.RandomState
    ) -> TrainValidSplit:
        try:
            return super()._split(inputs, random_state)
        except ValueError as error:
            if "least populated" in str(error) and self._matches_sklearn_validation():
                names = " and ".join(
                    f"{index} is the class {name!r}"
                    for index, name in zip(
                        (False, True), self.classes_.tolist(), strict=False
                    )
                )
                raise ValueError(f"{error} {names}.") from error
            raise

    def _validation_strata(self, y: np.ndarray) -> np.ndarray | None:
        if self._matches_sklearn_validation():
            # With bool strata, scikit-learn's error calls a class that is too rare
            # 'False' or 'True'. `_split` adds the label.
            return (
                self._encode_targets(y).astype(bool) if self.n_outputs_ == 1 else None
            )
        strata = self._train_size_strata(y)
        if strata is None:
            return None
        counts = np.unique(strata, return_counts=True)[1]
        n_valid = max(2, math.ceil(self.validation_fraction * len(y)))
        # Both sets need a sample of every class.
        possible = len(counts) <= n_valid <= len(y) - len(counts) and counts.min() > 1
        return strata if possible else None

    def _train_size_strata(self, y: np.ndarray) -> np.ndarray | None:
        return y if self._target_type in _SINGLE_LABEL else None


def class_indices(y: np.ndarray, classes: np.ndarray, name: str = "y") -> np.ndarray:
    """Return the index of each label; raise ValueError for labels of no class."""
    known = np.isin(y, classes)
    if not known.all():
        unknown = unique_labels(y[~known])
        raise ValueError(
            f"`{name}` has classes not in `self.classes_`. `self.classes_` has "
            f"{classes}. '{name}' has {unknown}."
        )
    return np.searchsorted(classes, y)


def most_probable_classes(y: Any, n_classes: int) -> Any:
    """Return the most probable class of each sample; class numbers stay unchanged."""
    if not has_columns(y):
        return y
    y = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
    check_columns(y, n_classes, "y")
    return y.argmax(axis=1)


def check_columns(y: np.ndarray, n_classes: int, name: str) -> None:
    """Raise ValueError if targets do not have exactly one column for each class."""
    if y.ndim != 2 or y.shape[1] != n_classes:
        raise ValueError(
            f"{name} has shape {y.shape}, but fit has seen {n_classes} columns."
        )


def has_columns(y: Any) -> bool:
    """Return whether y is a matrix of several columns."""
    shape = np.shape(y)
    return len(shape) == 2 and shape[1] > 1
