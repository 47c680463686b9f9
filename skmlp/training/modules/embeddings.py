"""Embeddings of numbers and of categories, and a trainable scale of each input.

`FeatureEmbedding` is the first module of a network. The samples are rows of numbers.
Some columns may hold the codes 0, 1, ... of categories.
"""

import math
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The starting values of RealMLP (Holzmüller et al. 2024, arXiv:2407.04491).
_N_FREQUENCIES = 16
_N_COMPONENTS = 3
_FREQUENCY_DEVIATION = 0.1
_CATEGORY_WIDTH = 8


class PeriodicEmbedding(nn.Module):
    """Maps each number x to a few linear functions of ``cos(2 pi w x + b)``.

    The embedding 'PBLD' of RealMLP, after Gorishniy et al. (2022), arXiv:2203.05556.

    Parameters
    ----------
    n_columns : int
        Number of columns, each with its own frequencies w, phases b and functions.
    n_frequencies : int
        Number of frequencies of a column.
    n_components : int
        Number of outputs for each number.
    """

    def __init__(
        self,
        n_columns: int,
        n_frequencies: int = _N_FREQUENCIES,
        n_components: int = _N_COMPONENTS,
    ) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.empty(n_columns, n_frequencies))
        self.phases = nn.Parameter(torch.empty(n_columns, n_frequencies))
        self.weight = nn.Parameter(torch.empty(n_columns, n_components, n_frequencies))
        self.bias = nn.Parameter(torch.empty(n_columns, n_components))

    def initialize(self, random_state: np.random.RandomState) -> None:
        """Draw the initial parameters."""
        bound = 1.0 / math.sqrt(self.weight.shape[-1])
        draws = (
            random_state.normal(0.0, _FREQUENCY_DEVIATION, self.frequencies.shape),
            random_state.uniform(-math.pi, math.pi, self.phases.shape),
            random_state.uniform(-bound, bound, self.weight.shape),
            random_state.uniform(-bound, bound, self.bias.shape),
        )
        _fill(self.parameters(), draws)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(batch, columns * components)`` for ``(batch, columns)``."""
        angles = 2.0 * math.pi * self.frequencies * x.unsqueeze(-1) + self.phases
        components = torch.einsum("bcf,cof->bco", torch.cos(angles), self.weight)
        return (components + self.bias).flatten(1)

    def extra_repr(self) -> str:
        """Return the sizes for torch's repr."""
        n_columns, n_components, n_frequencies = self.weight.shape
        return f"{n_columns}, frequencies={n_frequencies}, components={n_components}"


class CategoryEmbedding(nn.Module):
    """Maps each code of a category to a trainable vector.

    Parameters
    ----------
    sizes : sequence of int
        Number of codes of each column.
    width : int
        Length of the vectors.

    Attributes
    ----------
    offsets : list of int
        Row of the code 0 of each column in the table of all vectors.
    """

    def __init__(self, sizes: Sequence[int], width: int = _CATEGORY_WIDTH) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.offsets = np.cumsum([0, *self.sizes[:-1]]).tolist()
        self.vectors = nn.Parameter(torch.empty(sum(self.sizes), width))

    def initialize(self, random_state: np.random.RandomState) -> None:
        """Draw the initial vectors from a standard normal distribution."""
        _fill(self.parameters(), [random_state.normal(size=self.vectors.shape)])

    def rows(self, codes: Tensor) -> Tensor:
        """Return the rows of the table for codes ``(..., columns)``."""
        offsets = torch.tensor(self.offsets, device=codes.device)
        return codes.long() + offsets

    def forward(self, codes: Tensor) -> Tensor:
        """Return ``(batch, columns * width)`` for codes ``(batch, columns)``."""
        return F.embedding(self.rows(codes), self.vectors).flatten(1)

    def extra_repr(self) -> str:
        """Return the sizes for torch's repr."""
        return f"{list(self.sizes)}, width={self.vectors.shape[1]}"


class FeatureEmbedding(nn.Module):
    """The inputs of the first layer: numbers, their embeddings, and categories.

    Parameters
    ----------
    n_features : int
        Number of columns of a sample.
    periodic : sequence of int
        Columns of numbers that get a `PeriodicEmbedding`, in addition to themselves.
    categories : mapping of int to int
        Columns that hold codes, and their numbers of codes.
    scaled : bool
        Whether each input of the first layer is multiplied by a trainable scale.

    Attributes
    ----------
    plain : tuple of int
        The columns of numbers.
    width : int
        Number of outputs: the numbers, the components of each periodic column, and the
        vectors of each category.
    """

    def __init__(
        self,
        n_features: int,
        periodic: Sequence[int] = (),
        categories: Mapping[int, int] | None = None,
        scaled: bool = False,
    ) -> None:
        super().__init__()
        categories = {} if categories is None else categories
        self.categorical = tuple(sorted(categories))
        self.plain = tuple(i for i in range(n_features) if i not in categories)
        self.periodic_columns = tuple(periodic)
        self.width = len(self.plain)
        self.periodic = self.category = self.scale = None
        if self.periodic_columns:
            self.periodic = PeriodicEmbedding(len(self.periodic_columns))
            self.width += self.periodic.bias.numel()
        if self.categorical:
            self.category = CategoryEmbedding([categories[i] for i in self.categorical])
            self.width += len(self.categorical) * self.category.vectors.shape[1]
        if scaled:
            self.scale = nn.Parameter(torch.empty(self.width))

    def initialize(self, random_state: np.random.RandomState) -> None:
        """Draw the initial parameters; scales are 1."""
        for part in (self.periodic, self.category):
            if part is not None:
                part.initialize(random_state)
        if self.scale is not None:
            nn.init.ones_(self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(batch, width)`` for samples ``(batch, n_features)``."""
        parts = [_select(x, self.plain)]
        if self.periodic is not None:
            parts.append(self.periodic(_select(x, self.periodic_columns)))
        if self.category is not None:
            parts.append(self.category(_select(x, self.categorical)))
        inputs = torch.cat(parts, dim=1)
        return inputs if self.scale is None else inputs * self.scale

    def max_values_per_sample(self) -> int:
        """Return the largest number of values of a sample in this module."""
        angles = 0 if self.periodic is None else self.periodic.phases.numel()
        return max(self.width, angles)

    def extra_repr(self) -> str:
        """Return the columns for torch's repr."""
        return (
            f"plain={self.plain}, periodic={self.periodic_columns}, "
            f"categorical={self.categorical}, scaled={self.scale is not None}"
        )


def _select(x: Tensor, columns: tuple[int, ...]) -> Tensor:
    """Return some columns of samples."""
    index = torch.tensor(columns, dtype=torch.long, device=x.device)
    return x.index_select(1, index)


def _fill(parameters: object, values: Sequence[np.ndarray]) -> None:
    """Copy drawn values into parameters."""
    tensors = cast(Sequence[Tensor], parameters)
    with torch.no_grad():
        for parameter, drawn in zip(tensors, values, strict=True):
            parameter.copy_(torch.from_numpy(drawn))
