"""`CNNRegressor`, a convolutional network for numbers."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from skmlp.neural_network._base.convolution import ConvolutionalNetwork
from skmlp.neural_network._base.parameters import (
    CONVOLUTION,
    REGRESSION_LOSS_PARAMETER,
)
from skmlp.neural_network._base.parameters.declaration import (
    Int,
    set_init_arguments,
    with_shared_parameters,
)
from skmlp.neural_network._base.regressor import BaseRegressor
from skmlp.training.modules.stages import Sizes


@with_shared_parameters
class CNNRegressor(ConvolutionalNetwork, BaseRegressor):
    """Convolutional network for one or several numbers of each image.

    Scale the targets if they are far from the range of -1 to 1, for instance by
    `sklearn.compose.TransformedTargetRegressor`.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    CNNClassifier : For classes instead of numbers.
    MLPRegressor : Without convolutions.

    Examples
    --------
    The mean brightness of each image, and its row of largest brightness:

    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skmlp.neural_network import CNNRegressor
    >>> images = load_digits().images[:500] / 16
    >>> y = np.column_stack(
    ...     [images.mean((1, 2)), images.mean(2).argmax(1) / 8]
    ... )
    >>> model = CNNRegressor((8, 16), solver="lbfgs", max_iter=500, tol=0.002,
    ...                      random_state=0).fit(images, y)
    >>> model.predict(images[:3]).shape
    (3, 2)
    >>> model.score(images, y) > 0.5
    True
    """

    _parameters_not_shared = CONVOLUTION | REGRESSION_LOSS_PARAMETER

    def __init__(
        self,
        conv_channels: Int | Sequence[Int] = (32, 64),
        kernel_size: Int | Sizes = 3,
        *,
        conv_strides: Int | Sizes = 1,
        padding: str = "same",
        pool: str | Sequence[str | None] | None = "max",
        pool_size: Int | Sizes = 2,
        pool_padding: str | None = None,
        hidden_layer_sizes: Int | Sequence[Int] = (128,),
        activation: str | Callable[..., Any] = "relu",
        conv_dropout: float | Sequence[float] = 0.0,
        channel_dropout: bool = False,
        block: str = "plain",
        head: str = "dense",
        predict_augmentation: Callable[..., torch.Tensor] | None = None,
        predict_views: Int = 8,
        image_shape: Sequence[Int] | str = "auto",
        conv_dims: Int = 2,
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
        loss: str | Callable[..., torch.Tensor] = "squared_error",
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
    ) -> None:
        set_init_arguments(self, locals())
