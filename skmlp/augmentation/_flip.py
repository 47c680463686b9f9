"""Random horizontal flips."""

import torch
from torch import Tensor

from skmlp.augmentation._base import Augmentation
from skmlp.augmentation._parameters import read_probability


class RandomHorizontalFlip(Augmentation):
    """Exchange left and right of each image with probability `p`.

    One random number is drawn for each image.

    Parameters
    ----------
    p : float, default=0.5
        Probability that an image is flipped.

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

    def _check_parameters(self) -> float:
        """Return p."""
        return read_probability(self, "p")

    def _augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        p = self._check_parameters()
        is_flipped = (
            torch.rand(
                len(images),
                generator=generator,
                dtype=torch.float32,
                device=images.device,
            )
            < p
        )
        return torch.where(is_flipped[:, None, None, None], images.flip(3), images)
