"""Matrix products of dense layers in bfloat16, for mixed precision on a CPU.

Weights, biases, gradients and activations are float32. The operands of a product are
cast to bfloat16, and its result is cast back. Processors with instructions for bfloat16
compute a large product in a fraction of the time of a float32 product. Small products
take longer, because of the casts, and are computed in float32.
"""

from typing import Any

import torch
from torch import Tensor

from skmlp.training.compute.dense_products import (
    DenseProducts,
    has_same_bits_on_threads,
    is_column_major,
)
from skmlp.training.compute.threads import using_threads

# Minimum number of multiplications for which a product is faster in bfloat16.
_MIN_MULTIPLICATIONS = 2**22


class MixedProducts(DenseProducts):
    """The three matrix products of a dense layer in training, in bfloat16.

    The parameters are those of `DenseProducts`. The input of a layer may be float32 or
    bfloat16.
    """

    def __init__(self, *args: Any, **params: Any) -> None:
        super().__init__(*args, **params)
        self._low_weight = torch.empty_like(self.weight, dtype=torch.bfloat16)
        self._low_x: Tensor | None = None  # input of the last forward pass

    def forward(
        self, x: Tensor, allow_column_major: bool = False, reuses: bool = False
    ) -> Tensor:
        """Return ``x @ weight.T + bias``, column-major if computed in bfloat16."""
        if not self.uses_bfloat16(x.shape[0]):
            x = x.to(self.weight.dtype)
            if is_column_major(x):
                return torch.addmm(self.bias.unsqueeze(1), self.weight, x.mT).mT
            return super().forward(x, allow_column_major)
        self._low_x = x.to(torch.bfloat16)
        with using_threads(self._tuner.n_threads):
            self._low_weight.copy_(self.weight)
        z = self._multiply(self._low_weight, self._low_x.mT)  # (out, batch)
        return z.add_(self.bias.unsqueeze(1)).mT

    def write_weight_gradient(
        self, grad: Tensor, x: Tensor, total_weight: float
    ) -> None:
        """Write the gradient of the weights, as `DenseProducts` does."""
        if not self.uses_bfloat16(x.shape[0]):
            super().write_weight_gradient(grad, x.to(self.weight.dtype), total_weight)
        elif self.weight_gradient is not None:
            assert self._low_x is not None  # from the forward pass
            low_grad = grad.mT.to(torch.bfloat16)  # (out, batch)
            self._multiply(low_grad, self._low_x, self.weight_gradient)
            if self.alpha:
                with using_threads(self._tuner.n_threads):
                    self.weight_gradient.add_(
                        self.weight, alpha=self.alpha / total_weight
                    )

    def input_gradient(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return the gradient of the input `x`, with the strides of `x`."""
        if not self.uses_bfloat16(x.shape[0]):
            if is_column_major(x):
                return torch.mm(self.weight.mT, grad.mT).mT
            return super().input_gradient(grad, x)
        low_grad = grad.to(torch.bfloat16)
        if is_column_major(x):
            return self._multiply(self._low_weight.mT, low_grad.mT).mT
        return self._multiply(low_grad, self._low_weight)

    def uses_bfloat16(self, batch_size: int) -> bool:
        """Return whether the products of a batch are computed in bfloat16."""
        return batch_size * self.weight.numel() >= _MIN_MULTIPLICATIONS

    def _multiply(self, a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
        """Return ``a @ b`` in float32, written to `out` if that is given."""
        n_threads = self._tuner.n_threads
        if n_threads > 1 and not has_same_bits_on_threads(n_threads, torch.mm, a, b):
            n_threads = 1
        with using_threads(n_threads):
            product = torch.mm(a, b)
            return product.float() if out is None else out.copy_(product)
