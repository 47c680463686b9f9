"""Matrix products of dense layers: by oneDNN where it is faster than BLAS.

torch's BLAS, MKL, keeps AVX-512 for Intel's processors; on AMD's, oneDNN takes half its
time, and where they are equals nothing is lost. A call costs some microseconds more, so
small products stay with BLAS. oneDNN's products are shared out among the team's threads
where a trial shows that it changes no bit; BLAS's are not, since its cuts show in a few
elements of a few products only.
"""

from collections.abc import Hashable
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

# By the number of rows and of the team's threads, those that a product takes.
Known = dict[tuple[int, int], int]

# Rows of models side by side below which a unit's are too few to lie together.
_SHORT_BATCH = 16


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
    x : Tensor of shape (batch, in) or (sets, batch, in)
        Each of fewer sets than models serves as many models next to each other.
    weight : Tensor of shape (out, in) or (models, out, in)
    bias : Tensor of shape (out,) or (models, out), optional
    along_batch : bool
        Whether the values of a unit, not those of a row, may lie together where they
        are more: what runs along the batch is then faster. Of one model; of many the
        length of the batch decides.
    known : dict, optional
        Remembers for the caller how this product of one model is best computed; all its
        operands of equally many rows are to have one layout.

    Returns
    -------
    output : Tensor of shape (batch, out) or (models, batch, out)
    """
    if n_threads := _threads_of(x, weight, bias, x.shape[0], known):
        with on_threads(n_threads):
            return _call(x, weight, bias)
    if x.dim() == 2:
        if along_batch and bias is not None and weight.shape[0] < x.shape[0]:
            return torch.addmm(bias.unsqueeze(1), weight, x.mT).mT
        return F.linear(x, weight, bias)
    models, units, n_features = weight.shape
    sets, batch, _ = x.shape
    if batch < _SHORT_BATCH and batch <= units and sets == models:
        return _bmm(x, weight.mT, None if bias is None else bias.unsqueeze(1))
    # Units of all models of a set are the rows of one matrix; what runs along the batch
    # is together, as products by the batch want it.
    wide = weight.reshape(sets, -1, n_features)
    bias = None if bias is None else bias.reshape(sets, -1, 1)
    return _bmm(wide, x.mT, bias).view(models, units, batch).mT


def _bmm(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    """Return the products of two stacks of matrices, plus the bias."""
    return torch.bmm(a, b) if bias is None else torch.baddbmm(bias, a, b)


def matmul_into(
    out: Tensor,
    a: Tensor,
    b: Tensor,
    plus: Tensor | None = None,
    times: float = 0.0,
    known: Known | None = None,
) -> None:
    """Write ``a @ b``, of one model or of many, into `out`.

    Of one model it may be ``a @ b + times * plus``. As in `affine`, each of fewer `b`
    than `a` serves as many of them, and `known` remembers.
    """
    if a.dim() > 2:
        wide = a.reshape(len(b), -1, a.shape[-1])
        torch.bmm(wide, b, out=out.view(len(b), -1, out.shape[-1]))
    elif n_threads := _threads_of(a, b.mT, None, b.shape[0], known):
        with on_threads(n_threads):
            product = _call(a, b.mT, None)
            if plus is None:
                out.copy_(product)
            else:
                torch.add(product, plus, alpha=times, out=out)
    elif plus is None:
        torch.mm(a, b, out=out)
    else:
        torch.addmm(plus, a, b, beta=times, out=out)


def _threads_of(
    x: Tensor, weight: Tensor, bias: Tensor | None, n_rows: int, known: Known | None
) -> int:
    """Return on how many threads oneDNN is to compute a product; 0 is for BLAS."""
    team = team_size()
    if known is not None and (n_rows, team) in known:
        return known[n_rows, team]
    n_threads = team if _worth_onednn(x, weight) else 0
    if n_threads > 1 and not _may_be_shared(n_threads, x, weight, bias):
        return 1  # maybe only for now
    if known is not None:
        known[n_rows, team] = n_threads
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
            with on_threads(n_threads) as shared:
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
