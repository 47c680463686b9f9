import pytest
import torch

from skmlp.training.optimizers.flat_parameters import ALIGNMENT
from skmlp.training.packs.vector import PackVector

SHAPES = [(3, 5, 7), (3, 2, 5), (3, 5)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parts_are_aligned_views_of_zeros(dtype):
    stacked = PackVector(torch.empty(0, dtype=dtype), SHAPES)
    assert [tuple(part.shape) for part in stacked.parts] == SHAPES
    assert stacked.vector.dtype is dtype
    assert not stacked.vector.any()
    assert stacked.vector.nbytes % ALIGNMENT == 0
    start = stacked.vector.data_ptr()
    for i, part in enumerate(stacked.parts, start=1):
        assert part.is_contiguous()
        assert (part.data_ptr() - start) % ALIGNMENT == 0
        part.fill_(float(i))
    assert stacked.vector.sum() == sum(
        i * part.numel() for i, part in enumerate(stacked.parts, start=1)
    )


def test_zeros_and_selections_share_no_memory():
    stacked = PackVector(torch.empty(0), SHAPES)
    for part in stacked.parts:
        part.copy_(torch.arange(3.0).view(-1, *[1] * (part.dim() - 1)).expand_as(part))
    selected = stacked.select(torch.tensor([2, 0]))
    for part, own in zip(stacked.parts, selected.parts, strict=True):
        assert torch.equal(own, part[[2, 0]])
    zeros = stacked.zeros()
    assert zeros.vector.shape == stacked.vector.shape
    assert not zeros.vector.any()
    stacked.vector.zero_()
    assert selected.parts[2][0, 0] == 2.0
