"""Matrix products of dense layers: by oneDNN where it is faster than BLAS.

torch's BLAS, MKL, keeps AVX-512 for Intel's processors; on AMD's, oneDNN takes half its
time, and where they are equals nothing is lost. A call packs the weights anew, so small
products stay with BLAS, and in training middling ones too. oneDNN's products are shared
out among the team's threads where a trial shows that it changes no bit. BLAS's are not,
since its cuts show in a few elements of a few products only, unless they are cut here
(`SplitProducts`).
"""

from collections.abc import Hashable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from skmlp.training.compute.split_products import SplitProducts
from skmlp.training.compute.thread_tuning import tuned_thread_count
from skmlp.training.compute.threads import using_threads

# What torch's own compiler calls. Its arguments after the bias fuse an activation.
_onednn = (
    torch.ops.mkldnn._linear_pointwise.default
    if torch.backends.mkldnn.is_available()
    and torch.backends.cpu.get_cpu_capability() == "AVX512"
    else None
)

# Multiplications from which oneDNN is faster than BLAS.
_WORTH_ONEDNN = 2**20

# Multiplications, and rows, between which BLAS is faster in parts: of more rows packed
# weights are worth it, of less BLAS computes them slowly.
_MIDDLING = range(2**20, 2**22)
_ROWS_OF_MIDDLING = range(32, 65)

# By the number of rows and of the team's threads, those that a product takes.
Known = dict[tuple[int, int], int]


def _worth_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN computes ``x @ weight.T`` sooner."""
    return (
        _onednn is not None
        and type(x) is Tensor  # not one of those that trace
        and x.shape[0] * weight.numel() >= _WORTH_ONEDNN
        and x.dim() == 2 == weight.dim()
        and x.dtype is weight.dtype is torch.float32
        and x.is_cpu
        and torch._C._get_mkldnn_enabled()
    )


def affine(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    along_batch: bool = False,
    known: Known | None = None,
) -> Tensor:
    """Return ``x @ weight.T + bias``, without a derivative.

    Parameters
    ----------
    x : Tensor of shape (batch, in)
    weight : Tensor of shape (out, in)
    bias : Tensor of shape (out,), optional
    along_batch : bool
        Whether the values of a unit, not those of a row, may lie together where they
        are more: what runs along the batch is then faster.
    known : dict, optional
        Remembers for the caller how this product is best computed; all its operands of
        equally many rows are to have one layout.

    Returns
    -------
    output : Tensor of shape (batch, out)
    """
    if n_threads := _threads_of(x, weight, bias, x.shape[0], known):
        with using_threads(n_threads):
            return _call(x, weight, bias)
    if along_batch and bias is not None and weight.shape[0] < x.shape[0]:
        return torch.addmm(bias.unsqueeze(1), weight, x.mT).mT
    return F.linear(x, weight, bias)


def matmul_into(
    out: Tensor,
    a: Tensor,
    b: Tensor,
    plus: Tensor | None = None,
    times: float = 0.0,
    known: Known | None = None,
) -> None:
    """Write ``a @ b``, or ``a @ b + times * plus``, into `out`.

    As in `affine`, `known` remembers.
    """
    if n_threads := _threads_of(a, b.mT, None, b.shape[0], known):
        with using_threads(n_threads):
            product = _call(a, b.mT, None)
            if plus is None:
                out.copy_(product)
            else:
                torch.add(product, plus, alpha=times, out=out)
    elif plus is None:
        torch.mm(a, b, out=out)
    else:
        torch.addmm(plus, a, b, beta=times, out=out)


class DenseProducts:
    """Products of a dense layer, each computed as it was found best before.

    Parameters
    ----------
    weight : Tensor of shape (out, in)
        Training writes into it.
    bias : Tensor of shape (out,)
    gradient : Tensor of shape (out, in) or None
        Where the weights' gradient is to be written, if it is wanted.
    alpha : float
        Strength of the L2 penalty, whose derivative that gradient has.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        gradient: Tensor | None,
        alpha: float = 0.0,
    ) -> None:
        self.weight = weight
        self.bias = bias
        self.gradient = gradient
        self.alpha = alpha
        self._shared: dict[int, SplitProducts | None] = {}  # by numbers of rows
        self._forward: Known = {}
        self._differentiate: Known = {}
        self._backward: Known = {}

    def _for(self, x: Tensor) -> SplitProducts | None:
        """Return what multiplies by so many rows in parts, if that is best."""
        n_rows = x.shape[0]
        if n_rows not in self._shared:
            shared = None
            if _is_middling(x, self.weight):
                shared = SplitProducts(self.weight, self.bias, self.gradient, n_rows)
            self._shared[n_rows] = shared
        return self._shared[n_rows]

    def forward(self, x: Tensor, along_batch: bool = False) -> Tensor:
        """Return ``x @ weight.T + bias``, as `affine` does."""
        if (shared := self._for(x)) is not None:
            return shared.forward(x)
        return affine(
            x, self.weight, self.bias, along_batch=along_batch, known=self._forward
        )

    def differentiate(self, delta: Tensor, x: Tensor, total: float) -> None:
        """Write the weights' gradient, from the derivative by the output.

        `total` is the weight of the batch's rows, by which the penalty is divided.
        """
        if (shared := self._for(x)) is not None:
            shared.differentiate(delta, x, self.alpha / total)
        elif self.gradient is not None:
            matmul_into(
                self.gradient,
                delta.mT,
                x,
                self.weight if self.alpha else None,
                self.alpha / total,
                self._differentiate,
            )

    def backward(self, delta: Tensor, x: Tensor) -> Tensor:
        """Return the derivative by the input `x`, from that by the output.

        It is laid out as `x` where that costs nothing, so that nobody has to turn it.
        """
        if (shared := self._for(x)) is not None:
            return shared.backward(delta)
        by_unit = x.stride(0) == 1 < x.shape[0]
        if by_unit and not _worth_onednn(delta, self.weight.mT):
            return torch.mm(self.weight.mT, delta.mT).mT
        return affine(delta, self.weight.mT, known=self._backward)


def can_thread_large_products(like: Tensor) -> bool:
    """Whether a team can share products of any size, of such numbers."""
    return _onednn is not None and like.is_cpu and like.dtype is torch.float32


def _is_middling(x: Tensor, weight: Tensor) -> bool:
    """Whether products of a layer by `x` are worth threads, but not packed weights."""
    return (
        x.shape[0] in _ROWS_OF_MIDDLING
        and x.shape[0] * weight.numel() in _MIDDLING
        and x.dtype is weight.dtype is torch.float32
        and x.is_cpu
    )


def _threads_of(
    x: Tensor, weight: Tensor, bias: Tensor | None, n_rows: int, known: Known | None
) -> int:
    """Return on how many threads oneDNN is to compute a product; 0 is for BLAS."""
    tuner = tuned_thread_count()
    if known is not None and (n_rows, tuner) in known:
        return known[n_rows, tuner]
    n_threads = tuner if _worth_onednn(x, weight) else 0
    if n_threads > 1 and not _may_be_shared(n_threads, x, weight, bias):
        return 1  # maybe only for now
    if known is not None:
        known[n_rows, tuner] = n_threads
    return n_threads


def _call(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    # It could apply ReLU too, but makes zeros of NaN.
    return _onednn(x, weight, bias, "none", [], "")  # type: ignore[misc]


# Whether a product has the same bits on so many threads as on one, by what decides how
# its sums are cut; and how many there may be, and on how many draws each is tried.
_same_bits: dict[Hashable, bool] = {}
_MOST_KEPT = 1000
_DRAWS = 10


def _may_be_shared(
    n_threads: int, x: Tensor, weight: Tensor, bias: Tensor | None
) -> bool:
    """Whether threads change no bit of a product of oneDNN's: tried, not assumed."""
    layout = (x.shape, x.stride(), weight.shape, weight.stride())
    cut = (n_threads, bias is None, layout)
    if cut not in _same_bits:
        generator = torch.Generator().manual_seed(0)
        same = True
        for _ in range(_DRAWS):
            drawn = [
                None if t is None else torch.empty_like(t).normal_(generator=generator)
                for t in (x, weight, bias)
            ]
            alone = _call(*drawn)  # type: ignore[arg-type]
            with using_threads(n_threads) as shared:
                together = _call(*drawn)  # type: ignore[arg-type]
            if not shared:  # for now: other fits go on beside
                return False
            same = same and torch.equal(alone, together)
        if len(_same_bits) == _MOST_KEPT:
            _same_bits.clear()
        _same_bits[cut] = same
    return _same_bits[cut]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return what `torch.nn.functional.linear` does, with its derivatives."""
    if _worth_onednn(x, weight) and not torch.is_autocast_enabled("cpu"):
        return _Affine.apply(x, weight, bias)
    return F.linear(x, weight, bias)


class _Affine(torch.autograd.Function):
    """`affine` for autograd."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return affine(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, delta: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        by_x, by_weight, by_bias = ctx.needs_input_grad
        return (
            affine(delta, weight.mT) if by_x else None,
            affine(delta.mT, x.mT) if by_weight else None,
            delta.sum(0) if by_bias else None,
        )
