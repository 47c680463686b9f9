"""Layers of convolutional networks that torch does not have.

Images and feature maps have shape ``(batch, channels, height, width)`` in torch's
channels_last layout. Signals have no height.
"""

from torch import Tensor, nn


class ImageView(nn.Module):
    """Reshapes flat images to ``(batch, channels, height, width)`` without a copy.

    An `image_shape` of two numbers is length and channels of signals, which become
    ``(batch, channels, length)``.
    """

    def __init__(self, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.image_shape = image_shape

    def forward(self, x: Tensor) -> Tensor:
        """Return a view of `x` in channels_last layout."""
        return x.unflatten(1, self.image_shape).movedim(-1, 1)

    def extra_repr(self) -> str:
        """Return the parameters for torch's repr."""
        return f"image_shape={self.image_shape}"


class FlattenImage(nn.Module):
    """Flattens feature maps to features, channels last as in Keras."""

    def forward(self, x: Tensor) -> Tensor:
        """Return a view ``(batch, height * width * channels)``."""
        return x.movedim(1, -1).flatten(1)


class GlobalAverage(nn.Module):
    """Averages every feature map (Lin, Chen and Yan 2013, arXiv:1312.4400).

    `n_dims` is 2 for maps of images and 1 for those of signals.
    """

    averaged: tuple[int, ...] = (2, 3)  # for pickles of earlier versions

    def __init__(self, n_dims: int = 2) -> None:
        super().__init__()
        self.averaged = tuple(range(2, 2 + n_dims))

    def forward(self, x: Tensor) -> Tensor:
        """Return the averages ``(batch, channels)``."""
        return x.mean(self.averaged)


class ResidualBlock(nn.Module):
    """Sum of a body and a shortcut (He et al. 2015, arXiv:1512.03385).

    The activation after the sum is a separate layer, so pooling may come before it.
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum, before its activation."""
        return self.body(x) + self.shortcut(x)
