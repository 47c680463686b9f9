"""The base class of all estimators: it validates data and parameters."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import scipy.sparse
import torch
from sklearn import get_config
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import column_or_1d
from sklearn.utils.validation import validate_data
from torch import Tensor

from skmlp._sklearn_bases import BaseEstimator
from skmlp._sklearn_compat import check_sample_weight, to_numpy
from skmlp._warnings import warn
from skmlp.neural_network._base.parameters.combinations import (
    check_parameter_combinations,
    check_validation_arguments,
)
from skmlp.neural_network._fit.data_checks.scales import (
    warn_about_feature_scales,
    warn_about_validation_features,
    warn_about_validation_targets,
)
from skmlp.neural_network._fit.data_checks.value_errors import (
    FLOAT32_MAX,
    check_float32_range,
    error_with_place,
)
from skmlp.neural_network._fit.embedding import check_codes
from skmlp.neural_network._fit.fit_data import FitData, FitInputs
from skmlp.neural_network._fit.images import (
    ImageShape,
    check_channels_last,
    flatten_images,
    with_supported_dtype,
)
from skmlp.training.compute.devices import resolve_device, resolve_dtype
from skmlp.training.data.sources import Source
from skmlp.training.modules.convolution import infer_image_shape
from skmlp.training.modules.introspection import reference_parameter


def validate_arrays(
    estimator: Any, X: Any, *y: Any, largest: float | None = None, **checks: Any
) -> Any:
    """Call `validate_data`; a `Source` (out-of-core array) is checked block by block.

    `y` consists of no array or of one array.
    """
    y = tuple(map(to_numpy, y))
    for targets in y:
        _refuse_missing_labels(targets)
    if not isinstance(X, Source):
        try:
            return validate_data(estimator, X, *y, **checks)
        except (TypeError, ValueError) as error:
            if (located := error_with_place(error, X)) is None:
                raise
            raise located from error
    checked = validate_data(estimator, X.placeholder, *y, **checks)
    if checks.get("ensure_all_finite", True) and not get_config()["assume_finite"]:
        X.check_finite(largest)
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
    """Raise ValueError if a label is missing; scikit-learn's message has no row."""
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

    solver: str | type[torch.optim.Optimizer]
    device: str | torch.device
    dtype: str | None
    optimizer_params: dict[str, Any] | None
    early_stopping: bool
    refit_full: bool
    scoring: str | Callable[..., float] | None
    weight_averaging: float | None
    augmentation: Callable[[Tensor, torch.Generator], Tensor] | None
    warm_start: bool
    callbacks: Sequence[Any] | None
    checkpoint: str | os.PathLike[str] | None
    conv_dims: int = 2  # of images in X; a parameter of the CNNs only

    n_features_in_: int
    n_outputs_: int
    image_shape_: ImageShape | None

    @classmethod
    @cache  # inspect.signature takes as long as an epoch of a small network
    def _get_param_names(cls) -> list[str]:
        """Return the names of the parameters, as scikit-learn does."""
        return super()._get_param_names()

    # Hooks for classifiers and regressors

    @abstractmethod
    def _set_target_attributes(self, y: np.ndarray) -> None:
        """Set ``n_outputs_`` and, in a classifier, the classes."""

    def _set_output_attributes(self) -> None:
        """Change the attributes that follow from y, if they depend on the network."""

    def _check_new_targets(self, y: np.ndarray) -> None:
        """Raise ValueError if the targets do not fit those of the previous fit."""

    @abstractmethod
    def _encode_targets(self, y: np.ndarray, name: str = "y") -> np.ndarray:
        """Return the targets encoded for the loss: indices, rows of 0 and 1, floats."""

    def _loss_weights(
        self, y: np.ndarray, weight: np.ndarray | None
    ) -> np.ndarray | None:
        """Return the weight of each sample in the loss."""
        return weight

    # Parameters

    def _check_parameter_combinations(
        self,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        incremental: bool = False,
    ) -> None:
        """Raise ValueError for unsupported combinations of parameters and arguments."""
        check_validation_arguments(self.solver, X_val, y_val, sample_weight_val)
        check_parameter_combinations(self, X_val is not None, incremental)

    # Data

    def _check_X(self, X: Any) -> Any:
        """Validate X for prediction; return flat samples, in the dtype of X."""
        return self._check_arrays(X, reset=False, dtype=self._network_dtype())

    def _has_valid_form(self, X: Any) -> bool:
        """Return whether X is an array of floats that is valid if it is finite.

        scikit-learn's checks take longer than the prediction of a sample.
        """
        attributes = vars(self)
        return (
            type(X) is np.ndarray
            and X.dtype.type in (np.float32, np.float64)
            and X.dtype.isnative
            and X.ndim == 2
            and len(X) > 0
            and X.shape[1] == attributes["n_features_in_"]
            and "feature_names_in_" not in attributes
        )

    def _network_dtype(self) -> torch.dtype:
        """Return the dtype of the fitted network."""
        return reference_parameter(vars(self)["net_"].module_).dtype

    def _check_arrays(
        self, X: Any, *y: Any, reset: bool, dtype: torch.dtype | None = None
    ) -> Any:
        """Validate X, and y if given; return flat samples, in the dtype of X, and y.

        The network will compute in `dtype`; None means in the dtype that follows from X
        and the parameters.
        """
        X, shape = flatten_images(X, self.conv_dims)
        if reset:
            # None for flat samples. `_set_image_shape` may infer `image_shape_`.
            self._data_shape: ImageShape | None = shape
        elif (
            shape is not None
            and self.image_shape_ is not None
            and shape != self.image_shape_
        ):
            # One color image without the first axis looks like `height` gray images.
            single = (len(X), *shape[:-1]) == self.image_shape_ and shape[-1] == 1
            raise ValueError(
                f"X holds images of shape {shape}, but the network was fitted to "
                f"images of shape {self.image_shape_}"
                f"{'; a single image is X[None]' if single else ''}."
            )
        checks: dict[str, Any] = {"accept_sparse": "csr"}
        checks.update(self._target_checks if y else {})
        limited = isinstance(X, Source) and self._casts_to_float32(X, dtype)
        largest = FLOAT32_MAX if limited else None
        checked = validate_arrays(self, X, *y, reset=reset, largest=largest, **checks)
        try:
            X = with_supported_dtype(checked[0] if y else checked)
        except TypeError as error:
            raise error_with_place(error, X) or error from error
        if self._casts_to_float32(X, dtype) and not get_config()["assume_finite"]:
            check_float32_range(X, "X", getattr(self, "feature_names_in_", None))
        check_codes(self, X)
        return (X, checked[1]) if y else X

    def _casts_to_float32(self, X: Any, dtype: torch.dtype | None) -> bool:
        """Return whether float64 features are converted to float32 for the network."""
        if X.dtype != np.float64:
            return False
        return (self._training_dtype(X) if dtype is None else dtype) == torch.float32

    def _training_dtype(self, X: Any) -> torch.dtype:
        """Return the dtype of a new network for features X."""
        return resolve_dtype(self.dtype, X.dtype, resolve_device(self.device))

    def _check_fit_inputs(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        *,
        reset: bool = True,
    ) -> FitInputs:
        """Validate and encode the data of a fit; set the attributes that describe them.

        These are ``n_features_in_``, ``feature_names_in_``, ``n_outputs_``,
        ``image_shape_`` and, in a classifier, ``classes_`` and private attributes of
        the targets. They are set if `reset` is True, that is, in a new fit. They are
        only compared in a warm start and in `partial_fit`.
        """
        dtype = None if reset else self._network_dtype()
        data = self._check_fit_data(X, y, sample_weight, reset, dtype)
        if reset and self.image_shape_ is None:  # pixels have one scale
            names = getattr(self, "feature_names_in_", None)
            if not getattr(self, "categorical_features", None):  # codes have no scale
                warn_about_feature_scales(data.X, names)
        if X_val is None:
            return FitInputs(data)
        if dtype is None:
            dtype = self._training_dtype(data.X)
        valid = self._check_validation_data(X_val, y_val, sample_weight_val, dtype)
        warn_about_validation_features(data.X, valid.X)
        if self._target_checks.get("y_numeric"):
            warn_about_validation_targets(data.targets, valid.targets)
        return FitInputs(data, valid)

    def _check_fit_data(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        reset: bool,
        dtype: torch.dtype | None,
    ) -> FitData:
        """Check the samples to fit."""
        X, y = self._check_arrays(X, y, reset=reset, dtype=dtype)
        weight = _check_weight(sample_weight, X)
        if reset:
            self._set_target_attributes(y)
            self._set_image_shape(X.shape[1])
            self._set_output_attributes()
        else:
            self._check_new_targets(y)
        data = FitData(
            X, y, self._encode_targets(y), weight, self._loss_weights(y, weight)
        )
        if (self._training_dtype(X) if dtype is None else dtype) == torch.float32:
            check_float32_range(data.targets, "y")
            if data.loss_weight is not None:
                check_float32_range(data.loss_weight, "sample_weight")
        if reset and data.loss_weight is not None and not data.loss_weight.any():
            raise ValueError("class_weight leaves no row a weight above 0.")
        return data

    def _check_validation_data(
        self, X_val: Any, y_val: Any, sample_weight_val: Any, dtype: torch.dtype
    ) -> FitData:
        """Validate and encode the validation set given as X_val and y_val."""
        try:
            X, y = self._check_arrays(X_val, y_val, reset=False, dtype=dtype)
        except ValueError as error:
            names = "X_val" if y_val is None else "X_val and y_val"
            raise ValueError(f"Of {names}: {error}") from error
        targets = self._encode_targets(y, "y_val")
        if dtype == torch.float32:
            check_float32_range(targets, "y_val")
        try:
            weight = _check_weight(sample_weight_val, X)
        except (TypeError, ValueError) as error:
            raise type(error)(f"Of sample_weight_val: {error}") from error
        loss_weight = self._loss_weights(y, weight)
        if weight is not None and loss_weight is not None:
            if dtype == torch.float32:
                check_float32_range(loss_weight, "sample_weight_val")
            if not loss_weight.any():
                raise ValueError(
                    "class_weight leaves no row of X_val a weight above 0."
                )
        return FitData(X, y, targets, weight, loss_weight)

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


def _check_weight(sample_weight: Any, X: Any) -> np.ndarray | None:
    """Validate sample weights; return them in float64, or None if there are none."""
    if sample_weight is None:
        return None
    weight = check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    # scikit-learn checks this itself since 1.8.
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    # torch warns about read-only arrays.
    return weight if weight.flags.writeable else weight.copy()
