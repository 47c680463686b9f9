"""`MLPRegressor`, a drop-in replacement for scikit-learn's class of that name."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from skmlp.neural_network._base.building import hidden_sizes
from skmlp.neural_network._base.parameters import REGRESSION_LOSS_PARAMETER
from skmlp.neural_network._base.parameters.declaration import (
    Int,
    set_init_arguments,
    with_shared_parameters,
)
from skmlp.neural_network._base.regressor import BaseRegressor
from skmlp.neural_network._fit.embedding import make_embedding
from skmlp.training.modules.layers import build_mlp


@with_shared_parameters
class MLPRegressor(BaseRegressor):
    """Multi-layer perceptron regressor.

    Drop-in replacement for `sklearn.neural_network.MLPRegressor`. With the parameters
    of that class, both give the same fitted weights, except for rounding. All other
    parameters are keyword-only.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    MLPClassifier : For classes instead of numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from skmlp.neural_network import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MLPRegressor(hidden_layer_sizes=10, solver="lbfgs", tol=0.01,
    ...                      random_state=0).fit(scale(X), scale(y))
    >>> model.score(scale(X), scale(y)) > 0.5
    True
    """

    hidden_layer_sizes: int | Sequence[int]
    dropout: float | Sequence[float]
    batch_norm: bool
    periodic_features: str | Sequence[int] | None
    categorical_features: Mapping[int, int] | None
    input_scale: bool
    learning_rate_factors: Mapping[str, Any] | None
    fade_start: float

    _parameters_not_shared = REGRESSION_LOSS_PARAMETER

    def __init__(
        self,
        loss: str | Callable[..., torch.Tensor] = "squared_error",
        hidden_layer_sizes: Int | Sequence[Int] = (100,),
        activation: str | Callable[..., Any] = "relu",
        *,
        solver: str | type[torch.optim.Optimizer] = "adam",
        alpha: float | Sequence[float] = 0.0001,
        batch_size: Int | str = "auto",
        learning_rate: str | Callable[[float], float] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: Int = 200,
        shuffle: bool = True,
        random_state: Int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | Int | str = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Int | float = 10,
        max_fun: Int = 15000,
        dropout: float | Sequence[float] = 0.0,
        batch_norm: bool = False,
        init: str = "auto",
        quantile: float | Sequence[float] = 0.5,
        huber_delta: float = 1.0,
        augmentation: Callable[..., torch.Tensor] | None = None,
        train_size: Int | float | None = None,
        scoring: str | Callable[..., float] | None = None,
        restore_best_weights: bool = True,
        refit_full: bool = False,
        record_train_score: bool = False,
        device: str | torch.device = "auto",
        dtype: str | None = None,
        amp: bool = False,
        callbacks: Sequence[Any] | None = None,
        optimizer_params: dict[str, Any] | None = None,
        max_grad_norm: float | None = None,
        weight_averaging: float | None = None,
        warmup_epochs: float = 0,
        step_size: Int = 10,
        gamma: float = 0.1,
        init_from: Any = None,
        frozen_layers: Sequence[Int | str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_interval: float = 0,
        periodic_features: str | Sequence[int] | None = None,
        categorical_features: Mapping[int, int] | None = None,
        input_scale: bool = False,
        learning_rate_factors: Mapping[str, Any] | None = None,
        fade_start: float = 1.0,
    ) -> None:
        set_init_arguments(self, locals())

    def _make_network(self, n_features: int, n_outputs: int) -> nn.Sequential:
        return build_mlp(
            n_features,
            hidden_sizes(self.hidden_layer_sizes),
            n_outputs,
            activation=self.activation,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            embedding=make_embedding(self, n_features),
        )
