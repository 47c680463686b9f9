"""The base of all estimators: it checks what `fit` and the predicting methods get."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import scipy.sparse
import torch
from sklearn import get_config
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import get_scorer
from sklearn.utils import column_or_1d
from sklearn.utils.validation import validate_data
from torch import Tensor

from skmlp._sklearn_bases import BaseEstimator
from skmlp._sklearn_compat import check_sample_weight
from skmlp._warnings import warn
from skmlp.neural_network._fit.cross_validation import (
    refuse_checkpoint_in_cross_validation,
)
from skmlp.neural_network._fit.fit_data import FitData, FitInputs
from skmlp.neural_network._fit.images import (
    ImageShape,
    check_channels_last,
    flatten_images,
    with_torch_dtype,
)
from skmlp.training.data.sources import Source
from skmlp.training.modules.convolution import infer_image_shape
from skmlp.training.optimizers.flat_optimizers import TORCH_OPTIMIZERS


def validate_arrays(estimator: Any, X: Any, *y: Any, **checks: Any) -> Any:
    """Call `validate_data`; a `Source` is checked without reading all of it at once."""
    for targets in y:
        _refuse_missing_labels(targets)
    if not isinstance(X, Source):
        return validate_data(estimator, X, *y, **checks)
    checked = validate_data(estimator, X.placeholder, *y, **checks)
    if checks.get("ensure_all_finite", True) and not get_config()["assume_finite"]:
        X.check_finite()
    return (X, checked[1]) if y else X


def ravel_column(y: np.ndarray) -> np.ndarray:
    """Return targets in a single column as a vector, with scikit-learn's warning."""
    warn(
        "A column-vector y was passed when a 1d array was expected. Please change the "
        "shape of y to (n_samples, ), for example using ravel().",
        DataConversionWarning,
    )
    return column_or_1d(y)


def _refuse_missing_labels(y: Any) -> None:
    """Refuse missing labels by their row; scikit-learn names neither y nor the row."""
    if y is None or scipy.sparse.issparse(y):
        return
    labels = np.asarray(y) if hasattr(y, "__array__") else np.asarray(y, dtype=object)
    if labels.dtype.kind == "O" and (missing := pd.isna(labels)).any():
        row = int(np.argwhere(missing)[0][0])
        raise ValueError(f"Input y contains NaN or None in row {row}.")


class InputChecker(BaseEstimator, ABC):
    """Checks parameters and data of an estimator; not for direct use."""

    # Keywords of scikit-learn's `validate_data` for the targets.
    _target_checks: ClassVar[dict[str, bool]] = {"multi_output": True}

    solver: str
    optimizer_params: dict[str, Any] | None
    early_stopping: bool
    refit_full: bool
    scoring: str | Callable[..., float] | None
    weight_averaging: float | None
    augmentation: Callable[[Tensor, torch.Generator], Tensor] | None
    warm_start: bool
    checkpoint: str | os.PathLike[str] | None

    n_features_in_: int
    n_outputs_: int
    image_shape_: ImageShape | None

    @classmethod
    @cache  # inspecting the signature takes as long as an epoch of a small network
    def _get_param_names(cls) -> list[str]:
        """Return the names of the parameters, as scikit-learn does."""
        return super()._get_param_names()

    # Hooks for classifiers and regressors

    @abstractmethod
    def _set_target_attributes(self, y: np.ndarray) -> None:
        """Set ``n_outputs_`` and, in a classifier, the classes."""

    def _check_new_targets(self, y: np.ndarray) -> None:
        """Refuse targets with which training cannot continue."""

    @abstractmethod
    def _encode_targets(self, y: np.ndarray, name: str = "y") -> np.ndarray:
        """Return targets as the loss needs them."""

    def _loss_weights(
        self, y: np.ndarray, weight: np.ndarray | None
    ) -> np.ndarray | None:
        """Return the weight of each sample in the loss."""
        return weight

    # Parameters

    def _check_parameter_combinations(
        self, X_val: Any = None, y_val: Any = None, incremental: bool = False
    ) -> None:
        """Refuse parameters that exclude each other."""
        if X_val is not None and y_val is None:
            raise ValueError("X_val was given without y_val.")
        if y_val is not None and X_val is None:
            raise ValueError("y_val was given without X_val.")
        if X_val is not None and self.solver == "lbfgs":
            raise ValueError(
                "X_val was given, but solver='lbfgs' has no epochs to validate; leave "
                "it out or use another solver."
            )
        if self.optimizer_params and self.solver not in TORCH_OPTIMIZERS:
            raise ValueError(
                f"optimizer_params={self.optimizer_params!r}, but the parameters of "
                f"solver={self.solver!r} are the estimator's own."
            )
        loss, smoothing = getattr(self, "loss", ""), getattr(self, "label_smoothing", 0)
        if smoothing and loss != "log_loss":
            raise ValueError(
                f"label_smoothing={smoothing!r} changes the targets of loss='log_loss' "
                f"only, but loss={loss!r}; set label_smoothing=0."
            )
        if incremental and getattr(self, "class_weight", None) == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all rows, which partial_fit does not "
                "see; give the weights as a dict."
            )
        if isinstance(self.scoring, str):
            get_scorer(self.scoring)  # refuses unknown names
        for name in ("augmentation", "predict_augmentation"):
            _check_augmentation(name, getattr(self, name, None))
        if self.weight_averaging is not None and (
            incremental or self.solver == "lbfgs"
        ):
            raise ValueError(
                "weight_averaging needs fit and a stochastic solver; set it to None."
            )
        if self.checkpoint is not None and not incremental:
            self._check_checkpoint()
        if self.refit_full and self.solver == "lbfgs":
            raise ValueError(
                "refit_full=True needs a best epoch, but solver='lbfgs' has no epochs."
            )
        if self.refit_full and not (self.early_stopping or X_val is not None):
            raise ValueError(
                "refit_full=True needs a validation score; use early_stopping=True or "
                "give X_val and y_val."
            )

    def _check_checkpoint(self) -> None:
        """Refuse a checkpoint of a fit without epochs, or of more than one fit."""
        refuse_checkpoint_in_cross_validation(self.checkpoint, type(self).__name__)
        if self.solver == "lbfgs":
            raise ValueError(
                "checkpoint is written after epochs, but solver='lbfgs' has none; set "
                "it to None or use another solver."
            )
        if self.warm_start:
            raise ValueError(
                "checkpoint is of one fit from its beginning, but warm_start=True "
                "continues the fit before; set one of them to its default."
            )

    # Data

    def _check_X(self, X: Any) -> Any:
        """Check features to predict; return flat samples in their own dtype."""
        return self._check_arrays(X, reset=False)

    def _check_arrays(self, X: Any, *y: Any, reset: bool) -> Any:
        """Check X, and y if given; return flat samples in their own dtype, and y."""
        X, shape = flatten_images(X)
        if reset:
            self._data_shape: ImageShape | None = shape
        elif shape is not None and shape != (self.image_shape_ or shape):
            single = (len(X), *shape[:2]) == self.image_shape_ and shape[2] == 1
            raise ValueError(
                f"X holds images of shape {shape}, but the network was fitted to "
                f"images of shape {self.image_shape_}"
                f"{'; a single image is X[None]' if single else ''}."
            )
        checks = {"accept_sparse": "csr", **(self._target_checks if y else {})}
        checked = validate_arrays(self, X, *y, reset=reset, **checks)
        if y:
            return with_torch_dtype(checked[0]), checked[1]
        return with_torch_dtype(checked)

    def _check_fit_inputs(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        *,
        reset: bool = True,
    ) -> FitInputs:
        """Check the data of a fit; set the attributes that follow from the data.

        `reset` says that the fit is a new one, which continues no other.
        """
        data = self._check_fit_data(X, y, sample_weight, reset)
        if X_val is None:
            return FitInputs(data)
        return FitInputs(data, self._check_validation_data(X_val, y_val))

    def _check_fit_data(
        self, X: Any, y: Any, sample_weight: Any, reset: bool
    ) -> FitData:
        """Check the samples to fit."""
        X, y = self._check_arrays(X, y, reset=reset)
        weight = None
        if sample_weight is not None:
            weight = check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
            if not weight.flags.writeable:  # torch warns about read-only arrays
                weight = weight.copy()
            # scikit-learn checks this itself since 1.8.
            if not weight.any():
                raise ValueError(
                    "Sample weights must contain at least one non-zero number."
                )
        if reset:
            self._set_target_attributes(y)
            self._set_image_shape(X.shape[1])
        else:
            self._check_new_targets(y)
        data = FitData(
            X, y, self._encode_targets(y), weight, self._loss_weights(y, weight)
        )
        if reset and data.loss_weight is not None and not data.loss_weight.any():
            raise ValueError("class_weight leaves no row a weight above 0.")
        return data

    def _check_validation_data(self, X_val: Any, y_val: Any) -> FitData:
        """Check the caller's own validation set."""
        try:
            X, y = self._check_arrays(X_val, y_val, reset=False)
        except ValueError as error:
            raise ValueError(f"Of X_val and y_val: {error}") from error
        targets = self._encode_targets(y, "y_val")
        return FitData(X, y, targets, None, self._loss_weights(y, None))

    def _set_image_shape(self, n_features: int) -> None:
        """Set ``image_shape_`` if X holds images or an augmentation needs images."""
        shape = self._data_shape
        if self.augmentation is not None:
            if shape is None:
                shape = infer_image_shape(n_features)
            check_channels_last(shape)
        self.image_shape_ = shape

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _check_augmentation(name: str, augmentation: Any) -> None:
    """Refuse a class instead of an instance, and invalid parameters."""
    if isinstance(augmentation, type):
        raise TypeError(
            f"{name} is the class {augmentation.__name__}; give an instance of it, "
            f"{name}={augmentation.__name__}(...)."
        )
    if validate := getattr(augmentation, "validate", None):
        validate()
