"""Dropout masks of packs."""

import pytest
import torch

from skmlp.training.modules.layers import Dropout
from skmlp.training.packs.masks import OwnMasks


def make_dropouts(probabilities, fade=1.0):
    dropouts = [Dropout(p) for p in probabilities]
    for seed, dropout in enumerate(dropouts):
        dropout.generator = torch.Generator().manual_seed(seed)
        dropout.fade = fade
    return dropouts


@pytest.mark.parametrize("fade", [1.0, 0.5, 1e-9, 0.0])
@pytest.mark.parametrize("counts", [[8, 8, 8], [8, 5, 0]])
@pytest.mark.parametrize("probabilities", [(0.25,) * 3, (0.25, 0.5, 0.125)])
@pytest.mark.parametrize("n_units", [6, 7])
@pytest.mark.parametrize("transposed", [False, True])
def test_members_draw_the_masks_of_separate_trainings(
    fade, counts, probabilities, n_units, transposed
):
    activations = torch.ones(3, 8, n_units)
    if transposed:
        activations = torch.ones(3, n_units, 8).mT
    draw = OwnMasks(make_dropouts(probabilities, fade), counts)
    alone = make_dropouts(probabilities, fade)
    for _ in range(2):
        masks = draw(activations)
        for mask, dropout, count in zip(masks, alone, counts, strict=True):
            if count:
                own = dropout.mask(activations[0, :count])
                torch.testing.assert_close(mask[:count], own, rtol=0, atol=0)
            assert (mask[count:] == 1.0).all()
