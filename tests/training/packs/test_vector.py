import pytest
import torch

from skmlp.training.optimizers.flat_parameters import ALIGNMENT
from skmlp.training.packs.vector import PackVector

SHAPES = [(3, 5, 7), (3, 2, 5), (3, 5)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_are_aligned_views_of_zeros(dtype):
    packed = PackVector(torch.empty(0, dtype=dtype), SHAPES)
    assert [tuple(tensor.shape) for tensor in packed.tensors] == SHAPES
    assert packed.vector.dtype is dtype
    assert not packed.vector.any()
    assert packed.vector.nbytes % ALIGNMENT == 0
    start = packed.vector.data_ptr()
    for i, tensor in enumerate(packed.tensors, start=1):
        assert tensor.is_contiguous()
        assert (tensor.data_ptr() - start) % ALIGNMENT == 0
        tensor.fill_(float(i))
    assert packed.vector.sum() == sum(
        i * tensor.numel() for i, tensor in enumerate(packed.tensors, start=1)
    )


def test_zeros_and_selections_share_no_memory():
    packed = PackVector(torch.empty(0), SHAPES)
    for tensor in packed.tensors:
        tensor.copy_(
            torch.arange(3.0).view(-1, *[1] * (tensor.dim() - 1)).expand_as(tensor)
        )
    selected = packed.select(torch.tensor([2, 0]))
    for tensor, own in zip(packed.tensors, selected.tensors, strict=True):
        assert torch.equal(own, tensor[[2, 0]])
    zeros = packed.zeros()
    assert zeros.vector.shape == packed.vector.shape
    assert not zeros.vector.any()
    packed.vector.zero_()
    assert selected.tensors[2][0, 0] == 2.0
