"""torch modules: layers, activations, initializers, and the builders of networks."""

import sys

from skmlp.training.modules import image_layers
from skmlp.training.modules.layers import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
)

__all__ = ["BatchNorm1d", "BatchNorm2d", "Conv2d", "Dropout", "Linear"]

# Pickles of earlier versions look for the layers in this package, when it was a module,
# and for the layers of images in a module that has moved.
sys.modules.setdefault("skmlp.training.convolution", image_layers)
