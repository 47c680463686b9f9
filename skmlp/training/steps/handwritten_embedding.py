"""Embeddings before the first layer, with handwritten gradients.

Values have the shape ``(..., columns, batch)``: the batch is the last dimension, as in
the dense layers of a pack. The leading dimension is that of the members of a pack. One
network has none.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from skmlp.training.compute.memory import ReusedMemory
from skmlp.training.modules.embeddings import (
    CategoryEmbedding,
    FeatureEmbedding,
    PeriodicEmbedding,
)

TensorOf = Callable[[Tensor], Tensor]


class _SavedPeriodic(NamedTuple):
    """Values of the forward pass of a periodic embedding."""

    x: Tensor  # (columns of all members, 1, batch)
    angles: Tensor  # (columns of all members, frequencies, batch)
    cosines: Tensor  # as angles


class HandwrittenPeriodicEmbedding:
    """Forward and backward pass of `PeriodicEmbedding`."""

    def __init__(
        self, module: PeriodicEmbedding, value_of: TensorOf, gradient_of: TensorOf
    ) -> None:
        parameters = module.frequencies, module.phases, module.weight, module.bias
        self.frequencies, self.phases, self.weight, self.bias = map(
            value_of, parameters
        )
        self.gradients = [gradient_of(parameter) for parameter in parameters]
        self._angles, self._cosines, self._angle_grad = (
            ReusedMemory() for _ in range(3)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, _SavedPeriodic]:
        """Return ``(..., columns * components, batch)`` for ``(..., columns, batch)``.

        The formula is ``weight @ cos(2 pi frequencies x + phases) + bias``. The next
        call overwrites the values for `backward`.
        """
        leading, batch = x.shape[:-2], x.shape[-1]
        n_components, n_frequencies = self.weight.shape[-2:]
        x = x.reshape(-1, 1, batch)  # (columns of all members, 1, batch)
        shape = len(x), n_frequencies, batch
        # An outer product by BLAS takes a third of the time of a broadcast product.
        angles = torch.baddbmm(
            self.phases.reshape(-1, n_frequencies, 1),
            (2.0 * math.pi * self.frequencies).view(-1, n_frequencies, 1),
            x,
            out=self._angles.empty(shape, x),
        )
        cosines = torch.cos(angles, out=self._cosines.empty(shape, x))
        components = torch.bmm(self._weights(), cosines)
        components.add_(self.bias.reshape(-1, n_components, 1))
        saved = _SavedPeriodic(x, angles, cosines)
        return components.view(*leading, -1, batch), saved

    def _weights(self) -> Tensor:
        """Return the weights ``(columns of all members, components, frequencies)``."""
        return self.weight.view(-1, *self.weight.shape[-2:])

    def backward(self, grad: Tensor, saved: _SavedPeriodic) -> None:
        """Write the gradients of the parameters; `grad` is that of the output."""
        frequencies, phases, weight, bias = self.gradients
        n_components, n_frequencies = self.weight.shape[-2:]
        grad = grad.reshape(-1, n_components, grad.shape[-1])
        torch.sum(grad, -1, out=bias.view(-1, n_components))
        weights = self._weights()
        torch.bmm(grad, saved.cosines.mT, out=weight.view_as(weights))
        # The derivative of the cosine is minus the sine.
        angle_grad = self._angle_grad.empty(tuple(saved.angles.shape), grad)
        torch.bmm(weights.mT, grad, out=angle_grad).mul_(saved.angles.sin_())
        torch.sum(angle_grad, -1, out=phases.view(-1, n_frequencies))
        angle_grad.mul_(saved.x)
        torch.sum(angle_grad, -1, out=frequencies.view(-1, n_frequencies))
        phases.neg_()
        frequencies.mul_(-2.0 * math.pi)


class HandwrittenCategoryEmbedding:
    """Forward and backward pass of `CategoryEmbedding`."""

    def __init__(
        self, module: CategoryEmbedding, value_of: TensorOf, gradient_of: TensorOf
    ) -> None:
        self.module = module
        self.vectors = value_of(module.vectors)
        self.gradient = gradient_of(module.vectors)

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(..., columns * width, batch)`` for codes ``(..., columns, batch)``.

        The second result are the rows of the tables of all members, one below the
        other, with the shape ``(..., batch, columns)``.
        """
        n_rows, width = self.vectors.shape[-2:]
        rows = self.module.rows(codes.mT)
        if rows.dim() > 2:
            first = torch.arange(len(rows), device=rows.device) * n_rows
            rows = rows + first[:, None, None]
        vectors = self.vectors.reshape(-1, width).index_select(0, rows.flatten())
        vectors = vectors.view(*rows.shape[:-1], -1)  # (..., batch, columns * width)
        return vectors.mT, rows

    def backward(self, grad: Tensor, rows: Tensor) -> None:
        """Write the gradient of the vectors; `grad` is that of the output."""
        width = self.vectors.shape[-1]
        self.gradient.zero_()
        of_rows = grad.mT.reshape(-1, width)
        self.gradient.view(-1, width).index_add_(0, rows.flatten(), of_rows)


class HandwrittenEmbedding:
    """Forward and backward pass of `FeatureEmbedding`, for one network or a pack.

    It has the interface `skmlp.training.steps.handwritten_step.FeatureExtractor`.

    Parameters
    ----------
    module : FeatureEmbedding
        The module of the network, or of the first member of a pack.
    value_of, gradient_of : callable
        Map a parameter of that module to the tensor that the step trains, and to its
        gradient.
    n_members : int or None
        Number of members of a pack; None for one network.
    with_scale : bool
        Whether to multiply the inputs of the first layer by their scales. A pack
        multiplies the weights instead. Its gradient of the inputs may lack those that
        are features.
    """

    def __init__(
        self,
        module: FeatureEmbedding,
        value_of: TensorOf,
        gradient_of: TensorOf,
        n_members: int | None = None,
        with_scale: bool = True,
    ) -> None:
        self.module = module
        self.n_members = n_members
        self.periodic = self.category = self.scale = None
        if module.periodic is not None:
            self.periodic = HandwrittenPeriodicEmbedding(
                module.periodic, value_of, gradient_of
            )
        if module.category is not None:
            self.category = HandwrittenCategoryEmbedding(
                module.category, value_of, gradient_of
            )
        if module.scale is not None and with_scale:
            self.scale = value_of(module.scale).unsqueeze(-1)
            self.scale_gradient = gradient_of(module.scale)
        self._columns: dict[tuple[int, ...], Tensor] = {}

    @property
    def has_backward(self) -> bool:
        """Whether `backward` has parameters to write gradients of."""
        parts = self.periodic, self.category, self.scale
        return any(part is not None for part in parts)

    def forward(self, x: Tensor, training: bool = False) -> tuple[Tensor, Any]:
        """Return the inputs of the first layer, and the values for `backward`.

        Parameters
        ----------
        x : Tensor of shape (batch, features) or (groups, batch, features)
            The members of a group are neighbors with the same samples.
        training : bool
            Whether `backward` follows.

        Returns
        -------
        inputs : Tensor of shape (batch, width) or (members, batch, width)
        saved : tuple
        """
        module = self.module
        if not self.has_backward and module.plain == tuple(range(x.shape[-1])):
            return x, None
        x = x.mT
        if self.n_members is not None and len(x) != self.n_members:
            x = x.repeat_interleave(self.n_members // len(x), dim=0)
        parts = [self._select(x, module.plain)]
        saved: list[Any] = []
        if self.periodic is not None:
            columns = self._select(x, module.periodic_columns)
            part, of_part = self.periodic.forward(columns)
            parts.append(part)
            saved.append(of_part)
        if self.category is not None:
            codes = self._select(x, module.categorical)
            part, rows = self.category.forward(codes)
            parts.append(part)
            saved.append(rows)
        inputs = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)
        if self.scale is None:
            return inputs.mT, (None, saved)
        return (inputs * self.scale).mT, (inputs, saved)

    def backward(self, grad: Tensor, saved: Any) -> None:
        """Write the gradients of the parameters; `grad` is that of the inputs."""
        inputs, parts = saved
        grad = grad.mT  # (..., width, batch)
        if self.scale is not None:
            torch.sum(inputs.mul_(grad), -1, out=self.scale_gradient)
            grad = grad * self.scale
        trained = [p for p in (self.periodic, self.category) if p is not None]
        start = grad.shape[-2] - sum(map(self._width, trained))
        for part in trained:
            stop = start + self._width(part)
            part.backward(grad[..., start:stop, :], parts.pop(0))
            start = stop

    def _width(
        self, part: HandwrittenPeriodicEmbedding | HandwrittenCategoryEmbedding
    ) -> int:
        """Return the number of outputs of a part."""
        if isinstance(part, HandwrittenPeriodicEmbedding):
            return part.bias.shape[-2:].numel()
        return len(self.module.categorical) * part.vectors.shape[-1]

    def _select(self, x: Tensor, columns: tuple[int, ...]) -> Tensor:
        """Return some columns of values ``(..., columns, batch)``, contiguous."""
        if columns not in self._columns:
            self._columns[columns] = torch.tensor(
                columns, dtype=torch.long, device=x.device
            )
        if columns == tuple(range(x.shape[-2])):
            # A copy, because `backward` overwrites it.
            return x.clone(memory_format=torch.contiguous_format)
        return x.index_select(-2, self._columns[columns])
