"""``coefs_`` and ``intercepts_``: lists of arrays.

A change of an array changes the weights of the network.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


class LayerArrays(list):
    """The weights or biases of all layers. Assigning an array changes the network.

    - On the CPU the arrays are views, so changes in place reach the network as well.
    - A layer without biases has zeros, which cannot be changed.
    - A copy or a pickle is a plain list.
    """

    def __init__(
        self, name: str, tensors: Iterable[Tensor | None], widths: Sequence[int] = ()
    ) -> None:
        self._name = name
        self._tensors = list(tensors)
        super().__init__(
            _zeros(widths[i]) if tensor is None else tensor.cpu().numpy()
            for i, tensor in enumerate(self._tensors)
        )

    def __setitem__(self, i: Any, value: Any) -> None:
        if isinstance(i, slice):
            self.assign(value, range(len(self))[i])
        else:
            self.assign([value], [range(len(self))[i]])

    def assign(self, values: Iterable[Any], indices: Sequence[int]) -> None:
        """Copy `values` to the layers at `indices`.

        If an array is invalid, no layer is changed.
        """
        arrays = [np.asarray(value) for value in values]
        if len(arrays) != len(indices):
            raise ValueError(
                f"{self._name} was given {len(arrays)} arrays for {len(indices)} "
                "layers."
            )
        for i, array in zip(indices, arrays, strict=True):
            if array.shape != self[i].shape:
                raise ValueError(
                    f"{self._name}[{i}] has shape {self[i].shape}, but was given an "
                    f"array of shape {array.shape}."
                )
            if self._tensors[i] is None and array.any():
                raise ValueError(f"{self._name}[{i}] is zero, the layer has no biases.")
        for i, array in zip(indices, arrays, strict=True):
            tensor = self._tensors[i]
            if tensor is None:
                continue
            tensor.copy_(torch.tensor(array, dtype=tensor.dtype))
            super().__setitem__(i, tensor.cpu().numpy())

    def __reduce__(self) -> tuple[type, tuple[list[np.ndarray]]]:
        return list, (list(self),)


def _zeros(width: int) -> np.ndarray:
    """Return zeros that cannot be changed."""
    zeros = np.zeros(width)
    zeros.flags.writeable = False
    return zeros
