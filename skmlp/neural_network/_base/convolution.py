"""The base of the convolutional networks: shapes of the samples, and the network."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn

from skmlp.neural_network._base.building import hidden_sizes
from skmlp.neural_network._base.network import BaseNetwork
from skmlp.neural_network._fit.data_checks.shapes import (
    warn_about_flat_samples,
    warn_about_narrow_images,
    warn_about_short_signals,
)
from skmlp.neural_network._fit.images import (
    ImageShape,
    augment_samples,
    check_channels_last,
    check_image_shape,
)
from skmlp.training.inference import activate, forward_in_chunks
from skmlp.training.modules.convolution import build_cnn, infer_image_shape
from skmlp.training.modules.stages import Sizes


class ConvolutionalNetwork(BaseNetwork):
    """Base of the convolutional networks; not for direct use."""

    conv_channels: int | Sequence[int]
    kernel_size: Sizes
    conv_strides: Sizes
    padding: str
    pool: str | Sequence[str | None] | None
    pool_size: Sizes
    pool_padding: str | None
    conv_dropout: float | Sequence[float]
    channel_dropout: bool
    block: str
    head: str
    predict_augmentation: Callable[..., Tensor] | None
    predict_views: int
    image_shape: Sequence[int] | str
    hidden_layer_sizes: int | Sequence[int]
    dropout: float | Sequence[float]
    batch_norm: bool

    image_shape_: ImageShape

    def _set_image_shape(self, n_features: int) -> None:
        if isinstance(self.image_shape, str):
            shape = self._infer_image_shape(n_features)
        else:
            shape = check_image_shape(self.image_shape, self.conv_dims)
            if self._data_shape not in (None, shape):
                kind = "signals" if self.conv_dims == 1 else "images"
                raise ValueError(
                    f"X holds {kind} of shape {self._data_shape}, but image_shape="
                    f"{shape}; leave it 'auto' or give flat samples."
                )
        if (needed := int(np.prod(shape))) != n_features:
            raise ValueError(
                f"X has {n_features} features, but image_shape={shape} needs {needed}."
            )
        self.image_shape_ = shape

    def _infer_image_shape(self, n_features: int) -> ImageShape:
        """Return the shape of the samples in X, and warn if it may be a mistake."""
        shape = self._data_shape
        if self.conv_dims == 1:
            if shape is None:
                return n_features, 1
            warn_about_short_signals(shape)
        elif shape is None:
            shape = infer_image_shape(n_features)
            warn_about_flat_samples(shape)
        else:
            check_channels_last(shape)
            warn_about_narrow_images(shape)
        return shape

    def _matches_sklearn_validation(self) -> bool:
        return False  # scikit-learn has no such network

    def _make_network(self, n_features: int, n_outputs: int) -> nn.Sequential:
        return build_cnn(
            self.image_shape_,
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

    def _compute_logits(
        self,
        network: nn.Module,
        X: Any,
        output_activation: Callable[[Tensor], Tensor] | None = None,
        on_nonfinite: Callable[[], object] | None = None,
    ) -> Tensor:
        if self.predict_augmentation is None:
            return super()._compute_logits(network, X, output_activation, on_nonfinite)
        logits = super()._compute_logits(network, X, None, on_nonfinite)
        for seed in range(self.predict_views):
            augment = partial(
                augment_samples, self.predict_augmentation, self.image_shape_, seed
            )
            logits = logits + forward_in_chunks(network, X, augment)
        logits = logits / (1 + self.predict_views)
        if output_activation is None:
            return logits
        return activate(logits, output_activation)
