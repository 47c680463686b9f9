"""RandomErasing: one rectangle of the right size at a random position."""

import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from skmlp.augmentation import RandomErasing


def rectangles(erased):
    """Check that the zeros are rectangles, and return their heights and widths."""
    holes = erased[:, 0] == 0
    tall, wide = holes.any(dim=2).sum(dim=1), holes.any(dim=1).sum(dim=1)
    rows, columns = holes.any(dim=2), holes.any(dim=1)
    assert torch.equal(holes, rows[:, :, None] & columns[:, None, :])
    for side in (rows, columns):  # no gaps: at most one step up
        starts = side[:, 1:] & ~side[:, :-1]
        assert (starts.sum(dim=1) + side[:, 0].int() <= 1).all()
    return tall, wide


@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    scale=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    seed=st.integers(0, 2**32),
)
@example(size=(3, 11), scale=[1.0, 1.0], seed=0)  # 3/11 by 11/3 is not quite one
def test_area_is_within_scale_up_to_rounding(size, scale, seed):
    height, width = size
    images = torch.ones(20, 1, height, width)
    augmentation = RandomErasing(p=1, scale=scale, ratio=(0.001, 1000))
    tall, wide = rectangles(augmentation(images, seed))
    area, pixels = tall * wide, height * width
    # The width is rounded last, by half a column, or from zero to one column. If the
    # width is that of the image, half a row may be missing.
    above = torch.where(wide == 1, tall, tall / 2)
    below = torch.where(wide == width, width / 2, tall / 2)
    assert (area > 0).all()
    assert (area <= scale[1] * pixels + above + 1e-3).all()
    assert (area >= scale[0] * pixels - below - 1e-3).all()


@pytest.mark.parametrize("ratio", [(1, 1), (0.25, 0.5), (0.5, 2)])
def test_ratio_of_height_to_width_is_within_ratio(ratio):
    images = torch.ones(300, 1, 200, 200, dtype=torch.uint8)
    augmentation = RandomErasing(p=1, scale=(0.1, 0.2), ratio=ratio)
    tall, wide = rectangles(augmentation(images, 0))
    ratios = tall / wide
    # Both sides have at least 44 pixels, each rounded by at most one.
    assert (ratios > ratio[0] * (1 - 2 / 44)).all()
    assert (ratios < ratio[1] * (1 + 2 / 44)).all()
    assert ratios.min() < ratio[0] * 1.05
    assert ratios.max() > ratio[1] * 0.95


def test_areas_and_logarithms_of_ratios_are_uniform():
    images = torch.ones(1000, 1, 200, 200, dtype=torch.uint8)
    augmentation = RandomErasing(p=1, scale=(0.1, 0.3), ratio=(0.5, 2))
    tall, wide = rectangles(augmentation(images, 0))
    for values, low, high in (
        (tall * wide / 200**2, 0.1, 0.3),
        ((tall / wide).log(), -math.log(2), math.log(2)),
    ):
        deviation = (high - low) / 12**0.5
        assert abs(values.mean() - (low + high) / 2) < 5 * deviation / 1000**0.5
        # The fourth moment of a uniform distribution is 9/5 of its squared variance.
        error = 5 * deviation**2 * (0.8 / 1000) ** 0.5
        assert abs(values.var() - deviation**2) < error


def test_positions_are_equally_likely():
    images = torch.ones(9000, 1, 4, 4)
    result = RandomErasing(p=1, scale=(0.25, 0.25), ratio=(1, 1))(images, 0)
    positions, counts = result.unique(dim=0, return_counts=True)
    assert len(positions) == 9  # of a 2 x 2 square in 4 x 4 pixels
    assert (counts - 1000).abs().max() < 5 * 29.8  # standard deviation of each


def test_ratio_is_drawn_from_the_ratios_that_fit():
    images = torch.ones(500, 1, 4, 50)
    augmentation = RandomErasing(p=1, scale=(0.5, 0.5), ratio=(0.01, 9))
    tall, wide = rectangles(augmentation(images, 0))
    assert (wide > 0).all()
    assert ((tall * wide - 100).abs() <= tall / 2).all()


def test_rectangle_that_never_fits_is_refused():
    augmentation = RandomErasing(scale=(0.5, 0.9), ratio=(1, 2))
    message = r"^scale=\(0.5, 0.9\) and ratio=\(1, 2\) allow no rectangle in .* 4 x 50 "
    with pytest.raises(ValueError, match=message):
        augmentation(torch.ones(1, 1, 4, 50))


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_p_is_the_fraction_of_erased_images(p):
    images = torch.ones(5000, 1, 8, 8)
    result = RandomErasing(p, scale=(0.1, 0.3))(images, 0)
    fraction = (result != 1).any(dim=3).any(dim=2).double().mean().item()
    assert abs(fraction - p) <= 5 * (p * (1 - p) / 5000) ** 0.5


def test_only_the_rectangle_gets_the_value():
    images = torch.rand(50, 3, 8, 8)
    result = RandomErasing(p=1, value=(2, 3, 4))(images, 0)
    changed = result != images
    assert torch.equal(changed[:, 0], changed[:, 1])
    assert torch.equal(changed[:, 0], changed[:, 2])
    for channel, value in enumerate((2, 3, 4)):
        assert (result[:, channel][changed[:, channel]] == value).all()


def test_value_with_wrong_number_of_channels_is_refused():
    with pytest.raises(ValueError, match=r"value has 2 values.* have 3 channels"):
        RandomErasing(value=(0, 1))(torch.rand(1, 3, 4, 4))


def test_ratio_is_ignored_in_images_of_height_1():
    signals = torch.ones(50, 1, 1, 200)
    augmentation = RandomErasing(p=1, scale=(0.1, 0.5), ratio=(0.3, 3.3))
    erased = (augmentation(signals, 0) == 0).sum(dim=(1, 2, 3))
    assert erased.min() >= 20
    assert erased.max() <= 100
    assert len(erased.unique()) > 20
