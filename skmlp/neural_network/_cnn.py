"""Convolutional networks."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from skmlp._sklearn_compat import Interval, StrOptions
from skmlp.neural_network._base.classifier import BaseClassifier, DecisionFunctionMixin
from skmlp.neural_network._base.parameters import (
    CLASSIFICATION_LOSS_PARAMETER,
    SHARED,
    Parameter,
)
from skmlp.neural_network._base.parameters.declaration import (
    set_init_arguments,
    with_shared_parameters,
)
from skmlp.neural_network._fit.images import (
    ImageShape,
    augment_samples,
    check_channels_last,
)
from skmlp.neural_network._mlp import hidden_sizes
from skmlp.training.inference import forward_in_chunks
from skmlp.training.modules.convolution import build_cnn, infer_image_shape

_POSITIVE_INTS = [Interval(Integral, 1, None, closed="left"), "array-like"]

_CNN_PARAMETERS = CLASSIFICATION_LOSS_PARAMETER | {
    "hidden_layer_sizes": SHARED["hidden_layer_sizes"]._replace(
        type="int or array-like of int, default=(128,)"
    ),
    "init": SHARED["init"]._replace(
        text="Initializer of the weights. 'auto' is the initializer of scikit-learn's "
        "MLPClassifier, which draws the biases too, except for the output biases. The "
        "output biases are the logits of the (weighted) class priors; with hinge "
        "losses they are zero. All others start with biases of zero, as in Keras."
    ),
    "conv_channels": Parameter(
        "int or array-like of int, default=(32, 64)",
        "Number of filters of every convolution.",
        _POSITIVE_INTS,
    ),
    "kernel_size": Parameter(
        "int or array-like of int, default=3",
        "Height and width of the filters. One value for all convolutions, or one for "
        "each.",
        _POSITIVE_INTS,
    ),
    "conv_strides": Parameter(
        "int or array-like of int, default=1",
        "Strides of the convolutions.",
        _POSITIVE_INTS,
    ),
    "padding": Parameter(
        "{'same', 'valid'}, default='same'",
        "Padding of the convolutions, as in Keras: 'same' gives outputs of size "
        "``ceil(size / stride)``, 'valid' uses complete windows only.",
        [StrOptions({"same", "valid"})],
    ),
    "pool": Parameter(
        "{'max', 'avg'}, None or array-like of these, default='max'",
        "Pooling after every convolution.",
        [StrOptions({"max", "avg"}), None, "array-like"],
    ),
    "pool_size": Parameter(
        "int or array-like of int, default=2",
        "Height and width of the pooling windows, which do not overlap.",
        _POSITIVE_INTS,
    ),
    "pool_padding": Parameter(
        "{'same', 'valid'} or None, default=None",
        "Padding of the pooling: 'same' uses incomplete windows, 'valid' drops them. "
        "None is the value of `padding`.",
        [StrOptions({"same", "valid"}), None],
    ),
    "conv_dropout": Parameter(
        "float or array-like of float, default=0.0",
        "Probability to drop an output of a convolution. One value for all "
        "convolutions, or one for each.",
        [Interval(Real, 0, 1, closed="left"), "array-like"],
    ),
    "channel_dropout": Parameter(
        "bool, default=False",
        "Whether `conv_dropout` drops whole channels.",
        ["boolean"],
    ),
    "block": Parameter(
        "{'plain', 'residual'}, default='plain'",
        "With 'residual', every entry of `conv_channels` except the first is a block "
        "of two convolutions with a shortcut (He et al. 2015, arXiv:1512.03385).",
        [StrOptions({"plain", "residual"})],
    ),
    "head": Parameter(
        "{'dense', 'global_average'}, default='dense'",
        "Input of the dense layers: all values of the last feature maps, or the mean "
        "of each map.",
        [StrOptions({"dense", "global_average"})],
    ),
    "predict_augmentation": Parameter(
        "callable or None, default=None",
        "Test-time augmentation, called like `augmentation` with the images to "
        "predict. Logits are averaged over the original images and `predict_views` "
        "changed copies. The seeds are fixed, so the same X gives the same result in "
        "every call. The random changes of a sample depend on its row number in X, "
        "so predictions of a subset of X may differ.",
        [callable, None],
    ),
    "predict_views": Parameter(
        "int, default=8",
        "Number of copies for `predict_augmentation`.",
        [Interval(Integral, 1, None, closed="left")],
    ),
    "image_shape": Parameter(
        "tuple of int or 'auto', default='auto'",
        "Height, width and (if not 1) channels of the images in flat samples. 'auto' "
        "is the shape in X if X holds images. For flat samples it is the first shape "
        "that fits the number of features: a square gray image, a square image of "
        "three channels, or one line of pixels.",
        [StrOptions({"auto"}), "array-like"],
    ),
}


@with_shared_parameters
class CNNClassifier(DecisionFunctionMixin, BaseClassifier):
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
    MLPClassifier : Without convolutions.

    Notes
    -----
    A convolution has ``(in * size * size + 1) * out`` parameters.

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
    """

    conv_channels: int | Sequence[int]
    kernel_size: int | Sequence[int]
    conv_strides: int | Sequence[int]
    padding: str
    pool: str | Sequence[str | None] | None
    pool_size: int | Sequence[int]
    pool_padding: str | None
    conv_dropout: float | Sequence[float]
    channel_dropout: bool
    block: str
    head: str
    predict_augmentation: Callable[..., torch.Tensor] | None
    predict_views: int
    image_shape: Sequence[int] | str
    hidden_layer_sizes: int | Sequence[int]
    dropout: float | Sequence[float]
    batch_norm: bool

    _parameters_not_shared = _CNN_PARAMETERS
    _uses_class_priors = True

    def __init__(
        self,
        conv_channels: int | Sequence[int] = (32, 64),
        kernel_size: int | Sequence[int] = 3,
        *,
        conv_strides: int | Sequence[int] = 1,
        padding: str = "same",
        pool: str | Sequence[str | None] | None = "max",
        pool_size: int | Sequence[int] = 2,
        pool_padding: str | None = None,
        hidden_layer_sizes: int | Sequence[int] = (128,),
        activation: str = "relu",
        conv_dropout: float | Sequence[float] = 0.0,
        channel_dropout: bool = False,
        block: str = "plain",
        head: str = "dense",
        predict_augmentation: Callable[..., torch.Tensor] | None = None,
        predict_views: int = 8,
        image_shape: Sequence[int] | str = "auto",
        solver: str = "adam",
        alpha: float | Sequence[float] = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int | str = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float | Sequence[float] = 0.0,
        batch_norm: bool = False,
        init: str = "auto",
        label_smoothing: float = 0.0,
        loss: str = "log_loss",
        class_weight: Mapping[Any, float] | str | None = None,
        augmentation: Callable[..., torch.Tensor] | None = None,
        train_size: int | float | None = None,
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
        step_size: int = 10,
        gamma: float = 0.1,
        temperature: float = 1.0,
        init_from: Any = None,
        frozen_layers: Sequence[int | str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_interval: float = 0,
    ) -> None:
        set_init_arguments(self, locals())

    def _set_image_shape(self, n_features: int) -> None:
        shape: tuple[int, ...] = self._data_shape or infer_image_shape(n_features)
        if isinstance(self.image_shape, str):
            if self._data_shape is not None:
                check_channels_last(self._data_shape)
        else:
            given = tuple(self.image_shape)
            are_positive_ints = all(
                isinstance(size, Integral) and int(size) > 0 for size in given
            )
            if len(given) not in (2, 3) or not are_positive_ints:
                raise ValueError(
                    f"image_shape={given} has to be (height, width) or (height, width, "
                    "channels)."
                )
            shape = (*map(int, given), 1)[:3]
            if self._data_shape not in (None, shape):
                raise ValueError(
                    f"X holds images of shape {self._data_shape}, but image_shape="
                    f"{shape}; leave it 'auto' or give flat samples."
                )
        if (needed := int(np.prod(shape))) != n_features:
            raise ValueError(
                f"X has {n_features} features, but image_shape={shape} needs {needed}."
            )
        self.image_shape_ = cast(ImageShape, shape)

    def _make_network(self, n_features: int, n_outputs: int) -> nn.Sequential:
        return build_cnn(
            self.image_shape_,  # type: ignore[arg-type]
            n_outputs,
            conv_channels=self.conv_channels,
            kernel_size=self.kernel_size,
            conv_strides=self.conv_strides,
            padding=self.padding,
            pool=self.pool,
            pool_size=self.pool_size,
            pool_padding=self.pool_padding,
            hidden_layer_sizes=hidden_sizes(self.hidden_layer_sizes),
            activation=self.activation,
            dropout=self.dropout,
            conv_dropout=self.conv_dropout,
            channel_dropout=self.channel_dropout,
            batch_norm=self.batch_norm,
            block=self.block,
            head=self.head,
        )

    def _compute_logits(self, network: nn.Sequential, X: Any) -> torch.Tensor:
        logits = super()._compute_logits(network, X)
        if self.predict_augmentation is None:
            return logits
        for seed in range(self.predict_views):
            augment = partial(
                augment_samples,
                self.predict_augmentation,
                self.image_shape_,  # type: ignore[arg-type]
                seed,
            )
            logits = logits + forward_in_chunks(network, X, augment)
        return logits / (1 + self.predict_views)
