"""Change batches of training images at random.

An augmentation is called as ``augmentation(images, generator)``.

- ``images`` is a tensor of shape (batch, channels, height, width) on any device. Its
  dtype is uint8 or a floating-point dtype. In a training, the pixels have the values
  after all transformers of a Pipeline.
- ``generator`` is a `torch.Generator` on the same device, an integer seed, or None for
  a random seed. The global generator of torch is not used.
- The result is a new tensor of the same shape, dtype and device. ``images`` is not
  changed.
- All images are changed at once, without a loop.

Augmentations are scikit-learn estimators without ``fit``. They can be cloned and
pickled. A search can vary their parameters, for example ``augmentation__degrees``.
"""

from skmlp.augmentation._affine import RandomAffine
from skmlp.augmentation._compose import Compose
from skmlp.augmentation._crop import RandomCrop
from skmlp.augmentation._erasing import RandomErasing
from skmlp.augmentation._flip import RandomHorizontalFlip
from skmlp.augmentation._noise import GaussianNoise

__all__ = [
    "Compose",
    "GaussianNoise",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
]
