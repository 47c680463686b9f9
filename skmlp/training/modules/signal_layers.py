"""torch's layers of signals, computed as images of height 1.

Signals and their feature maps have shape ``(batch, channels, length)``. Like images,
they are stored channels last. torch's own layers would copy them to channels first, and
a convolution would take about twice as long on a CPU.
"""

import torch.nn.functional as F
from torch import Tensor, nn

# Dimension of the height in ``(batch, channels, height, length)``.
_HEIGHT = 2


class Conv1d(nn.Conv1d):
    """torch's convolution, without initial weights, like `Linear`."""

    def reset_parameters(self) -> None:
        """Leave the weights to `initialize`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the sums over the windows, plus the biases."""
        z = F.conv2d(
            x.unsqueeze(_HEIGHT),
            self.weight.unsqueeze(_HEIGHT),
            self.bias,
            stride=(1, self.stride[0]),
            padding=(0, self.padding[0]),  # type: ignore[arg-type]
        )
        return z.squeeze(_HEIGHT)


class ZeroPad1d(nn.ZeroPad1d):
    """Adds zeros at both ends."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the longer signals, channels last."""
        return F.pad(x.unsqueeze(_HEIGHT), self.padding).squeeze(_HEIGHT)


class MaxPool1d(nn.MaxPool1d):
    """Maximum of every window. Sizes are tuples, as torch stores them for averages."""

    kernel_size: tuple[int]
    padding: tuple[int]

    def forward(self, x: Tensor) -> Tensor:
        """Return the maxima of all windows."""
        pooled = F.max_pool2d(
            x.unsqueeze(_HEIGHT),
            (1, *self.kernel_size),
            padding=(0, *self.padding),
            ceil_mode=self.ceil_mode,
        )
        return pooled.squeeze(_HEIGHT)


class AvgPool1d(nn.AvgPool1d):
    """Average of every window over the values that it has."""

    kernel_size: tuple[int]
    padding: tuple[int]

    def forward(self, x: Tensor) -> Tensor:
        """Return the averages of all windows."""
        pooled = F.avg_pool2d(
            x.unsqueeze(_HEIGHT),
            (1, *self.kernel_size),
            padding=(0, *self.padding),
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
        )
        return pooled.squeeze(_HEIGHT)
