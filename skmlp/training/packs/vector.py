"""Tensors of many models, one for each parameter, that lie in one vector."""

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from skmlp.training.optimizers.flat_parameters import aligned


class PackVector:
    """Zeros in one vector, and its parts.

    Parameters
    ----------
    like : Tensor
        Of the dtype and on the device that they are to have.
    shapes : sequence of sequence of int
        Of the parts, each of which begins with the number of models.

    Attributes
    ----------
    vector : Tensor of shape (n,)
        The parts one behind the other, and zeros that align them. A kernel that writes
        several numbers at once, and those left over at the end in another way, does not
        come to its end within a part.
    parts : list of Tensor
        Views, without gaps.
    """

    def __init__(self, like: Tensor, shapes: Sequence[Sequence[int]]) -> None:
        places, size = aligned(list(map(math.prod, shapes)), like)
        self.vector = like.new_zeros(size)
        self.parts = [
            self.vector[place].view(*shape)
            for place, shape in zip(places, shapes, strict=True)
        ]

    def zeros(self) -> Self:
        """Return as many zeros, with the same parts."""
        return type(self)(self.vector, [part.shape for part in self.parts])

    def select(self, index: Tensor) -> Self:
        """Return a copy of what some of the models have."""
        shapes = [(len(index), *part.shape[1:]) for part in self.parts]
        selected = type(self)(self.vector, shapes)
        for own, part in zip(selected.parts, self.parts, strict=True):
            torch.index_select(part, 0, index, out=own)
        return selected
