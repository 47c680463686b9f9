"""Dropout masks of all pack members.

On a CPU each member draws from its own generator, so it gets the masks of a separate
training. On a GPU this would launch several kernels for each member. One generator
there draws the masks of all members at once.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from skmlp.training.compute.ambient_modes import inference_mode
from skmlp.training.compute.memory import ReusedMemory
from skmlp.training.modules.layers import Dropout, draw_bits, set_kept

# Random numbers of 16 bits in an int64.
_NUMBERS_PER_WORD = 4


class OwnMasks:
    """Draws the dropout masks of a dense layer, each from the member's generator.

    `counts` has the number of samples of each member in the current batch.
    """

    def __init__(self, dropouts: Sequence[Dropout], counts: list[int]) -> None:
        self.dropouts = dropouts
        self.counts = counts
        self._memory = ReusedMemory()
        self._words: Tensor | None = None  # the random bits of all members

    def __call__(self, activations: Tensor) -> Tensor:
        """Draw the masks that separate trainings of the members would draw.

        The next call overwrites them.
        """
        if activations.is_contiguous():  # (members, batch, units)
            mask = self._memory.empty(activations.shape, activations)
        else:
            mask = self._memory.empty(activations.mT.shape, activations).mT
        pairs = zip(self.dropouts, self.counts, strict=True)
        if self._are_equal(mask):
            self._fill_all(mask.mT)
            return mask
        for i, (dropout, count) in enumerate(pairs):
            if count:
                dropout.fill_mask(mask[i, :count])
            if count < mask.shape[1]:
                mask[i, count:] = 1.0
        return mask

    def _are_equal(self, mask: Tensor) -> bool:
        """Return whether all members have a full batch, and the same probability."""
        _, n_samples, n_units = mask.shape
        return (
            mask.is_cpu
            and mask.mT.is_contiguous()
            and n_samples * n_units % _NUMBERS_PER_WORD == 0
            and all(count == n_samples for count in self.counts)
            and len({dropout.p * dropout.fade for dropout in self.dropouts}) == 1
        )

    def _fill_all(self, stored: Tensor) -> None:
        """Fill masks ``(members, units, batch)`` by one call for all members."""
        n_words = stored[0].numel() // _NUMBERS_PER_WORD
        if self._words is None or self._words.shape != (len(stored), n_words):
            with inference_mode(False):
                self._words = torch.empty(len(stored), n_words, dtype=torch.int64)
        for words, dropout in zip(self._words, self.dropouts, strict=True):
            draw_bits(words, dropout.generator)
        p = self.dropouts[0].p * self.dropouts[0].fade
        set_kept(stored.view(-1), self._words.view(torch.int16).view(-1), p)


class OwnImageMasks(OwnMasks):
    """Draws the dropout masks of feature maps, each from the member's generator."""

    def __call__(self, maps: Tensor) -> Tensor:
        """Draw the masks that separate trainings of the members would draw."""
        mask = maps.new_ones(maps.shape)  # (members, channels, height, width, batch)
        pairs = zip(self.dropouts, self.counts, strict=True)
        for i, (dropout, count) in enumerate(pairs):
            if count:
                # A single network draws its masks in the memory order of its maps,
                # which is (batch, height, width, channels).
                like = maps.new_empty(count, *maps.shape[2:4], maps.shape[1])
                drawn = dropout.mask(like.permute(0, 3, 1, 2))
                mask[i, ..., :count] = drawn.permute(1, 2, 3, 0)
        return mask


class JointMasks:
    """Draws the dropout masks of a layer of all members at once.

    Parameters
    ----------
    dropouts : sequence of Dropout
        The layer of each member.
    generator : Generator
    like : Tensor
        Has the dtype and the device of the masks.
    """

    def __init__(
        self, dropouts: Sequence[Dropout], generator: torch.Generator, like: Tensor
    ) -> None:
        self._dropouts = dropouts
        self._p = like.new_tensor([dropout.p for dropout in dropouts])
        self._kept = 1.0 - self._p
        self._drops_maps = dropouts[0].channels
        self._generator = generator

    def __call__(self, activations: Tensor) -> Tensor:
        """Return a mask that broadcasts over `activations`."""
        shape = list(activations.shape)
        if self._drops_maps:  # (members, channels, 1, 1, batch)
            shape[2:4] = 1, 1
        fade = self._dropouts[0].fade  # members fade together
        kept = self._kept if fade == 1.0 else 1.0 - self._p * fade
        keep = kept.view(-1, *[1] * (len(shape) - 1))
        mask = activations.new_empty(shape)
        return mask.bernoulli_(keep, generator=self._generator).div_(keep)
