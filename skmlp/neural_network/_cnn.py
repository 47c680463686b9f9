"""`CNNClassifier`, a convolutional network for classes."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from skmlp.neural_network._base.classifier import BaseClassifier, DecisionFunctionMixin
from skmlp.neural_network._base.convolution import ConvolutionalNetwork
from skmlp.neural_network._base.parameters import (
    CLASSIFICATION_LOSS_PARAMETER,
    CONVOLUTION,
    SHARED,
)
from skmlp.neural_network._base.parameters.declaration import (
    Int,
    set_init_arguments,
    with_shared_parameters,
)
from skmlp.training.modules.stages import Sizes

_INIT_PARAMETER = {
    "init": SHARED["init"]._replace(
        text="Initializer of the weights. 'auto' is the initializer of scikit-learn's "
        "MLPClassifier, which draws the biases too, except for the output biases. The "
        "output biases are the logits of the (weighted) class priors; with hinge "
        "losses and callables they are zero. All others start with biases of zero, as "
        "in Keras."
    )
}


@with_shared_parameters
class CNNClassifier(DecisionFunctionMixin, ConvolutionalNetwork, BaseClassifier):
    """Convolutional network: convolutions, pooling, then dense layers.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.
    {attributes}

    See Also
    --------
    CNNRegressor : For numbers instead of classes.
    MLPClassifier : Without convolutions.

    Notes
    -----
    A convolution has ``(in * height * width + 1) * out`` parameters.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmlp.neural_network import CNNClassifier
    >>> digits = load_digits()
    >>> model = CNNClassifier((8, 16), max_iter=5, batch_size=32, tol=0, random_state=0)
    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):  # five epochs are few
    ...     model = model.fit(digits.images / 16, digits.target)
    >>> model.image_shape_
    (8, 8, 1)
    >>> model.coefs_[1].shape  # height, width, in, out
    (3, 3, 8, 16)

    Signals of 30 steps and two channels:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(40, 30, 2))
    >>> y = X.max((1, 2)) > 2.5
    >>> model = CNNClassifier((4, 8), 5, conv_dims=1, solver="lbfgs", random_state=0)
    >>> model.fit(X, y).image_shape_
    (30, 2)
    >>> model.coefs_[1].shape  # steps, in, out
    (5, 4, 8)
    """

    _parameters_not_shared = (
        CONVOLUTION | CLASSIFICATION_LOSS_PARAMETER | _INIT_PARAMETER
    )
    _uses_class_priors = True

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
        label_smoothing: float = 0.0,
        loss: str | Callable[..., torch.Tensor] = "log_loss",
        focal_gamma: float = 2.0,
        class_weight: Mapping[Any, float] | str | None = None,
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
        temperature: float = 1.0,
        init_from: Any = None,
        frozen_layers: Sequence[Int | str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_interval: float = 0,
    ) -> None:
        set_init_arguments(self, locals())
