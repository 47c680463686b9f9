"""Snapshots: copies of tensors and attributes that can be restored.

`skmlp` uses them for the best weights, averaged weights, the timing of steps, and the
rollback of failed fits. `NetSnapshot` combines them for a whole net.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor


class TensorSnapshot:
    """Copies of tensors that can be written back.

    Parameters
    ----------
    tensors : iterable of Tensor
        The tensors to which `restore` writes.
    copies : sequence of Tensor or None, default=None
        The values to restore; None copies the current ones.
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
        """Restore the attributes; delete attributes that were added since."""
        vars(self._owner).clear()
        vars(self._owner).update(self._attributes)
