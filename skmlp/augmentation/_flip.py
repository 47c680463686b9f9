"""Random mirroring, left to right."""

import torch
from torch import Tensor

from skmlp.augmentation._base import Augmentation
from skmlp.augmentation._parameters import read_probability


class RandomHorizontalFlip(Augmentation):
    """Mirror each image, left to right, with probability `p`.

    Each image takes one number from the generator.

    Parameters
    ----------
    p : float, default=0.5
        Probability that an image is mirrored.

    Examples
    --------
    >>> import torch
    >>> from skmlp.augmentation import RandomHorizontalFlip
    >>> image = torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8)
    >>> RandomHorizontalFlip(p=1.0)(image)
    tensor([[[[3, 2, 1]]]], dtype=torch.uint8)
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def _read(self) -> float:
        return read_probability(self, "p")

    def _augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        p = self._read()
        chosen = torch.rand(len(images), generator=generator, device=images.device) < p
        return torch.where(chosen[:, None, None, None], images.flip(3), images)
