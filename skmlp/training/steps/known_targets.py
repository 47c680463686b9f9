"""The loss of a handwritten step whose targets are known before its batch.

Weights of the loss terms are computed for many batches at once. A batch then needs
fewer calls of torch (see `Loss.term_weights`).
"""

from functools import partial

import torch
from torch import Tensor

from skmlp.training.data.batches import TermWeights
from skmlp.training.losses import Loss
from skmlp.training.steps.handwritten_step import HandwrittenStep

# Maximum number of outputs. The weights of more outputs need more memory traffic than
# they save calls.
_MAX_OUTPUTS = 128


def use_known_targets(
    step: object, loss: Loss, parameter: Tensor
) -> tuple[Loss, TermWeights | None]:
    """Let a handwritten step on a CPU compute an equal loss with fewer calls.

    Parameters
    ----------
    step : Step
    loss : Loss
        The loss with which the step computes now.
    parameter : Tensor
        Has dtype and device of the network.

    Returns
    -------
    loss : Loss
        The loss with which the step computes from now on.
    term_weights : callable or None
        Computes the weights that this loss needs.
    """
    if (
        not isinstance(step, HandwrittenStep)
        or not parameter.is_cpu
        or step.n_outputs > _MAX_OUTPUTS
    ):
        return loss, None
    step.loss = loss.for_known_targets()
    if not step.loss.has_term_weights:
        return step.loss, None
    return step.loss, partial(_weigh, step.loss, step.n_outputs, parameter.dtype)


def _weigh(
    loss: Loss, n_outputs: int, dtype: torch.dtype, y: Tensor, weight: Tensor | None
) -> Tensor:
    """Return the term weights of batches; without sample weights, all are equal."""
    if weight is None:
        weight = torch.full(y.shape, 1.0 / y.shape[-1], dtype=dtype)
    return loss.term_weights(y, weight, n_outputs)
