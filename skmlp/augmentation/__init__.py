"""Random changes of training images: whole torch batches in, whole batches out.

An augmentation is called as ``augmentation(images, generator)``. ``images`` is a
tensor of shape (batch, channels, height, width), uint8 or floating point with the
values that the network sees, on any device. The result is a new tensor of the same
shape, dtype and device; the input stays as it was. All randomness comes from
``generator``, never from torch's global state: a `torch.Generator` on the images'
device, or an integer seed, or None for fresh randomness. No augmentation loops over
images.

Augmentations carry scikit-learn parameters: they can be cloned, pickled and searched
over, as in ``augmentation__degrees``.
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
