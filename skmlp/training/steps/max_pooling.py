"""Max pooling of feature maps by windows that do not overlap, without indices.

torch's kernel stores an index of eight bytes for each maximum, and its backward pass
writes all zeros before it writes the gradients. Both take longer than the convolution
of a gray image. Here the maps are divided into planes. A plane holds the values at one
position of all windows. The position of a maximum is stored as a code in the dtype of
the maps, and the backward pass writes every gradient once.

If a window has several equal maxima, the first one gets the gradient, as in torch.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

_threshold_backward = torch.ops.aten.threshold_backward.grad_input


def pool_planes(
    planes: Sequence[Tensor], maximum: Tensor, code: Tensor, scratch: Tensor
) -> None:
    """Write the maximum over at least two planes, and the code of its position.

    Bit i of the code states whether plane ``i + 1`` is greater than all planes before
    it. So the highest bit states which plane has the first maximum.

    Parameters
    ----------
    planes : sequence of Tensor
    maximum, code, scratch : Tensor of the shape and dtype of a plane
        All are overwritten. A dtype of few bits holds few planes: bfloat16 holds nine.
    """
    first, second, *others = planes
    torch.gt(second, first, out=code)
    torch.maximum(first, second, out=maximum)
    for i, plane in enumerate(others, start=1):
        torch.gt(plane, maximum, out=scratch)
        code.add_(scratch, alpha=2**i)
        torch.maximum(maximum, plane, out=maximum)


def unpool_planes(grad: Tensor, code: Tensor, grad_planes: Sequence[Tensor]) -> None:
    """Write the gradients of the planes from that of the maximum.

    Parameters
    ----------
    grad : Tensor
        Gradient of the maximum; overwritten.
    code : Tensor
        Code of `pool_planes`.
    grad_planes : sequence of Tensor
        Receive the gradients.
    """
    first, *others = grad_planes
    for i in range(len(others) - 1, -1, -1):
        # The gradients whose code has bit i. Higher bits have been taken out.
        _threshold_backward(grad, code, 2**i - 0.5, grad_input=others[i])
        torch.sub(grad, others[i], out=grad if i else first)
