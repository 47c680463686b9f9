"""Rows and targets checked, before anything is trained."""

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
from sklearn.utils.validation import validate_data
from torch import Tensor

from skmlp._sklearn_compat import check_sample_weight
from skmlp.neural_network._base.fitted import FittedNetwork
from skmlp.neural_network._fit.images import (
    ImageShape,
    as_rows,
    check_channels_last,
    with_known_dtype,
)
from skmlp.neural_network._fit.sample import FitData
from skmlp.training.data.sources import Source
from skmlp.training.modules.convolution import infer_image_shape
from skmlp.training.optimizers.flat_optimizers import TORCH_OPTIMIZERS


def validate_rows(estimator: Any, X: Any, *y: Any, **checks: Any) -> Any:
    """Call `validate_data`, which by itself would read all of a `Source` at once."""
    for targets in y:
        _refuse_gaps(targets)
    if not isinstance(X, Source):
        return validate_data(estimator, X, *y, **checks)
    checked = validate_data(estimator, X.placeholder, *y, **checks)
    if checks.get("ensure_all_finite", True) and not get_config()["assume_finite"]:
        X.check_finite()
    return (X, checked[1]) if y else X


def _refuse_gaps(y: Any) -> None:
    """Refuse missing labels by their row; scikit-learn names neither y nor the row."""
    if y is None or scipy.sparse.issparse(y):
        return
    labels = np.asarray(y) if hasattr(y, "__array__") else np.asarray(y, dtype=object)
    if labels.dtype.kind == "O" and (gaps := pd.isna(labels)).any():
        row = int(np.argwhere(gaps)[0][0])
        raise ValueError(f"Input y contains NaN or None in row {row}.")


class CheckedNetwork(FittedNetwork, ABC):
    """An estimator that checks what it is given; not for direct use."""

    # How scikit-learn is to check the targets.
    _target_checks: ClassVar[dict[str, bool]] = {"multi_output": True}

    solver: str
    optimizer_params: dict[str, Any] | None
    early_stopping: bool
    refit_full: bool
    weight_averaging: float | None
    augmentation: Callable[[Tensor, torch.Generator], Tensor] | None
    warm_start: bool
    checkpoint: str | os.PathLike[str] | None

    @classmethod
    @cache  # to inspect the signature takes as long as a small search's epoch
    def _get_param_names(cls) -> list[str]:
        """Return the names of the parameters, as scikit-learn does."""
        return super()._get_param_names()

    @abstractmethod
    def _learn_targets(self, y: np.ndarray) -> None:
        """Learn what kind of targets there are; sets ``n_outputs_``."""

    def _check_targets_again(self, y: np.ndarray) -> None:
        """Refuse targets that training cannot go on with."""

    @abstractmethod
    def _encode(self, y: np.ndarray, name: str = "y") -> np.ndarray:
        """Return targets as the loss wants them."""

    def _loss_weight(
        self, y: np.ndarray, weight: np.ndarray | None
    ) -> np.ndarray | None:
        """Return what multiplies the loss of each row."""
        return weight

    def _check_together(self, X_val: Any, y_val: Any, incremental: bool) -> None:
        """Refuse parameters that do not go with each other."""
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
        if incremental and getattr(self, "class_weight", None) == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all rows, which partial_fit does not "
                "see; give the weights as a dict."
            )
        for name in ("augmentation", "predict_augmentation"):
            given = getattr(self, name, None)
            if isinstance(given, type):
                raise TypeError(
                    f"{name} is the class {given.__name__}; give an instance of it, "
                    f"{name}={given.__name__}(...)."
                )
            if validate := getattr(given, "validate", None):
                validate()
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
        """Refuse a checkpoint of what has no epochs, or no beginning of its own."""
        if self.solver == "lbfgs":
            raise ValueError(
                "checkpoint is written after epochs, but solver='lbfgs' has none; set "
                "it to None or use another solver."
            )
        if self.warm_start:
            raise ValueError(
                "checkpoint is of one fit from its beginning, but warm_start=True goes "
                "on from the fit before; set one of them to its default."
            )

    def _check_rows(self, X: Any, *y: Any, reset: bool) -> Any:
        """Check X, and y if given; return flat rows in the dtype they came in."""
        X, shape = as_rows(X)
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
        checked = validate_rows(self, X, *y, reset=reset, **checks)
        if y:
            return with_known_dtype(checked[0]), checked[1]
        return with_known_dtype(checked)

    def _check_sample(self, X: Any, y: Any, sample_weight: Any, reset: bool) -> FitData:
        """Check the rows to fit."""
        X, y = self._check_rows(X, y, reset=reset)
        weight = None
        if sample_weight is not None:
            weight = check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
            # scikit-learn checks this itself since 1.8.
            if not weight.any():
                raise ValueError(
                    "Sample weights must contain at least one non-zero number."
                )
        if reset:
            self._learn_targets(y)
            self._learn_image_shape(X.shape[1])
        else:
            self._check_targets_again(y)
        sample = FitData(X, y, self._encode(y), weight, self._loss_weight(y, weight))
        if reset and sample.loss_weight is not None and not sample.loss_weight.any():
            raise ValueError("class_weight leaves no row a weight above 0.")
        return sample

    def _check_validation(self, X_val: Any, y_val: Any) -> FitData:
        """Check the caller's own validation rows."""
        try:
            X, y = self._check_rows(X_val, y_val, reset=False)
        except ValueError as error:
            raise ValueError(f"Of X_val and y_val: {error}") from error
        return FitData(X, y, self._encode(y, "y_val"), None, self._loss_weight(y, None))

    def _learn_image_shape(self, n_features: int) -> None:
        """Note the shape of the rows as images, where something looks at them so."""
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
