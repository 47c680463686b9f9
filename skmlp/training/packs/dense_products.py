"""Matrix products of a dense layer of all pack members, by one call of BLAS.

- Views of the layer's tensors are created once, because creating a view takes longer
  than a small product.
- Members with the same batches form a group. There is one product for each group, or
  for each member. The products are divided among threads. A product is never split, so
  the bits do not depend on the number of threads.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from skmlp.training.compute.memory import ReusedMemory
from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER, ThreadTuner
from skmlp.training.compute.threads import using_threads

# From this batch size on, the output is stored as (members, units, batch). `forward`
# decides how the output of smaller batches is stored.
_MIN_BATCH_FOR_TRANSPOSED_OUTPUT = 16


class _GroupViews(NamedTuple):
    """Views of the layer's tensors that join the units of all members of a group."""

    weight: Tensor  # (groups, members per group * out, in)
    bias: Tensor  # (groups, members per group * out, 1)
    weight_gradient: Tensor | None  # as weight


class PackDenseProducts:
    """The three matrix products of a dense layer of all pack members in training.

    It has the interface `skmlp.training.steps.handwritten_step.LayerProducts`. The
    class for one network is `skmlp.training.compute.dense_products.DenseProducts`.

    Parameters
    ----------
    weight : Tensor of shape (members, out, in)
        Contiguous. Training changes it in place.
    bias : Tensor of shape (members, out)
    weight_gradient : Tensor of shape (members, out, in) or None
        Receives the gradient of the weights. None leaves it out.
    tuner : ThreadTuner
        Chooses the number of threads.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        weight_gradient: Tensor | None,
        tuner: ThreadTuner = SINGLE_THREAD_TUNER,
    ) -> None:
        self.weight = weight
        self.bias = bias
        self.weight_gradient = weight_gradient
        self._tuner = tuner
        self._transposed_weight = weight.mT  # (members, in, out)
        self._output, self._input_gradient = ReusedMemory(), ReusedMemory()
        self._views: dict[int, _GroupViews] = {}  # from number of groups to views

    def _views_for(self, groups: int) -> _GroupViews:
        """Return the views for a number of groups."""
        if groups not in self._views:
            n_inputs = self.weight.shape[-1]
            gradient = self.weight_gradient
            self._views[groups] = _GroupViews(
                self.weight.view(groups, -1, n_inputs),
                self.bias.view(groups, -1, 1),
                None if gradient is None else gradient.view(groups, -1, n_inputs),
            )
        return self._views[groups]

    @staticmethod
    def _multiply(a: Tensor, b: Tensor, memory: ReusedMemory | None) -> Tensor:
        """Return the products of two batches of matrices."""
        if memory is None:
            return torch.bmm(a, b)
        out = memory.empty((len(a), a.shape[1], b.shape[2]), a)
        return torch.bmm(a, b, out=out)

    def forward(
        self, x: Tensor, allow_column_major: bool = False, reuses: bool = False
    ) -> Tensor:
        """Return ``x @ weight.T + bias`` of shape (members, batch, out).

        Parameters
        ----------
        x : Tensor of shape (groups, batch, in)
            Each group is the input of ``members / groups`` neighboring members.
        allow_column_major : bool
            Part of the interface, not used. The batch size decides how the output is
            stored.
        reuses : bool
            Whether the result may have the memory of the previous one.
        """
        members, units, _ = self.weight.shape
        groups, batch, _ = x.shape
        is_small_batch = batch < _MIN_BATCH_FOR_TRANSPOSED_OUTPUT and batch <= units
        if is_small_batch and groups == members:
            with self._threads_for(groups):
                return torch.baddbmm(self.bias.unsqueeze(1), x, self._transposed_weight)
        views = self._views_for(groups)
        with self._threads_for(groups):
            # `baddbmm` would first copy the biases to all samples.
            z = self._multiply(views.weight, x.mT, self._output if reuses else None)
            z.add_(views.bias)
        return (z if groups == members else z.view(members, units, batch)).mT

    def write_weight_gradient(
        self, grad: Tensor, x: Tensor, total_weight: float = 1.0
    ) -> None:
        """Write the gradient of the weights, without a penalty.

        Parameters
        ----------
        grad : Tensor of shape (members, batch, out)
            Gradient of the layer's output.
        x : Tensor of shape (groups, batch, in)
            Input of the layer.
        total_weight : float
            Part of the interface, not used. `PackParameters` adds the penalty.
        """
        groups, batch, _ = x.shape
        gradient = self._views_for(groups).weight_gradient
        if gradient is not None:
            transposed = grad.mT  # (members, out, batch)
            if groups != len(self.weight):
                transposed = transposed.reshape(groups, -1, batch)
            with self._threads_for(groups):
                torch.bmm(transposed, x, out=gradient)

    def input_gradient(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return the gradient of the input `x`, given the gradient of the output."""
        members, batch, _ = grad.shape
        with self._threads_for(members):
            n_inputs = self.weight.shape[-1]
            if batch < _MIN_BATCH_FOR_TRANSPOSED_OUTPUT and batch <= n_inputs:
                return torch.bmm(grad, self.weight)
            memory = self._input_gradient
            return self._multiply(self._transposed_weight, grad.mT, memory).mT

    def _threads_for(self, n_products: int) -> using_threads:
        """Return a context in which threads share the products of one call.

        It uses one thread if there are fewer products than threads.
        """
        n_threads = self._tuner.n_threads
        return using_threads(n_threads if n_products >= n_threads else 1)


class ScaledDenseProducts(PackDenseProducts):
    """Products of a layer whose inputs have trainable scales.

    The weights are multiplied by the scales, instead of the inputs. So the gradient of
    the scales needs no gradient of the inputs: it is the sum over the units of weights
    times their unscaled gradient.

    Parameters
    ----------
    weight, bias, weight_gradient, tuner : object
        As in `PackDenseProducts`; there is a gradient.
    scale, scale_gradient : Tensor of shape (members, in)
        Training changes the scales in place.
    n_constant : int
        Number of the first inputs whose gradient nobody needs. `input_gradient` leaves
        them out.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        weight_gradient: Tensor,
        *,
        scale: Tensor,
        scale_gradient: Tensor,
        n_constant: int,
        tuner: ThreadTuner = SINGLE_THREAD_TUNER,
    ) -> None:
        super().__init__(torch.empty_like(weight), bias, weight_gradient, tuner)
        self._unscaled = weight
        self._unscaled_gradient = weight_gradient
        self._scale = scale.unsqueeze(-2)
        self._scale_gradient = scale_gradient
        self._product = torch.empty_like(weight)
        self._transposed_of_trained = self._transposed_weight[:, n_constant:]

    def forward(
        self, x: Tensor, allow_column_major: bool = False, reuses: bool = False
    ) -> Tensor:
        """Return ``(x * scale) @ weight.T + bias`` of shape (members, batch, out)."""
        torch.mul(self._unscaled, self._scale, out=self.weight)
        return super().forward(x, allow_column_major, reuses)

    def write_weight_gradient(
        self, grad: Tensor, x: Tensor, total_weight: float = 1.0
    ) -> None:
        """Write the gradients of the weights and of the scales."""
        super().write_weight_gradient(grad, x, total_weight)
        gradient = self._unscaled_gradient
        torch.mul(self._unscaled, gradient, out=self._product)
        torch.sum(self._product, -2, out=self._scale_gradient)
        gradient.mul_(self._scale)

    def input_gradient(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return the gradient of the scaled inputs without the first `n_constant`."""
        with self._threads_for(len(grad)):
            memory = self._input_gradient
            return self._multiply(self._transposed_of_trained, grad.mT, memory).mT
