"""Snapshots: copies of tensors, attributes or a trained net, to which a fit returns."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from skmlp.training.modules.layers import seed_dropout

if TYPE_CHECKING:
    from skmlp.training.net import Net


class TensorSnapshot:
    """Copies of tensors that can be written back.

    Parameters
    ----------
    tensors : iterable of Tensor
        The tensors to which `restore` writes.
    copies : sequence of Tensor or None, default=None
        The values to restore; None copies the present ones.
    """

    def __init__(
        self, tensors: Iterable[Tensor], copies: Sequence[Tensor] | None = None
    ) -> None:
        self._tensors = list(tensors)
        self.copies = [t.clone() for t in self._tensors] if copies is None else copies

    def restore(self) -> None:
        """Write the copies back."""
        with torch.no_grad():
            for tensor, copied in zip(self._tensors, self.copies, strict=True):
                tensor.copy_(copied)


class GeneratorSnapshot:
    """States of random generators."""

    def __init__(self, generators: Iterable[torch.Generator]) -> None:
        self._states = [(g, g.get_state()) for g in generators]

    def restore(self) -> None:
        """Let the generators draw the same numbers again."""
        for generator, state in self._states:
            generator.set_state(state)


class AttributeSnapshot:
    """The attributes of an object.

    The values are not copied: an attribute that is changed in place stays changed.
    """

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self._attributes = dict(vars(owner))

    def restore(self) -> None:
        """Give the object the attributes it had, and no others."""
        vars(self._owner).clear()
        vars(self._owner).update(self._attributes)


class NetSnapshot:
    """All that further training changes in a trained net.

    A restored net can predict and can be trained further, as it could before.
    """

    def __init__(self, net: "Net") -> None:
        self._net = net
        self._device = next(net.module_.parameters()).device
        self._weights = {k: v.clone() for k, v in net.module_.state_dict().items()}
        self._optimizer_state = net.copy_optimizer_state()
        owners = (net, net.schedule, net.monitor)
        self._attributes = [AttributeSnapshot(owner) for owner in owners]
        curves = (net.monitor.loss_curve, net.monitor.validation_scores, net.history)
        self._lengths = [(curve, len(curve)) for curve in curves]
        self._bests = net.bests_.copy()

    def restore(self) -> None:
        """Undo all training since the snapshot."""
        net = self._net
        for attributes in self._attributes:
            attributes.restore()
        net.module_.load_state_dict(self._weights)
        net.module_.to(self._device).eval()
        seed_dropout(net.module_, None)
        net.stop_training(self._optimizer_state)
        net.bests_ = self._bests
        for curve, length in self._lengths:
            del curve[length:]
