"""The arrays of a network's layers as the list that scikit-learn's users assign to."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor


class LayerArrays(list):
    """Arrays of the layers' weights or biases; what is assigned reaches the network.

    On the CPU the arrays are views, so that changes in place reach it as well. A copy
    or a pickle is a plain list.
    """

    def __init__(self, name: str, tensors: Iterable[Tensor]) -> None:
        self._name = name
        self._tensors = list(tensors)
        super().__init__(tensor.cpu().numpy() for tensor in self._tensors)

    def __setitem__(self, i: Any, value: Any) -> None:
        if isinstance(i, slice):
            self.assign(value, range(len(self))[i])
        else:
            self.assign([value], [range(len(self))[i]])

    def assign(self, values: Iterable[Any], places: Iterable[int]) -> None:
        """Copy `values` to the layers at `places`, all of them or, on error, none."""
        arrays, places = [np.asarray(value) for value in values], list(places)
        if len(arrays) != len(places):
            raise ValueError(
                f"{self._name} was given {len(arrays)} arrays for {len(places)} layers."
            )
        for i, array in zip(places, arrays, strict=True):
            if array.shape != self[i].shape:
                raise ValueError(
                    f"{self._name}[{i}] has shape {self[i].shape}, but was given an "
                    f"array of shape {array.shape}."
                )
        for i, array in zip(places, arrays, strict=True):
            own = self._tensors[i]
            own.copy_(torch.tensor(array, dtype=own.dtype))
            super().__setitem__(i, own.cpu().numpy())

    def __reduce__(self) -> tuple[type, tuple[list[np.ndarray]]]:
        return list, (list(self),)
