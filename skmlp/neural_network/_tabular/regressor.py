"""`TabularRegressor`: numbers from a table."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.utils import check_array

from skmlp._sklearn_bases import RegressorMixin, fit_context
from skmlp.neural_network._base.inputs import ravel_column
from skmlp.neural_network._base.parameters import Parameter
from skmlp.neural_network._base.parameters.declaration import (
    set_init_arguments,
    with_shared_parameters,
)
from skmlp.neural_network._base.rollback import restore_attributes_on_error
from skmlp.neural_network._regressor import MLPRegressor
from skmlp.neural_network._tabular.base import BaseTabular
from skmlp.neural_network._tabular.parameters import (
    TABULAR_PARAMETERS,
    activation_parameter,
    learning_rate_parameter,
)


@with_shared_parameters
class TabularRegressor(RegressorMixin, BaseTabular):
    """Regressor for tables: an ensemble of networks behind an encoder of the columns.

    A frame of pandas, polars or Arrow, or an array, goes in without preparation.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns. Defined only if X is a frame whose column names are all
        strings.
    n_outputs_ : int
        Number of targets of a sample.
    estimators_ : list of MLPRegressor
        The members. Their features are the encoded columns, and their targets are
        standardized.
    encoder_ : transformer
        Turns a table into an array of numbers. `get_feature_names_out` names its
        columns.
    bin_encoder_ : PiecewiseLinearEncoder or None
        Encodes the numbers for members with ``numerical_embedding='ple'``.
    n_iter_ : int
        Number of epochs of the first member. All members with the same embedding have
        the same number.
    best_epoch_ : int or None
        The epoch whose weights the first member has, counted from 1. All members with
        the same embedding have the same one.

    See Also
    --------
    TabularClassifier : For classes instead of numbers. Its notes hold for both.
    MLPRegressor : One network, for features that are numbers of a similar scale.

    Notes
    -----
    - Targets are standardized. Predictions are clipped to the range of the targets of
      `fit`.
    - An array outside memory (`numpy.memmap`, h5py, zarr) is read whole.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skmlp.neural_network import TabularRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = TabularRegressor(preset="fast", random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.3
    True
    """

    n_outputs_: int

    _parameters_not_shared: ClassVar[dict[str, Parameter]] = {
        **TABULAR_PARAMETERS,
        **activation_parameter("mish"),
        **learning_rate_parameter(0.05),
    }

    def __init__(
        self,
        *,
        preset: str = "default",
        n_estimators: int | str = "auto",
        max_iter: int | str = "auto",
        hidden_layer_sizes: int | Sequence[int] = (128, 128),
        activation: str = "mish",
        numerical_embedding: str | None = "auto",
        categorical_features: Any = "from_dtype",
        learning_rate_init: float = 0.05,
        batch_size: int | str = "auto",
        dropout: float = 0.15,
        weight_decay: float = 0.02,
        early_stopping: bool = True,
        validation_fraction: float = 0.125,
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device = "auto",
        n_jobs: int | None = None,
        verbose: bool | int | str = False,
    ) -> None:
        set_init_arguments(self, locals())

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
        """Learn the encoding of the columns, and train all members.

        Parameters
        ----------
        X : DataFrame of pandas or polars, Arrow table, or array-like, of shape \
(n_samples, n_features)
            Training samples: numbers, texts, bools, categories and dates, with gaps.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights, none of them negative.
        X_val, y_val : as X and y, default=None
            Validation set of all members, instead of their folds.
        sample_weight_val : array-like, default=None
            Sample weights of the validation set.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X is not a table, has infinite numbers, or has fewer than two samples.
        TypeError
            If X is sparse, or has values that are no numbers, texts, bools or dates.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted values.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        outputs = self._predict_outputs(X) * self._target_scale + self._target_mean
        values = outputs.clip(*self._target_range)
        return values.ravel() if self._is_vector else values

    def _check_targets(self, y: Any, name: str = "y") -> np.ndarray:
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None."
            )
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name=name)
        if y.ndim == 2 and y.shape[1] == 1:
            y = ravel_column(y)
        return y

    def _start_targets(self, y: np.ndarray) -> None:
        self._is_vector = y.ndim == 1
        columns = y.reshape(len(y), -1)
        self.n_outputs_ = columns.shape[1]
        self._target_mean = columns.mean(axis=0)
        scale = columns.std(axis=0)
        self._target_scale = np.where(scale > 0, scale, 1.0)
        self._target_range = np.array([columns.min(axis=0), columns.max(axis=0)])

    def _member_targets(self, y: np.ndarray) -> np.ndarray:
        columns = (y.reshape(len(y), -1) - self._target_mean) / self._target_scale
        return columns.ravel() if self.n_outputs_ == 1 else columns

    def _make_member(self, params: dict[str, Any]) -> MLPRegressor:
        return MLPRegressor(**params)

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return None

    def _member_outputs(self, member: Any, X: np.ndarray) -> np.ndarray:
        return member.predict(X).reshape(len(X), -1)

    def _mean_loss(
        self, outputs: np.ndarray, y: np.ndarray, weight: np.ndarray | None
    ) -> float:
        errors = ((outputs - y.reshape(len(y), -1)) ** 2).mean(axis=1)
        return float(np.average(errors, weights=weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
