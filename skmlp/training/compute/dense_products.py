"""Matrix products of dense layers, by oneDNN where it is faster than BLAS.

torch's BLAS library is MKL, which uses AVX-512 on Intel's processors only. On AMD's
processors oneDNN needs half of the time of MKL. On Intel's, MKL is faster for batches
of up to 256 samples, because it needs no other layout of the weights. oneDNN is faster
for larger batches.

- Each call of oneDNN first reorders the weights: it copies them into the layout of its
  kernels. Small products are therefore computed by BLAS.
- oneDNN can split a product among threads. We use several threads only if a trial shows
  that the result is exactly equal.
- We do not let BLAS use several threads for one product, because that changes the
  rounding of some results. `SplitProducts` divides a product into parts instead.

`linear` is differentiable by autograd. `linear_without_grad` and `DenseProducts` are
not.
"""

import sys
from collections.abc import Callable, Hashable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from skmlp.training.compute.processor import mkl_is_fast
from skmlp.training.compute.split_products import SplitProducts
from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER, ThreadTuner
from skmlp.training.compute.threads import using_threads

# The operator that torch's own compiler calls for a linear layer. Its arguments after
# the bias could fuse an activation.
_onednn = (
    torch.ops.mkldnn._linear_pointwise.default
    if torch.backends.mkldnn.is_available()
    and torch.backends.cpu.get_cpu_capability() == "AVX512"
    else None
)

# Minimum number of multiplications for which oneDNN is faster than BLAS.
_MIN_ONEDNN_MULTIPLICATIONS = 2**20

# Batch sizes and multiplications for which `SplitProducts` is the fastest, without and
# with a fast MKL. Above these ranges, oneDNN is faster. Below, BLAS on one thread is
# faster.
_SPLIT_RANGES = {
    False: (range(32, 65), range(2**20, 2**22)),
    True: (range(32, 257), range(2**20, sys.maxsize)),
}

# Maps (batch size, available threads) to the number of oneDNN threads. 0 means BLAS.
ThreadChoices = dict[tuple[int, int], int]


def _is_faster_by_onednn(x: Tensor, weight: Tensor) -> bool:
    """Return whether oneDNN is faster than BLAS for ``x @ weight.T``."""
    return (
        _onednn is not None
        and type(x) is Tensor  # not a FakeTensor of a tracer
        and x.shape[0] * weight.numel() >= _MIN_ONEDNN_MULTIPLICATIONS
        and x.dim() == 2
        and weight.dim() == 2
        and x.dtype is weight.dtype is torch.float32
        and x.is_cpu
        and torch._C._get_mkldnn_enabled()
    )


def linear_without_grad(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    allow_column_major: bool = False,
    n_threads: int = 1,
    choices: ThreadChoices | None = None,
) -> Tensor:
    """Return ``x @ weight.T + bias``, not differentiable.

    Parameters
    ----------
    x : Tensor of shape (batch, in)
    weight : Tensor of shape (out, in)
    bias : Tensor of shape (out,), optional
    allow_column_major : bool
        Whether the output may be column-major, that is ``(out, batch)`` in memory, if
        ``batch > out`` on a CPU. Reductions over the batch are then faster.
    n_threads : int
        Number of threads that the product may use.
    choices : dict, optional
        Cache of the thread choices for one product. Two calls with the same cache and
        batch size must have operands of the same memory layout.

    Returns
    -------
    output : Tensor of shape (batch, out)
    """
    if n := _onednn_threads(x, weight, bias, x.shape[0], n_threads, choices):
        with using_threads(n):
            return _onednn_linear(x, weight, bias)
    # The kernels of a GPU add biases to row-major outputs only.
    is_narrow = weight.shape[0] < x.shape[0]
    if allow_column_major and bias is not None and is_narrow and x.is_cpu:
        return torch.addmm(bias.unsqueeze(1), weight, x.mT).mT
    return F.linear(x, weight, bias)


def linear_for_inference(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``x @ weight.T + bias``, column-major on a CPU if the batch is large.

    It is not differentiable. The weights of a prediction are used once. MKL is then the
    faster one on Intel's processors, because oneDNN reorders the weights first.
    """
    if not mkl_is_fast():
        return linear_without_grad(x, weight, bias, allow_column_major=True)
    if weight.shape[0] < x.shape[0] and x.is_cpu:
        return torch.addmm(bias.unsqueeze(1), weight, x.mT).mT
    return F.linear(x, weight, bias)


def matmul_into(
    out: Tensor,
    a: Tensor,
    b: Tensor,
    addend: Tensor | None = None,
    scale: float = 0.0,
    n_threads: int = 1,
    choices: ThreadChoices | None = None,
) -> None:
    """Write ``a @ b``, or ``a @ b + scale * addend``, into `out`.

    `n_threads` and `choices` have the meaning that they have in `linear_without_grad`.
    """
    if n := _onednn_threads(a, b.mT, None, b.shape[0], n_threads, choices):
        with using_threads(n):
            product = _onednn_linear(a, b.mT, None)
            if addend is None:
                out.copy_(product)
            else:
                torch.add(product, addend, alpha=scale, out=out)
    elif addend is None:
        torch.mm(a, b, out=out)
    else:
        torch.addmm(addend, a, b, beta=scale, out=out)


class DenseProducts:
    """The three matrix products of a dense layer in training.

    Parameters
    ----------
    weight : Tensor of shape (out, in)
        Training changes it in place.
    bias : Tensor of shape (out,)
    weight_gradient : Tensor of shape (out, in) or None
        Receives the gradient of the weights. None if they are frozen.
    alpha : float
        Strength of the L2 penalty, whose derivative is part of that gradient.
    tuner : ThreadTuner
        Chooses the number of threads.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        weight_gradient: Tensor | None,
        alpha: float = 0.0,
        tuner: ThreadTuner = SINGLE_THREAD_TUNER,
    ) -> None:
        self.weight = weight
        self.bias = bias
        self.weight_gradient = weight_gradient
        self.alpha = alpha
        self._tuner = tuner
        self._split_products: dict[int, SplitProducts | None] = {}  # by batch size
        self._forward_choices: ThreadChoices = {}
        self._weight_gradient_choices: ThreadChoices = {}
        self._input_gradient_choices: ThreadChoices = {}

    def _split_for(self, x: Tensor) -> SplitProducts | None:
        """Return the split products for the batch size of `x`, if they are best."""
        batch_size = x.shape[0]
        if batch_size not in self._split_products:
            split = None
            if _is_faster_split(x, self.weight):
                split = SplitProducts(
                    self.weight,
                    self.bias,
                    self.weight_gradient,
                    batch_size,
                    self._tuner,
                )
            self._split_products[batch_size] = split
        return self._split_products[batch_size]

    def forward(
        self, x: Tensor, allow_column_major: bool = False, reuses: bool = False
    ) -> Tensor:
        """Return ``x @ weight.T + bias``, as `linear_without_grad` does.

        `reuses` is a part of the interface, not used.
        """
        if (split := self._split_for(x)) is not None:
            return split.forward(x)
        return linear_without_grad(
            x,
            self.weight,
            self.bias,
            allow_column_major=allow_column_major,
            n_threads=self._tuner.n_threads,
            choices=self._forward_choices,
        )

    def forward_relu(self, x: Tensor) -> Tensor:
        """Return the ReLU of the output on a GPU, by one kernel."""
        return torch._addmm_activation(self.bias, x, self.weight.mT)

    def write_weight_gradient(
        self, grad: Tensor, x: Tensor, total_weight: float
    ) -> None:
        """Write the gradient of the weights, penalty included.

        Parameters
        ----------
        grad : Tensor of shape (batch, out)
            Gradient of the layer's output.
        x : Tensor of shape (batch, in)
            Input of the layer.
        total_weight : float
            Sum of the batch's sample weights, which divides the penalty.
        """
        if (split := self._split_for(x)) is not None:
            split.write_weight_gradient(grad, x, self.alpha / total_weight)
        elif self.weight_gradient is not None:
            matmul_into(
                self.weight_gradient,
                grad.mT,
                x,
                self.weight if self.alpha else None,
                self.alpha / total_weight,
                self._tuner.n_threads,
                self._weight_gradient_choices,
            )

    def input_gradient(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return the gradient of the input `x`; `grad` is that of the output.

        The result has the strides of `x` if possible, so that the backward function of
        the activation needs no copy.
        """
        if is_column_major(x) and (split := self._split_for(x)) is not None:
            return split.input_gradient(grad)
        if is_column_major(x) and not _is_faster_by_onednn(grad, self.weight.mT):
            return torch.mm(self.weight.mT, grad.mT).mT
        return linear_without_grad(
            grad,
            self.weight.mT,
            n_threads=self._tuner.n_threads,
            choices=self._input_gradient_choices,
        )


def is_column_major(x: Tensor) -> bool:
    """Return whether a batch is stored as ``(features, batch)``."""
    return x.stride(0) == 1 and x.shape[0] > 1


def can_thread_large_products(like: Tensor) -> bool:
    """Return whether large products of tensors like `like` may use several threads.

    `like` has their dtype and device.
    """
    return _onednn is not None and like.is_cpu and like.dtype is torch.float32


def _is_faster_split(x: Tensor, weight: Tensor) -> bool:
    """Return whether `SplitProducts` is the fastest for products of a layer by `x`."""
    sizes, multiplications = _SPLIT_RANGES[mkl_is_fast()]
    return (
        x.shape[0] in sizes
        and x.shape[0] * weight.numel() in multiplications
        and x.dtype is weight.dtype is torch.float32
        and x.is_cpu
    )


def _onednn_threads(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    batch_size: int,
    n_threads: int,
    choices: ThreadChoices | None,
) -> int:
    """Return on how many threads oneDNN computes a product, or 0 for BLAS."""
    if choices is not None and (batch_size, n_threads) in choices:
        return choices[batch_size, n_threads]
    chosen = n_threads if _is_faster_by_onednn(x, weight) else 0
    if chosen > 1 and not has_same_bits_on_threads(
        chosen, _onednn_linear, x, weight, bias
    ):
        return 1  # not in `choices`; `_same_bits` has the result of a trial that ran
    if choices is not None:
        choices[batch_size, n_threads] = chosen
    return chosen


def _onednn_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Call oneDNN without an activation; its ReLU would turn NaN into zero."""
    return _onednn(x, weight, bias, "none", [], "")  # type: ignore[misc]


# Results of the trials below, by product, number of threads, shapes and memory layouts.
# The keys determine how oneDNN splits the sums of a product.
_same_bits: dict[Hashable, bool] = {}
_MAX_STORED_TRIALS = 1000

# A trial draws operands until it has compared this number of results, but at most
# `_MAX_DRAWS` times.
_COMPARED_RESULTS = 2**18
_MAX_DRAWS = 10


def has_same_bits_on_threads(
    n_threads: int, product: Callable[..., Tensor], *operands: Tensor | None
) -> bool:
    """Try with random operands whether a product is equal on several threads.

    The drawn operands have the shapes, strides and dtypes of `operands`. The trial
    needs the threads. If other fits run, the result is False and not stored.
    """
    layouts = (None if t is None else (t.shape, t.stride(), t.dtype) for t in operands)
    key = (product, n_threads, *layouts)
    if key not in _same_bits:
        with using_threads(n_threads) as granted:
            if not granted:  # other fits run at the moment
                return False
        generator = torch.Generator().manual_seed(0)
        same, n_compared = True, 0
        for _ in range(_MAX_DRAWS):
            drawn = [
                None if t is None else torch.empty_like(t).normal_(generator=generator)
                for t in operands
            ]
            on_one_thread = product(*drawn)
            # Another fit may have begun since the first check.
            with using_threads(n_threads) as granted:
                on_threads = product(*drawn)
            if not granted:
                return False
            same = torch.equal(on_one_thread, on_threads)
            n_compared += on_threads.numel()
            if not same or n_compared >= _COMPARED_RESULTS:
                break
        if len(_same_bits) == _MAX_STORED_TRIALS:
            _same_bits.clear()
        _same_bits[key] = same
    return _same_bits[key]


def linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, n_threads: int = 1
) -> Tensor:
    """Return what `torch.nn.functional.linear` returns, with its derivatives."""
    if _is_faster_by_onednn(x, weight) and not torch.is_autocast_enabled("cpu"):
        return _LinearFunction.apply(x, weight, bias, n_threads)
    return F.linear(x, weight, bias)


class _LinearFunction(torch.autograd.Function):
    """`linear_without_grad` for autograd."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, n_threads: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.n_threads = n_threads
        return linear_without_grad(x, weight, bias, n_threads=n_threads)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        x_needs_grad, weight_needs_grad, bias_needs_grad, _ = ctx.needs_input_grad
        n = ctx.n_threads
        return (
            linear_without_grad(grad, weight.mT, n_threads=n) if x_needs_grad else None,
            linear_without_grad(grad.mT, x.mT, n_threads=n)
            if weight_needs_grad
            else None,
            grad.sum(0) if bias_needs_grad else None,
            None,
        )
