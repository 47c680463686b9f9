"""Matrix products of dense layers: by oneDNN where it is faster than BLAS.

torch's BLAS, MKL, keeps AVX-512 for Intel's processors; on AMD's, oneDNN takes half its
time, and where they are equals nothing is lost. A call costs some microseconds more, so
small products stay with BLAS.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from skmlp.training.team import team_size
from skmlp.training.threads import on_threads

# What torch's own compiler calls. Its arguments after the bias fuse an activation.
_onednn = (
    torch.ops.mkldnn._linear_pointwise.default
    if torch.backends.mkldnn.is_available()
    and torch.backends.cpu.get_cpu_capability() == "AVX512"
    else None
)

# Multiplications from which the call, which packs the weights anew, is worth it.
_WORTH_ONEDNN = 2**20


def _worth_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN computes ``x @ weight.T`` sooner."""
    return (
        _onednn is not None
        and type(x) is Tensor  # not one of those that trace
        and x.dim() == 2 == weight.dim()
        and x.shape[0] * weight.numel() >= _WORTH_ONEDNN
        and x.dtype is weight.dtype is torch.float32
        and x.is_cpu
        and torch._C._get_mkldnn_enabled()
    )


def _by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``x @ weight.T + bias``, on a team of threads if that changes no bit."""
    n = team_size()
    if n > 1 and not _same_bits(
        n,
        *x.shape,
        weight.shape[0],
        x.is_contiguous(),
        weight.is_contiguous(),
        bias is not None,
    ):
        n = 1
    with on_threads(n):
        return _onednn(x, weight, bias, "none", [], "")  # type: ignore[misc]


@cache
def _same_bits(
    n_threads: int,
    rows: int,
    n_features: int,
    units: int,
    x_contiguous: bool,
    weight_contiguous: bool,
    has_bias: bool,
) -> bool:
    """Whether oneDNN, which may cut sums in as many parts, adds up alike."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.empty(shape).normal_(generator=generator)

    x = normal(rows, n_features) if x_contiguous else normal(n_features, rows).mT
    weight = (
        normal(units, n_features) if weight_contiguous else normal(n_features, units).mT
    )
    bias = normal(units) if has_bias else None
    products = []
    for n in (1, n_threads):
        with on_threads(n):
            products.append(_onednn(x, weight, bias, "none", [], ""))
    return torch.equal(*products)


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x @ weight.T + bias``, without a derivative.

    Parameters
    ----------
    x : Tensor of shape (batch, in) or (sets, batch, in)
        Each of fewer sets than models serves as many models next to each other.
    weight : Tensor of shape (out, in) or (models, out, in)
    bias : Tensor of shape (out,) or (models, out), optional

    Returns
    -------
    output : Tensor of shape (batch, out) or (models, batch, out)
    """
    if _worth_onednn(x, weight):
        return _by_onednn(x, weight, bias)
    if x.dim() == 2:
        if bias is None:
            return torch.matmul(x, weight.mT)
        return torch.addmm(bias, x, weight.mT)
    models, units, n_features = weight.shape
    sets, batch, _ = x.shape
    # BLAS is faster where the longer dimension of a small product lies innermost.
    if units < batch:
        wide = weight.reshape(sets, -1, n_features)
        bias = None if bias is None else bias.reshape(sets, -1, 1)
        return _bmm(wide, x.mT, bias).view(models, units, batch).mT
    if sets == models:
        return _bmm(x, weight.mT, None if bias is None else bias.unsqueeze(1))
    wide = weight.reshape(sets, -1, n_features)
    bias = None if bias is None else bias.reshape(sets, 1, -1)
    output = _bmm(x, wide.mT, bias).view(sets, batch, -1, units)
    return output.transpose(1, 2).reshape(models, batch, units)


def _bmm(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    """Return the products of two stacks of matrices, plus the bias."""
    return torch.bmm(a, b) if bias is None else torch.baddbmm(bias, a, b)


def matmul_into(out: Tensor, a: Tensor, b: Tensor) -> None:
    """Write ``a @ b``, of one model or of many, into `out`.

    As in `affine`, each of fewer `b` than `a` serves as many of them.
    """
    if _worth_onednn(a, b.mT):
        out.copy_(affine(a, b.mT))
    elif a.dim() == 2:
        torch.mm(a, b, out=out)
    else:
        wide = a.reshape(len(b), -1, a.shape[-1])
        torch.bmm(wide, b, out=out.view(len(b), -1, out.shape[-1]))


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
