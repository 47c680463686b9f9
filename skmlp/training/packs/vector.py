"""One contiguous vector that holds one tensor for each parameter of a pack."""

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from skmlp.training.optimizers.flat_parameters import aligned_slices


class PackVector:
    """Vector of zeros, with one view for each parameter.

    Parameters
    ----------
    like : Tensor
        Has the dtype and the device of the vector.
    shapes : sequence of sequence of int
        Shapes ``(members, ...)`` of the tensors.

    Attributes
    ----------
    vector : Tensor of shape (n,)
        The tensors one after the other. Zeros between them align their addresses. A
        vectorized kernel computes the elements at the end of a vector separately, and
        may round them differently. With the padding, a kernel on the whole vector
        rounds the elements of all tensors in the same way.
    tensors : list of Tensor
        Contiguous views of the vector.
    """

    def __init__(self, like: Tensor, shapes: Sequence[Sequence[int]]) -> None:
        slices, size = aligned_slices(list(map(math.prod, shapes)), like)
        self.vector = like.new_zeros(size)
        self.tensors = [
            self.vector[at].view(*shape)
            for at, shape in zip(slices, shapes, strict=True)
        ]

    def zeros(self) -> Self:
        """Return zeros with the same shapes."""
        return type(self)(self.vector, [tensor.shape for tensor in self.tensors])

    def select(self, index: Tensor) -> Self:
        """Return a copy with some of the members."""
        shapes = [(len(index), *tensor.shape[1:]) for tensor in self.tensors]
        selected = type(self)(self.vector, shapes)
        for out, tensor in zip(selected.tensors, self.tensors, strict=True):
            torch.index_select(tensor, 0, index, out=out)
        return selected
